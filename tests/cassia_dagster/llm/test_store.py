"""Tests of what a store tells of its runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cassia_dagster.llm.backend import Quota, RawReply, Reservation, Take
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.ledger import Call
from cassia_dagster.llm.pricing import Price
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation
from tests.cassia_dagster.llm.conftest import Script


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


ASK_TOGETHER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from cassia_dagster.llm import gate
from cassia_dagster.llm.backend import Quota, RawReply, Reservation
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.errors import BudgetExhausted
from cassia_dagster.llm.pricing import Price
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Limits, Store
from cassia_dagster.records import Verdict

gate.WINDOW = 2.0

class Slow:
    provider, model, price = "slow", "slow-1", Price(0.0, 0.1)
    quota = Quota("slow", requests_per_minute=10, max_concurrency=3)
    def identity(self, question):
        return {"user": question.user}
    def reservation(self, question, take):
        return Reservation(tokens=1, usd=0.4, seconds=60.0)
    def answer(self, question):
        time.sleep(0.05)
        return RawReply('{"accepted": true, "reasons": ""}', "stop", "slow-1", Usage(1, 1), usd=0.1)

name, limits = sys.argv[2], Limits(usd_per_subject=2.0, subject="islets")
door = Door(Slow(), Store.open(sys.argv[1], run=name, limits=limits))
print("ready", flush=True)
sys.stdin.readline()

def ask(user):
    try:
        door.ask(Question("validate", "islets/0.4/3", Verdict(accepted=True, reasons=""), "", user, Verdict, "t"))
    except BudgetExhausted:
        return "exhausted"
    return "answered"

own = [f"{name}-{number}" for number in range(16)]
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(ask, [f"shared-{number}" for number in range(8)] + own)).count("answered"), flush=True)
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Call]]:
    """Let two processes ask at once under one budget and one quota; give the ledger."""
    path = tmp_path_factory.mktemp("together") / "models.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK_TOGETHER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    with Store.open(path) as store:
        yield list(store.calls())


def test_two_processes_share_one_budget_and_use_it_up(together: list[Call]) -> None:
    made = [call for call in together if call.state == "done"]
    assert {call.run for call in made} == {"a", "b"}
    assert sum(call.usd or 0.0 for call in made) == pytest.approx(1.7), "the next might have cost 0.4 of 2.0"


def test_two_processes_share_the_replies_even_those_that_are_being_bought(together: list[Call]) -> None:
    made = [call.key for call in together if call.state == "done"]
    assert len(made) == len(set(made))
    assert any(call.state == "cached" for call in together)


def test_two_processes_share_one_quota(together: list[Call]) -> None:
    made = [call for call in together if call.state == "done"]
    for call in made:
        assert sum(call.started - 2.0 < other.started <= call.started for other in made) <= 9
        # A millisecond less, for a call ends before its end is written down.
        at_once = sum(one.started <= call.started < one.started + (one.seconds or 0.0) - 0.001 for one in made)
        assert at_once <= 3


class Metered(Script):
    """A backend whose calls have a price, so that they wait for a place."""

    price = Price(1.0, 1.0)
    quota = Quota("script")

    def reservation(self, question: Question[Any], take: Take) -> Reservation:  # noqa: ARG002
        return Reservation(100, 0.1, 60.0)


def test_a_question_is_not_put_again_once_another_process_has_its_reply(
    path: Path, question: Question[Annotation], beta_cell: str
) -> None:
    with Store.open(path, run="mine") as mine, Store.open(path, run="theirs") as theirs:
        key = "a" * 64
        first = mine.intend(question, key, Metered(), Take())
        assert first is not None
        mine.ledger.settle(first, "failed", 0.1, None)
        theirs.replies.keep(key, beta_cell, RawReply(beta_cell, "stop", "s", Usage()), provider="script", model="s")
        assert mine.intend(question, key, Metered(), Take(attempt=2)) is None
