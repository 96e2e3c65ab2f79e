"""The one way to ask a model: a typed question in, a validated reply out.

Every question walks the same path: cache, questions in flight, then call by call budget, gate and the ledger's
intent, the backend, the parser, and the settlement. What one model has no usable answer to goes to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from pydantic import BaseModel, ValidationError

from cassia_dagster.llm.backend import Backend, MeteredBackend, PatientBackend, RawReply, Take
from cassia_dagster.llm.cache import StoredReply, question_key
from cassia_dagster.llm.errors import BudgetExhausted, RateLimited, Unavailable, UnusableReply
from cassia_dagster.llm.ledger import CallState
from cassia_dagster.llm.parse import parse_reply
from cassia_dagster.llm.question import Answer, Question, Usage
from cassia_dagster.llm.retry import next_take, pause_before
from cassia_dagster.llm.store import Store
from cassia_dagster.llm.watched import tell

__all__ = ["Answer", "Door", "Question"]


class Door:
    """Ask a model, through a cache, a budget, a gate and a ledger.

    Parameters
    ----------
    backend
        Who answers.
    store
        Where replies and calls are kept; opened for one run.
    fallbacks
        Who is asked, in this order, what those before gave no usable answer to.
    """

    def __init__(self, backend: Backend, store: Store, fallbacks: Sequence[Backend] = ()) -> None:
        self._backends = (backend, *fallbacks)
        self._store = store
        self._in_flight = _InFlight()

    def ask[R: BaseModel](self, question: Question[R]) -> Answer[R]:
        """Ask one question, and wait for its validated reply; safe to use from many threads.

        The same question is paid once: a stored reply is returned as it stands, and a question that
        another thread is asking at this moment is waited for.

        Parameters
        ----------
        question
            What to ask.

        Returns
        -------
        Answer
            The reply, what it took, and which model gave it; the cache keeps it under that model's key.

        Raises
        ------
        UnusableReply
            If this question got no usable reply; its ``status`` is what the cluster's row says.
        ModelError
            If no question can be answered: bad key, no credit, unknown model.
        """
        *first, last = self._backends
        for backend in first:
            try:
                return self._ask(question, backend)
            except BudgetExhausted:
                raise
            except UnusableReply:
                continue  # the ledger has the reason
        try:
            return self._ask(question, last)
        except RateLimited as error:
            self._store.note_pause(error.retry_after)
            raise

    def _ask[R: BaseModel](self, question: Question[R], backend: Backend) -> Answer[R]:
        begun = time.monotonic()
        key = question_key(question, backend.identity(question))
        outcome, shared = self._in_flight.share(key, lambda: self._stored_or_asked(question, key, backend))
        cached = shared or outcome.cached
        if cached:
            self._store.ledger.hit(question, key, backend, outcome.kept.model)
            tell(question, backend, "cached", time.monotonic() - begun)
        return Answer(
            reply=question.reply_type.model_validate_json(outcome.kept.text),
            text=outcome.kept.text,
            cached=cached,
            key=key,
            provider=backend.provider,
            model=outcome.kept.model,
            usage=Usage() if shared else outcome.usage,
            usd=0.0 if shared else outcome.usd,
            seconds=time.monotonic() - begun,
        )

    def _stored_or_asked(self, question: Question[Any], key: str, backend: Backend) -> _Outcome:
        kept = self._store.replies.find(key)
        if kept is None:
            return self._asked(question, key, backend)
        try:
            question.reply_type.model_validate_json(kept.text)
        except ValidationError:
            # A rule of the reply type that its schema cannot express has become stricter since.
            self._store.replies.drop(key)
            return self._asked(question, key, backend)
        return _Outcome(kept, cached=True, usage=Usage(), usd=0.0)

    def _asked(self, question: Question[Any], key: str, backend: Backend) -> _Outcome:
        received: list[RawReply] = []
        take = Take()
        while True:  # ends, because `next_take` gives up after a few calls
            try:
                outcome = self._call(question, key, backend, take)
            except UnusableReply as error:
                again = next_take(take, error) if _may_ask_again(backend, error) else None
                if again is None:
                    raise
                if error.raw is not None:
                    received.append(error.raw)
                pause = pause_before(again, error)
            else:
                return outcome.after(received)
            take = again
            time.sleep(pause)

    def _call(self, question: Question[Any], key: str, backend: Backend, take: Take) -> _Outcome:
        """Make one call when it may be sent; its reply is stored, and its intent settled, in one step."""
        ledger = self._store.ledger
        call = self._store.intend(question, key, backend, take)
        if call is None:  # another process has bought the reply while this one waited for its turn
            return self._stored_or_asked(question, key, backend)
        sent, begun = time.time(), time.monotonic()
        try:
            raw = (
                backend.answer_again(question, take)
                if isinstance(backend, PatientBackend)
                else backend.answer(question)
            )
            text = parse_reply(raw, question.reply_type)
        except Exception as error:
            if isinstance(error, Unavailable) and isinstance(backend, MeteredBackend):
                self._heed(error, backend, sent)
            fate: CallState = "lost" if isinstance(error, Unavailable) and error.unanswered else "failed"
            received = getattr(error, "raw", None)
            ledger.settle(call, fate, time.monotonic() - begun, received, error)
            tell(question, backend, fate, time.monotonic() - begun, received, error)
            raise
        except BaseException as error:
            # Interrupted while the provider may be at work, and may send a bill.
            ledger.settle(call, "lost", time.monotonic() - begun, None, error)
            raise
        with self._store.transaction():
            kept = self._store.replies.keep(key, text, raw, provider=backend.provider, model=backend.model)
            ledger.settle(call, "done", time.monotonic() - begun, raw)
        tell(question, backend, "done", time.monotonic() - begun, raw)
        return _Outcome(kept, cached=False, usage=raw.usage, usd=raw.usd)

    def _heed(self, error: Unavailable, backend: MeteredBackend, sent: float) -> None:
        """Tell everybody who asks this provider to go slow, if it says so."""
        if isinstance(error, RateLimited) or error.retry_after:
            with self._store.transaction():
                self._store.gate.slow_down(backend.quota, error.retry_after, sent)


def _may_ask_again(backend: Backend, error: UnusableReply) -> bool:
    return isinstance(error, Unavailable) or isinstance(backend, PatientBackend)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A reply, and what was paid for it now."""

    kept: StoredReply
    cached: bool
    usage: Usage
    usd: float | None

    def after(self, received: Sequence[RawReply]) -> _Outcome:
        """Add what earlier replies took that could not be used."""
        prices = [self.usd, *(raw.usd for raw in received)]
        return replace(
            self,
            usage=sum((raw.usage for raw in received), self.usage),
            usd=None if None in prices else sum(price for price in prices if price is not None),
        )


class _InFlight:
    """Questions that are being asked at this moment, so that nobody asks them twice."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._futures: dict[str, Future[_Outcome]] = {}

    def share(self, key: str, produce: Callable[[], _Outcome]) -> tuple[_Outcome, bool]:
        """Produce an outcome, or wait for the thread that does; tell which by ``True`` for waiting.

        What the other thread fails with is raised here, too.
        """
        with self._lock:
            theirs = self._futures.get(key)
            if theirs is None:
                ours: Future[_Outcome] = Future()
                self._futures[key] = ours
        if theirs is not None:
            return theirs.result(), True
        try:
            outcome = produce()
        except BaseException as error:
            ours.set_exception(error)
            raise
        else:
            ours.set_result(outcome)
            return outcome, False
        finally:
            with self._lock:
                del self._futures[key]
