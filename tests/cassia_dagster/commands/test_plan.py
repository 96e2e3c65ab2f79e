"""Tests of `cassia-dagster plan`: what is out of date, why, and for how much; and nothing is run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cassia_dagster.commands.plan import NOTHING, Planned, planned
from cassia_dagster.llm.choice import ModelChoice
from cassia_dagster.llm.store import Store
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home


@pytest.fixture
def home(demo, tmp_path: Path) -> Home:
    """A copy of the demo's home."""
    shutil.copytree(demo.home.root, tmp_path / "home")
    return Home(tmp_path / "home")


def plan(home: Home, *entries: DatasetEntry) -> list[Planned]:
    with Store.open(home.model_store) as store:
        before = store.totals()
        rows = list(planned(home, entries, store))
        assert store.totals() == before
    return rows


def test_what_was_made_and_is_unchanged_is_not_made_again(home: Home) -> None:
    rows = plan(home, Catalog.read(home.catalog).entry("demo"))
    assert rows == [Planned("demo", resolution, NOTHING, 0, 0.0, 0.0) for resolution in ("0.4", "0.8")]


def test_a_label_that_a_person_gave_waits_to_be_applied(home: Home) -> None:
    home.manual_labels.write_text(
        "- {dataset: demo, resolution: 0.4, cluster: 3, label: endothelial cell, who: ana, why: PECAM1, "
        "date: 2026-11-26}"
    )
    rows = plan(home, Catalog.read(home.catalog).entry("demo"))
    assert {row.begins_with for row in rows} == {"reviewed: a manual label has changed"}


def test_a_dataset_that_is_new_was_never_made(home: Home, tmp_path: Path) -> None:
    entry = Catalog.read(home.catalog).entry("demo")
    new = entry.model_copy(update={"name": "new"})
    assert {row.begins_with for row in plan(home, new)} == {"all: it was never made"}
    assert [row.usd for row in plan(home, new)] == [None, None], "nothing is clustered that could be priced"
    assert {row.begins_with for row in plan(Home(tmp_path / "empty"), new)} == {"all: it was never made"}


def test_definitions_are_built_once_for_all_datasets(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from cassia_dagster import definitions

    built, build = [], definitions.build_defs
    monkeypatch.setattr(definitions, "build_defs", lambda home: built.append(home) or build(home))
    demo = Catalog.read(home.catalog).entry("demo")
    new = demo.model_copy(update={"name": "new"})
    rows = plan(home, new, demo)
    assert [(row.dataset, row.begins_with) for row in rows] == [
        *[("new", "all: it was never made")] * 2,
        *[("demo", NOTHING)] * 2,
    ]
    assert built == [home]


def test_another_model_is_a_change_with_a_price(home: Home) -> None:
    paid = ModelChoice.model_validate(
        {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "usd_per_million_input": 1.0,
            "usd_per_million_output": 2.0,
        }
    )
    entry = Catalog.read(home.catalog).entry("demo").model_copy(update={"models": {"all": paid}})
    for row in plan(home, entry):
        assert row.begins_with == "all: its file or entry has changed"
        assert (row.calls or 0) > 10
        assert row.usd is not None
        assert row.most_usd is not None
        assert 0 < row.usd < row.most_usd


def test_a_changed_prompt_is_named_with_the_first_asset_that_it_touches(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Catalog.read(home.catalog).entry("demo")
    from assets.scores import scores
    from cassia_dagster import definitions

    changed = scores.map_asset_specs(lambda spec: spec.replace_attributes(code_version="another prompt"))
    monkeypatch.setattr(definitions, "ASSETS", tuple(changed if one is scores else one for one in definitions.ASSETS))
    assert {row.begins_with for row in plan(home, entry)} == {"scores: has a new code version"}
