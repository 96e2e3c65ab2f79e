"""Tests of what may be spent: worst cases are set aside, waited for, and made good."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.backend import Quota, RawReply, Reservation, Take
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.errors import BudgetExhausted, Unavailable
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Limits, Store
from cassia_dagster.records import Annotation, Status

COST, WORST = 0.1, 0.4


class Priced:
    """A backend whose calls cost a tenth of a dollar, and are feared to cost four."""

    provider, model = "shop", "shop-1"
    quota = Quota("shop")
    price = None

    def __init__(self, reply: str | Exception, worst: float | None = WORST) -> None:
        self.reply, self.worst = reply, worst
        self.calls = 0
        self.lock = threading.Lock()

    def identity(self, question: Question[Any]) -> dict[str, str]:
        return {"user": question.user}

    def reservation(self, question: Question[Any], take: Take) -> Reservation:  # noqa: ARG002
        return Reservation(tokens=10, usd=self.worst, seconds=60.0)

    def answer(self, question: Question[Any]) -> RawReply:  # noqa: ARG002
        with self.lock:
            self.calls += 1
        if isinstance(self.reply, Exception):
            raise self.reply
        return RawReply(self.reply, "stop", "shop-1", Usage(10, 1), usd=COST)


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Store]]:
    """Open the store for a run with limits."""
    stores: list[Store] = []

    def make(run: str = "run-1/scores", **limits: float) -> Store:
        stores.append(Store.open(path, run=run, limits=Limits(subject="islets", **limits)))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def ask_many(store: Store, backend: Any, question: Question[Annotation], count: int) -> list[Any]:
    """Ask different questions, twenty at once; give answers and errors."""
    door = Door(backend, store)

    def ask(number: int) -> Any:
        try:
            return door.ask(replace(question, user=f"cluster {number}"))
        except BudgetExhausted as error:
            return error

    with ThreadPoolExecutor(20) as pool:
        return list(pool.map(ask, range(count)))


def test_twenty_calls_at_once_never_spend_more_than_the_budget(
    opened: Callable[..., Store], question: Question[Annotation], beta_cell: str
) -> None:
    store, backend = opened(usd_per_subject=1.0), Priced(beta_cell)
    outcomes = ask_many(store, backend, question, 30)
    refused = [one for one in outcomes if isinstance(one, BudgetExhausted)]
    assert store.totals().usd == pytest.approx(COST * backend.calls)
    # Reservations that fill the budget wait for settlements: it is used until the next worst case does not fit.
    assert 1.0 - WORST < store.totals().usd <= 1.0
    assert len(refused) == 30 - backend.calls
    assert refused[0].status is Status.BUDGET_EXHAUSTED
    assert "dataset 'islets' (max_usd) is $1, of which $0.7 is spent" in str(refused[0])


def test_a_raised_budget_finishes_the_rest_only(
    opened: Callable[..., Store], question: Question[Annotation], beta_cell: str
) -> None:
    backend = Priced(beta_cell)
    ask_many(opened(usd_per_subject=1.0), backend, question, 15)
    assert backend.calls == 7
    outcomes = ask_many(opened("run-2/scores", usd_per_subject=9.0), backend, question, 15)
    assert backend.calls == 15
    assert sum(one.cached for one in outcomes) == 7


def test_a_run_has_a_budget_over_all_its_assets_and_another_run_its_own(
    opened: Callable[..., Store], question: Question[Annotation], beta_cell: str
) -> None:
    backend = Priced(beta_cell)
    ask_many(opened("run-1/annotations", usd_per_run=0.5), backend, question, 1)
    ask_many(opened("run-1/scores", usd_per_run=0.5), backend, question, 9)
    assert backend.calls == 2
    ask_many(opened("run-10/scores", usd_per_run=0.5), backend, question, 9)
    assert backend.calls == 4


def test_another_dataset_has_a_budget_of_its_own(
    opened: Callable[..., Store], question: Question[Annotation], beta_cell: str
) -> None:
    elsewhere = replace(question, subject="islets2/0.4/3")
    ask_many(opened(), Priced(beta_cell), elsewhere, 9)
    outcomes = ask_many(opened(usd_per_subject=0.5), Priced(beta_cell), replace(question, system="again"), 1)
    assert not isinstance(outcomes[0], Exception)


def test_a_call_of_unknown_fate_counts_as_its_worst_case(
    opened: Callable[..., Store], question: Question[Annotation], pauses: list[float]
) -> None:
    silent = Priced(Unavailable("silence", unanswered=True))
    with pytest.raises(BudgetExhausted, match=r"\$0\.8 is spent"):
        Door(silent, opened(usd_per_subject=1.0)).ask(question)
    assert silent.calls == 2


def test_a_call_that_was_turned_away_costs_nothing(
    opened: Callable[..., Store], question: Question[Annotation], pauses: list[float]
) -> None:
    with pytest.raises(Unavailable, match="busy"):
        Door(Priced(Unavailable("busy")), opened(usd_per_subject=0.5)).ask(question)


def test_an_unknown_price_is_refused_before_anything_is_sent(
    opened: Callable[..., Store], question: Question[Annotation], beta_cell: str
) -> None:
    backend = Priced(beta_cell, worst=None)
    with pytest.raises(ModelError, match=r"price of shop/shop-1 is not known.*usd_per_million_input"):
        Door(backend, opened(usd_per_run=1.0)).ask(question)
    assert backend.calls == 0
    assert Door(backend, opened()).ask(question).cached is False, "without a budget nobody needs the price"
