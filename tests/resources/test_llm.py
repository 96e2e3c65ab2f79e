"""Tests of models as resources: embedded unless said otherwise, and never a key in a configuration."""

import json
from pathlib import Path

import dagster as dg
import pytest

from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.errors import ConfigurationError, ModelError
from cassia_dagster.llm.choice import ModelChoice
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.llm.store import Limits, Store
from resources.llm import ModelResource, ModelStore

KEY = "sk-test-0123456789abcdef"


def test_the_model_is_the_embedded_one_unless_said_otherwise() -> None:
    resource = ModelResource()
    assert resource.title == "embedded"
    assert isinstance(resource.backends()[0], EmbeddedBackend)


def test_a_provider_is_asked_through_litellm() -> None:
    resource = ModelResource(provider="openrouter", model="anthropic/claude-sonnet-4.5", max_tokens=512)
    assert resource.title == "openrouter/anthropic/claude-sonnet-4.5"
    backend = resource.backends()[0]
    assert isinstance(backend, LiteLLMBackend)
    assert (backend.provider, backend.model) == ("openrouter", "anthropic/claude-sonnet-4.5")


def test_a_key_is_never_part_of_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    resource = ModelResource(provider="openai", model="gpt-5", api_key_env="LAB_KEY")
    with Store.open(tmp_path / "models.sqlite") as store:
        resource.door(store)
    shown = repr(resource) + resource.model_dump_json() + json.dumps(resource._resolved_config_dict)
    assert "LAB_KEY" in shown
    assert KEY not in shown


def test_there_is_no_field_that_a_key_could_be_written_into() -> None:
    assert "api_key" not in ModelResource.model_fields
    resource = ModelResource(provider="openai", model="gpt-5", api_key=KEY)  # type: ignore[call-arg]
    assert KEY not in repr(resource) + json.dumps(resource._resolved_config_dict)


def test_every_field_says_what_it_is_for() -> None:
    assert all(field.description for field in ModelResource.model_fields.values())


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"timeout": 0}])
def test_a_limit_that_lets_nothing_through_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        ModelResource(**wrong)


def test_a_store_is_opened_for_one_asset_of_one_run(tmp_path: Path) -> None:
    opened: list[str] = []

    @dg.asset
    def annotations(context: dg.AssetExecutionContext, model_store: ModelStore) -> None:
        with model_store.session(context) as store:
            opened.append(store.run)

    path = tmp_path / "models.sqlite"
    result = dg.materialize([annotations], resources={"model_store": ModelStore(path=str(path))})
    assert opened == [f"{result.run_id}/annotations"]
    assert path.exists()


def test_a_choice_lies_over_the_model_and_its_fallbacks_inherit_what_fits_them() -> None:
    listed = ModelChoice.model_validate(
        {"model": "openai/gpt-5", "fallbacks": ["openai/gpt-5-mini", "embedded"], "max_tokens": 512, "timeout": 9}
    )
    resource = ModelResource(provider="ollama", model="llama3").overlaid(listed, ModelChoice(timeout=30))
    first, second, third = resource.backends()
    assert (first.model, second.model, third.provider) == ("gpt-5", "gpt-5-mini", "embedded")
    assert isinstance(second, LiteLLMBackend)
    assert second.max_tokens == 512


def test_the_environment_chooses_the_model_of_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSIA_SCORE_MODEL", "openai/gpt-5")
    assert ModelResource.from_environment("score").title == "openai/gpt-5"
    assert ModelResource.from_environment("merge").title == "embedded"


def test_a_provider_without_a_model_is_refused_when_the_model_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="provider 'openai' is given without a model"):
        ModelResource(provider="openai").check()


def test_a_fallback_of_unknown_price_is_refused_under_a_budget_before_anybody_is_asked(tmp_path: Path) -> None:
    resource = ModelResource(provider="openai", model="gpt-4.1", fallbacks=["openai/a-model-of-ours"])
    with (
        Store.open(tmp_path / "models.sqlite", limits=Limits(usd_per_run=1.0)) as store,
        pytest.raises(ModelError, match="openai/a-model-of-ours is not known"),
    ):
        resource.door(store)
