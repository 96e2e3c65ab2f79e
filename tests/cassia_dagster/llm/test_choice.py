"""Tests of the choice of models: the same choice from a text, a mapping, and the environment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.choice import ModelChoice, chosen_in_environment

CLAUDE = "openrouter/anthropic/claude-sonnet-4.5"


def choice(said: object) -> ModelChoice:
    return ModelChoice.model_validate(said)


def test_a_text_says_as_much_as_a_mapping() -> None:
    mapping = {"provider": "openrouter", "model": "anthropic/claude-sonnet-4.5"}
    assert choice(CLAUDE) == choice(mapping) == choice({"model": CLAUDE})
    assert choice(mapping).title == CLAUDE


def test_what_a_text_can_say_is_written_as_a_text() -> None:
    assert choice(CLAUDE).model_dump() == CLAUDE
    longer = {"provider": "openai", "model": "gpt-5", "max_tokens": 4096, "fallbacks": ["openai/gpt-5-mini"]}
    assert choice(longer).model_dump() == longer
    assert choice(choice(longer).model_dump()) == choice(longer)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("gpt-5", "model 'gpt-5' has no provider: write provider/model"),
        ("openai/", "has no provider"),
        ({"provider": "openai"}, "without a model"),
        ({"model": "openai/gpt-5", "fallbacks": ["gpt-4"]}, "model 'gpt-4' has no provider"),
        ({"model": "openai/gpt-5", "usd_per_million_input": 1}, "both prices"),
        ({"model": "openai/gpt-5", "api_base": "localhost:8000"}, "an address such as"),
        ({"model": "openai/gpt-5", "max_tokens": 0}, "greater than 0"),
        ({"model": "openai/gpt-5", "tokens": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        choice(wrong)


@pytest.mark.parametrize("field", ["api_key_env", "api_base"])
def test_a_key_in_the_wrong_place_is_not_repeated(field: str) -> None:
    key = "https://me:sk-0123456789abcdef@server" if field == "api_base" else "sk-0123456789abcdef"
    with pytest.raises(ValidationError) as caught:
        choice({"model": "openai/gpt-5", field: key})
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-proj-abcdefghijklmnop", "AIzaSyA0123456789_abcdefgh", "0123456789abcdef" * 2])
def test_a_key_where_a_model_should_be_is_not_repeated(key: str) -> None:
    for said in (key, {"provider": key}, {"model": "openai/gpt-5", "fallbacks": [key]}):
        with pytest.raises(ValidationError, match=r"'\[key\]'") as caught:
            choice(said)
        assert key not in str(caught.value)


def test_a_choice_inherits_what_fits_its_model() -> None:
    below = choice(
        {
            "model": "openai/gpt-5",
            "api_base": "http://lab:8000/v1",
            "api_key_env": "LAB_KEY",
            "requests_per_minute": 60,
            "timeout": 30,
        }
    )
    patient = choice({"timeout": 99}).over(below)
    assert (patient.title, patient.timeout, patient.requests_per_minute) == ("openai/gpt-5", 99, 60)
    other_model = choice("openai/gpt-5-mini").over(below)
    assert (other_model.api_key_env, other_model.timeout, other_model.requests_per_minute) == ("LAB_KEY", 30, None)
    other_provider = choice("anthropic/claude-sonnet-4-5").over(below)
    assert (other_provider.api_key_env, other_provider.api_base, other_provider.timeout) == (None, None, 30)
    assert choice("embedded").over(below).title == "embedded"


def test_the_environment_chooses_for_all_roles_and_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSIA_MODEL", "openai/gpt-5")
    monkeypatch.setenv("CASSIA_TIMEOUT", "30")
    monkeypatch.setenv("CASSIA_ANNOTATION_MODEL", "anthropic/claude-sonnet-4.5")
    monkeypatch.setenv("CASSIA_ANNOTATION_PROVIDER", "openrouter")
    monkeypatch.setenv("CASSIA_ANNOTATION_FALLBACKS", "openai/gpt-5, ollama/llama3")
    annotation, score = chosen_in_environment("annotation"), chosen_in_environment("score")
    assert (annotation.title, annotation.timeout) == (CLAUDE, 30)
    assert annotation.fallbacks == ["openai/gpt-5", "ollama/llama3"]
    assert (score.title, score.fallbacks) == ("openai/gpt-5", [])


@pytest.mark.parametrize(
    ("variable", "value"), [("CASSIA_MODEL", "gpt-5"), ("CASSIA_SCORE_TIMEOUT", "soon"), ("CASSIA_MAX_TOKENS", "-1")]
)
def test_a_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"Environment variable {variable}: "):
        chosen_in_environment("score")


def test_what_decides_the_answers_is_told_from_what_does_not() -> None:
    plain, other = choice("openai/gpt-5"), choice({"model": "openai/gpt-5", "temperature": 0.2})
    assert plain.identity != other.identity
    quick = choice({"model": "openai/gpt-5", "timeout": 5, "requests_per_minute": 9, "api_key_env": "LAB_KEY"})
    assert quick.identity == plain.identity
