"""Tests of the pace at which a provider is asked, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cassia_dagster.llm.backend import Quota, RawReply, Reservation
from cassia_dagster.llm.database import Database
from cassia_dagster.llm.door import Question
from cassia_dagster.llm.errors import RateLimited
from cassia_dagster.llm.gate import CAREFUL, WINDOW, Gate
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation


class Clock:
    """The wall clock, as far as a test wants it to go."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr("time.time", moved)
    return moved


class Asked:
    """A backend that is only a name and a quota here."""

    provider, model, price = "p", "m", None

    def __init__(self, quota: Quota) -> None:
        self.quota = quota

    def identity(self, question: object) -> dict[str, str]:  # noqa: ARG002
        return {}

    def answer(self, question: object) -> RawReply:
        raise NotImplementedError

    def reservation(self, question: object, take: object) -> Reservation:
        raise NotImplementedError


@pytest.fixture
def send(store: Store, question: Question[Annotation]) -> Callable[..., int]:
    """Write down that a call was sent; give its number."""

    def write(quota: Quota, tokens: int = 100) -> int:
        return store.ledger.intend(question, "key", Asked(quota), 1, Reservation(tokens, 0.0, 60.0))

    return write


def settle(store: Store, call: int, tokens: int = 0) -> None:
    store.ledger.settle(call, "done", 1.0, RawReply("{}", "stop", "m", Usage(tokens, 0)))


@pytest.fixture
def gate(store: Store) -> Gate:
    return store.gate


def test_no_more_requests_pass_in_a_minute_than_nine_tenths_of_the_quota(
    gate: Gate, store: Store, send: Callable[..., int], clock: Clock
) -> None:
    quota = Quota("lane", requests_per_minute=10)
    for _ in range(9):
        assert gate.wait(quota, 1) == 0
        settle(store, send(quota))
        clock.now += 1
    assert gate.wait(quota, 1) == pytest.approx(WINDOW - 9)
    clock.now += WINDOW - 9
    assert gate.wait(quota, 1) == 0


def test_tokens_count_as_reserved_and_then_as_they_were(
    gate: Gate, store: Store, send: Callable[..., int], clock: Clock
) -> None:
    quota = Quota("lane", tokens_per_minute=1000)
    call = send(quota, tokens=800)
    assert gate.wait(quota, 200) > 0
    settle(store, call, tokens=300)
    assert gate.wait(quota, 200) == 0


def test_a_call_larger_than_the_quota_passes_alone(gate: Gate, send: Callable[..., int], clock: Clock) -> None:
    quota = Quota("lane", tokens_per_minute=1000)
    assert gate.wait(quota, 5000) == 0
    send(quota)
    assert gate.wait(quota, 5000) > 0


def test_calls_in_flight_have_places_and_give_them_back(
    gate: Gate, store: Store, send: Callable[..., int], clock: Clock
) -> None:
    quota = Quota("lane", max_concurrency=2)
    first, _ = send(quota), send(quota)
    assert gate.wait(quota, 1) > 0
    assert gate.wait(Quota("another lane", max_concurrency=2), 1) == 0
    settle(store, first)
    assert gate.wait(quota, 1) == 0


def test_a_place_on_another_machine_that_died_is_free_when_its_call_expires(
    gate: Gate, store: Store, send: Callable[..., int], clock: Clock
) -> None:
    quota = Quota("lane", max_concurrency=1)
    send(quota)
    Database(store._database.path).run("UPDATE calls SET host = 'elsewhere'")
    store.ledger.mark_lost()
    assert gate.wait(quota, 1) > 0
    clock.now += 61
    store.ledger.mark_lost()
    assert gate.wait(quota, 1) == 0


def test_a_complaint_closes_the_gate_for_everybody_for_as_long_as_the_provider_asks(gate: Gate, clock: Clock) -> None:
    quota = Quota("lane")
    gate.slow_down(quota, 20.0, sent=clock.now - 1)
    assert gate.wait(quota, 1) == pytest.approx(20)
    assert gate.wait(Quota("another lane"), 1) == 0
    gate.slow_down(quota, 5.0, sent=clock.now - 1)
    assert gate.wait(quota, 1) == pytest.approx(20), "a shorter pause does not end a longer one"
    clock.now += 20
    assert gate.wait(quota, 1) == 0


def test_after_a_complaint_calls_are_spaced_out_for_a_while(gate: Gate, send: Callable[..., int], clock: Clock) -> None:
    quota = Quota("lane", requests_per_minute=60)
    send(quota)
    gate.slow_down(quota, 0.0, sent=clock.now)
    gate.slow_down(quota, 0.0, sent=clock.now)
    assert gate.wait(quota, 1) == pytest.approx(1.0), "complaints of calls that were sent together count once"
    clock.now += 2
    send(quota)
    clock.now += 0.5
    gate.slow_down(quota, 0.0, sent=clock.now - 0.5)
    assert gate.wait(quota, 1) == pytest.approx(1.5), "the next complaint doubles the space"
    clock.now += CAREFUL
    send(quota)
    assert gate.wait(quota, 1) == 0


def test_a_pause_that_is_too_long_is_not_waited_for(gate: Gate, clock: Clock) -> None:
    gate.slow_down(Quota("lane"), 3600.0, sent=clock.now)
    with pytest.raises(RateLimited, match="left alone for 3600 more seconds"):
        gate.wait(Quota("lane"), 1)


def test_a_clock_that_is_set_back_stops_nobody_for_long(gate: Gate, send: Callable[..., int], clock: Clock) -> None:
    quota = Quota("lane", requests_per_minute=1)
    gate.slow_down(quota, 30.0, sent=clock.now)
    send(quota)
    clock.now -= 3600
    assert gate.wait(quota, 1) == 0
