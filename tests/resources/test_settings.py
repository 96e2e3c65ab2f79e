"""Tests of what a user may set beside the models, and which place goes before which."""

from pathlib import Path

import pytest

from cassia_dagster.errors import ConfigurationError
from resources.catalog import DatasetEntry
from resources.settings import AnnotationSettings

ENTRY = DatasetEntry(name="islets", path=Path("islets.h5ad"), tissue="pancreas")


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSIA_MAX_WORKERS", "12")
    monkeypatch.setenv("CASSIA_MAX_USD_PER_DATASET", "2.5")
    settings = AnnotationSettings.from_environment()
    assert (settings.max_workers, settings.score_threshold) == (12, 75)
    limits = settings.limits("islets")
    assert (limits.usd_per_run, limits.usd_per_subject, limits.subject) == (None, 2.5, "islets")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CASSIA_MAX_WORKERS", "many"), ("CASSIA_SCORE_THRESHOLD", "175"), ("CASSIA_MAX_USD_PER_RUN", "-1")],
)
def test_a_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"Environment variable {variable}: "):
        AnnotationSettings.from_environment()


def test_the_catalog_goes_before_the_environment() -> None:
    settings = AnnotationSettings(max_workers=12, max_usd_per_dataset=2.5)
    assert settings.of(ENTRY) == settings
    listed = settings.of(ENTRY.model_copy(update={"max_workers": 3, "score_threshold": 60.0, "max_usd": 0.0}))
    assert (listed.max_workers, listed.score_threshold, listed.max_usd_per_dataset) == (3, 60, 0)


@pytest.mark.parametrize("here", [True, False])
def test_namesakes_are_as_the_catalog_says_and_else_as_the_environment_does(
    monkeypatch: pytest.MonkeyPatch, *, here: bool
) -> None:
    monkeypatch.setenv("CASSIA_NAMESAKES", str(here).lower())
    settings = AnnotationSettings.from_environment()
    assert settings.of(ENTRY).namesakes is here
    assert settings.of(ENTRY.model_copy(update={"namesakes": not here})).namesakes is not here
