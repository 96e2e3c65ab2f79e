"""Tests of the one call path."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydantic import field_validator

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.errors import BudgetExhausted, InvalidReply, Refused, Unavailable, UnusableReply
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation, Record

type Scripted = Callable[..., Any]


def test_a_question_gets_a_typed_reply_and_is_paid_once(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str
) -> None:
    backend = script(beta_cell)
    door = Door(backend, store)
    bought, again = door.ask(question), door.ask(replace(question, subject="islets/1.0/5"))
    assert bought.reply.label == "type B pancreatic cell"
    assert (bought.cached, bought.model, bought.usage, bought.usd) == (
        False,
        "script-1-2026",
        Usage(100, 20, 60, 5),
        0.25,
    )
    assert (again.reply, again.text, again.key) == (bought.reply, beta_cell, bought.key)
    assert (again.cached, again.model, again.usage, again.usd) == (True, "script-1-2026", Usage(), 0.0)
    assert len(backend.takes) == 1


def test_the_ledger_has_a_row_for_every_question(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str
) -> None:
    door = Door(script(beta_cell), store)
    door.ask(question)
    door.ask(replace(question, subject="islets/1.0/5"))
    bought, again = store.calls("run-1")
    assert (bought.state, bought.attempt, bought.subject, bought.role) == (
        "done",
        1,
        "islets/0.4/3",
        "annotate",
    )
    assert (bought.provider_name, bought.request_model, bought.response_model) == (
        "script",
        "script-1",
        "script-1-2026",
    )
    assert (bought.input_tokens, bought.output_tokens, bought.usd) == (100, 20, 0.25)
    assert (bought.template, bought.finish_reason) == ("annotate.v1@3fa9c1", "stop")
    assert (again.state, again.attempt, again.subject, again.usd) == ("cached", 0, "islets/1.0/5", None)
    assert bought.key == again.key


def test_an_invalid_reply_is_asked_again_with_the_errors_and_both_calls_are_paid(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str
) -> None:
    cut = RawReply('{"general', "length", "script-1", Usage(100, 30), usd=0.5)
    backend = script(cut, '{"general_celltype": 8}', beta_cell)
    answer = Door(backend, store).ask(question)
    assert [take.room for take in backend.takes] == [1, 2, 2]
    assert backend.takes[2].rejected == '{"general_celltype": 8}'
    assert backend.takes[2].complaint.startswith("general_celltype: ")
    assert (answer.usage, answer.usd) == (Usage(300, 70, 120, 10), 1.0)
    assert [(call.attempt, call.state, call.error_type) for call in store.calls()] == [
        (1, "failed", "CutShort"),
        (2, "failed", "InvalidReply"),
        (3, "done", None),
    ]
    assert store.totals().usage == answer.usage


def test_only_a_valid_reply_is_stored(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str
) -> None:
    backend = script("no JSON", "still no JSON", beta_cell)
    door = Door(backend, store)
    with pytest.raises(InvalidReply, match="Choose a model that follows"):
        door.ask(question)
    assert store.replies.find(next(store.calls()).key) is None
    assert door.ask(question).cached is False


def test_rules_in_code_are_not_asked_to_reconsider(store: Store, question: Question[Annotation]) -> None:
    class Rules:
        provider, model = "embedded", "embedded-1"

        def identity(self, question: Question[Any]) -> dict[str, str]:
            return {"user": question.user}

        def answer(self, question: Question[Any]) -> RawReply:
            return RawReply(question.user, "stop", "embedded-1", usd=0.0)

    with pytest.raises(InvalidReply):
        Door(Rules(), store).ask(question)
    assert store.totals().calls == 1


def test_an_unavailable_provider_is_waited_for_as_long_as_it_asks_and_not_for_ever(
    store: Store, question: Question[Annotation], script: Scripted, pauses: list[float]
) -> None:
    backend = script(Unavailable("busy", retry_after=20), *[Unavailable("busy")] * 9)
    with pytest.raises(Unavailable):
        Door(backend, store).ask(question)
    assert len(backend.takes) == 4
    assert pauses[0] == 20
    assert len(pauses) == 3


@pytest.mark.parametrize("error", [ModelError("no credit"), Refused("no"), KeyError("a defect")])
def test_what_cannot_succeed_is_tried_once_and_is_not_remembered(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str, error: Exception
) -> None:
    door = Door(script(error, beta_cell), store)
    with pytest.raises(type(error)):
        door.ask(question)
    assert [call.error_type for call in store.calls()] == [type(error).__name__]
    assert door.ask(question).cached is False


class Twins:
    """A backend that answers when a second thread waits for the same question."""

    provider, model = "twins", "twins-1"

    def __init__(self, outcome: str | Exception) -> None:
        self.outcome = outcome
        self.second_waits = threading.Event()
        self.calls = 0

    def identity(self, question: Question[Any]) -> dict[str, str]:
        return {"user": question.user}

    def answer(self, question: Question[Any]) -> RawReply:
        self.calls += 1
        assert self.second_waits.wait(30), f"nobody else asks {question.user}"
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return RawReply(self.outcome, "stop", "twins-1", Usage(10, 1), usd=0.5)


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch, beta_cell: str) -> Twins:
    backend = Twins(beta_cell)
    wait = Future.result

    def wait_audibly(future: Future[Any], timeout: float | None = None) -> Any:
        if threading.current_thread() is not threading.main_thread():
            backend.second_waits.set()
        return wait(future, timeout)

    monkeypatch.setattr(Future, "result", wait_audibly)
    return backend


def test_two_threads_with_the_same_question_cause_one_call(
    store: Store, question: Question[Annotation], twins: Twins
) -> None:
    door = Door(twins, store)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(door.ask, question) for _ in range(2)]
    answers = [future.result() for future in futures]
    assert twins.calls == 1
    assert sorted(answer.cached for answer in answers) == [False, True]
    assert {answer.reply.label for answer in answers} == {"type B pancreatic cell"}
    totals = store.totals()
    assert (totals.calls, totals.cached, totals.usd) == (1, 1, 0.5)


def test_a_failure_reaches_both_threads_and_is_not_remembered(
    store: Store, question: Question[Annotation], twins: Twins, beta_cell: str
) -> None:
    twins.outcome = Refused("no")
    door = Door(twins, store)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(door.ask, question) for _ in range(2)]
    assert [type(future.exception()) for future in futures] == [Refused, Refused]
    assert twins.calls == 1
    twins.outcome = beta_cell
    assert door.ask(question).cached is False


def test_many_threads_with_different_questions_are_all_answered(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str
) -> None:
    door = Door(script(*[beta_cell] * 50), store)
    questions = [replace(question, user=f"cluster {number}") for number in range(50)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(door.ask, [*questions, *questions]))
    assert len({answer.key for answer in answers}) == 50
    totals = store.totals()
    assert (totals.calls, totals.cached, totals.usd) == (50, 50, 12.5)


def label_among(*known: str) -> type[Record]:
    """Make a reply type whose schema does not tell which labels it takes."""

    class Label(Record):
        label: str

        @field_validator("label")
        @classmethod
        def is_known(cls, label: str) -> str:
            if label not in known:
                raise ValueError("the label is not known")
            return label

    return Label


def test_a_stored_reply_that_a_stricter_rule_rejects_is_bought_anew(
    store: Store, question: Question[Any], script: Scripted
) -> None:
    door = Door(script('{"label": "glia"}', '{"label": "neuron"}'), store)
    old = door.ask(replace(question, reply_type=label_among("glia", "neuron")))
    new = door.ask(replace(question, reply_type=label_among("neuron")))
    assert new.key == old.key
    assert (new.cached, new.text) == (False, '{"label": "neuron"}')


def test_whoever_asks_catches_a_reply_error_with_the_status_of_the_row(
    store: Store, question: Question[Annotation], script: Scripted
) -> None:
    with pytest.raises(UnusableReply) as caught:
        Door(script(Refused("no")), store).ask(question)
    assert caught.value.status == "refused"  # type: ignore[attr-defined]


class Named:
    """A backend of a name, that plays back what it was given."""

    def __init__(self, name: str, script: Any) -> None:
        self.provider, self.model, self._script = name, f"{name}-1", script

    def identity(self, question: Question[Any]) -> dict[str, str]:
        return {"model": self.model, "user": question.user}

    def answer(self, question: Question[Any]) -> RawReply:
        reply: RawReply = self._script.answer(question)
        return replace(reply, model=self.model)


@pytest.mark.parametrize("trouble", [Unavailable("down", retry_after=3600), Refused("no")])
def test_what_one_model_has_no_answer_to_goes_to_the_next(
    store: Store, question: Question[Annotation], script: Scripted, beta_cell: str, trouble: Exception
) -> None:
    first, second = Named("first", script(trouble)), Named("second", script(beta_cell))
    answer = Door(first, store, fallbacks=[second]).ask(question)
    assert (answer.provider, answer.model, answer.cached) == ("second", "second-1", False)
    assert [(call.provider_name, call.state) for call in store.calls()] == [("first", "failed"), ("second", "done")]
    assert Door(second, store).ask(question).cached, "the reply is kept under the model that gave it"


def test_when_the_last_fallback_fails_too_its_reason_stands(
    store: Store, question: Question[Annotation], script: Scripted
) -> None:
    door = Door(Named("first", script(Refused("not I"))), store, [Named("second", script(Refused("nor I")))])
    with pytest.raises(Refused, match="nor I"):
        door.ask(question)


@pytest.mark.parametrize("error", [ModelError("bad key"), BudgetExhausted("spent")])
def test_a_bad_key_and_an_empty_purse_are_no_reason_to_ask_somebody_else(
    store: Store, question: Question[Annotation], script: Scripted, error: Exception
) -> None:
    asked = script("never played")
    with pytest.raises(type(error)):
        Door(Named("first", script(error)), store, [Named("second", asked)]).ask(question)
    assert asked.takes == []
