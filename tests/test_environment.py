"""The file `.env.example` lists what is read from the environment: all of it, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from cassia_dagster.llm.choice import MODEL_ROLES, ModelChoice, chosen_in_environment
from resources.settings import AnnotationSettings

PROJECT = Path(__file__).parents[1]
LISTED = re.findall(r"^# (CASSIA_\w+)=(.+)$", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
OF_MODELS = {f"CASSIA_{field.upper()}" for field in ModelChoice.model_fields}
OF_ROLES = {f"CASSIA_{role.upper()}_{field.upper()}" for role in MODEL_ROLES for field in ModelChoice.model_fields}
OF_SETTINGS = {f"CASSIA_{field.upper()}" for field in AnnotationSettings.model_fields}


def written():
    """Find the names that stand in the code as they are."""
    for folder in ("assets", "resources", "cassia_dagster"):
        for file in (PROJECT / folder).rglob("*.py"):
            yield from re.findall(r"[\"`](CASSIA_[A-Z][A-Z_]*[A-Z])[\"`]", file.read_text(encoding="utf-8"))


def test_everything_that_is_read_is_listed():
    names = {name for name, _ in LISTED}
    assert names >= OF_MODELS | OF_SETTINGS | {*written()} - OF_ROLES
    assert names & OF_ROLES, "and a role's, as an example"


def test_nothing_is_listed_that_is_not_read():
    assert {name for name, _ in LISTED} - OF_MODELS - OF_ROLES - OF_SETTINGS - {*written()} == set()


def test_what_is_listed_can_be_used_as_it_stands(monkeypatch):
    for name, value in LISTED:
        if name not in OF_ROLES:  # another model there would not inherit the temperature of the one here
            monkeypatch.setenv(name, value)
    settings = AnnotationSettings.from_environment().model_dump()
    assert {f"CASSIA_{field.upper()}" for field, value in settings.items() if value is not None} == OF_SETTINGS
    for role in MODEL_ROLES:
        assert chosen_in_environment(role).model_dump_fields().keys() == ModelChoice.model_fields.keys()
    for name, value in LISTED:
        monkeypatch.setenv(name, value)
    assert chosen_in_environment("annotation").title == "openrouter/anthropic/claude-sonnet-4.5"
    assert chosen_in_environment("score").title == "openrouter/openai/gpt-5-mini"
