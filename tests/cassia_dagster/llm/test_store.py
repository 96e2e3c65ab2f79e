"""Tests of what a store tells of its runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation


def test_a_run_has_its_own_rows_and_totals(
    path: Path, question: Question[Annotation], script: Callable[..., Any], beta_cell: str
) -> None:
    with Store.open(path, run="monday") as monday:
        Door(script(beta_cell), monday).ask(question)
    unknown_price = RawReply(beta_cell, "stop", "script-1", Usage(7, 1))
    with Store.open(path, run="tuesday") as tuesday:
        door = Door(script(unknown_price), tuesday)
        door.ask(question)
        door.ask(replace(question, user="Markers: GCG"))
        first, second, both = tuesday.totals("monday"), tuesday.totals("tuesday"), tuesday.totals()
        states = [call.state for call in tuesday.calls("tuesday")]
    assert (first.calls, first.cached, first.usd, first.saved_usd) == (1, 0, 0.25, 0.0)
    assert (second.calls, second.cached, second.usd, second.saved_usd) == (1, 1, 0.0, 0.25)
    assert (first.unpriced, second.unpriced) == (0, 1)
    assert both.usage == first.usage + second.usage == Usage(107, 21, 60, 5)
    assert states == ["cached", "done"]


def test_calls_are_found_by_their_subject_and_all_below_it(
    store: Store, question: Question[Annotation], script: Callable[..., Any], beta_cell: str
) -> None:
    subjects = ["islets/0.4", "islets/0.4/3", "islets/0.4/10", "islets/0.45/3", "islets", "islets/0.4-old/1"]
    door = Door(script(beta_cell), store)
    for subject in subjects:
        door.ask(replace(question, subject=subject))
    assert [call.subject for call in store.calls(subject="islets/0.4")] == subjects[:3]
    assert (store.totals(subject="islets/0.4").calls, store.totals("run-1", "islets/0.4").cached) == (1, 2)
    assert store.totals("run-2", "islets/0.4").cached == 0


def test_a_run_that_asked_nothing_took_nothing(store: Store) -> None:
    totals = store.totals("run-1")
    assert (totals.calls, totals.cached, totals.usage, totals.usd) == (0, 0, Usage(), 0.0)


def test_a_run_without_a_name_gets_one_of_its_own(path: Path) -> None:
    with Store.open(path) as one, Store.open(path) as other:
        assert one.run != other.run
