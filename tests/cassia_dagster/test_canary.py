"""Tests of the weekly questions: asked anew each week, once in it, and compared with the last answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cassia_dagster import canary
from cassia_dagster.canary import CANARY, TYPES, ask_canary_questions, week_of
from cassia_dagster.llm.store import Store
from resources.llm import ModelResource, ModelStore
from resources.settings import AnnotationSettings


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], dict[str, Any]]]:
    """Run the job as if it were that week; gives the metadata of what comes of it."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run(week: int) -> dict[str, Any]:
            monkeypatch.setattr(canary, "week_of", lambda _: week)
            resources = {
                "annotation_llm": ModelResource(),
                "model_store": ModelStore(path=str(tmp_path / "models.sqlite")),
                "settings": AnnotationSettings(),
            }
            assert ask_canary_questions.execute_in_process(instance=instance, resources=resources).success
            (record,) = instance.fetch_materializations(CANARY, limit=1).records
            assert record.asset_materialization
            return {name: value.value for name, value in record.asset_materialization.metadata.items()}

        yield run


def test_each_week_is_asked_anew_and_a_week_only_once(ask: Callable[[int], dict[str, Any]], tmp_path: Path) -> None:
    assert [ask(week)["calls"] for week in (202601, 202602, 202602)] == [len(TYPES), len(TYPES), 0]
    with Store.open(tmp_path / "models.sqlite") as store:
        asked = [(call.subject, call.replicate) for call in store.calls(subject="canary") if call.state == "done"]
    assert sorted(asked) == sorted((f"canary/{term}", week) for term in TYPES for week in (202601, 202602))


def test_the_embedded_model_knows_its_own_clusters_and_does_not_drift(ask: Callable[[int], dict[str, Any]]) -> None:
    ask(202601)
    seen = ask(202602)
    assert (seen["changed"], seen["questions"]) == (0, len(TYPES))
    assert seen["right"] >= len(TYPES) - 1


def test_another_answer_is_counted_and_told(
    ask: Callable[[int], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(202601)
    monkeypatch.setattr(canary, "_term", lambda _: "CL:0000000")
    second = ask(202602)
    assert second["changed"] == len(TYPES)
    assert second["changes"]["CL:0000169"] == f"{first['terms']['CL:0000169']} → CL:0000000"


def test_weeks_of_two_years_differ() -> None:
    days = [datetime(year, 1, 8, tzinfo=UTC) for year in (2026, 2027)]
    assert [week_of(day) for day in days] == [202602, 202701]


def test_every_question_is_of_a_type_that_the_knowledge_has() -> None:
    from cassia_dagster.knowledge.markers import load_markers

    assert set(TYPES) <= set(load_markers("human").types)
