"""One file that remembers: the replies that were bought, every call that was made for them, and what is left."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cassia_dagster.llm.backend import Backend, MeteredBackend, Reservation, Take
from cassia_dagster.llm.budget import Budget, Limits
from cassia_dagster.llm.cache import ReplyCache
from cassia_dagster.llm.database import Database
from cassia_dagster.llm.errors import Unavailable
from cassia_dagster.llm.gate import POLL, Gate
from cassia_dagster.llm.ledger import Call, Ledger, Totals
from cassia_dagster.llm.postgres import SCHEME, PostgresDatabase
from cassia_dagster.llm.question import Question

__all__ = ["Limits", "Store"]

LONGEST_QUEUE = 1800.0
"""Seconds that a call waits for its turn."""
_LONGEST_SLEEP = 1.0
_BETWEEN_LOOKS = 5.0
"""Seconds between two looks for processes that died and left calls behind."""


class Store:
    """The cache, the ledger, the budget and the gate of one run, in one SQLite file that all runs share.

    Open it with `Store.open`; it is also a context manager that closes itself.

    Parameters
    ----------
    database
        The file.
    run
        The run that new rows of the ledger belong to.
    limits
        What may be spent; by default there is no limit.
    """

    def __init__(self, database: Database, run: str, limits: Limits | None = None) -> None:
        self._database = database
        self.run = run
        self.replies = ReplyCache(database)
        self.ledger = Ledger(database, run)
        self.gate = Gate(database)
        self.budget = Budget(database, limits or Limits(), run)
        self.longest_pause = 0.0
        """Seconds that a provider asked for that left a question unanswered; 0 if there is none."""
        self._closed_until = 0.0

    @property
    def pause(self) -> float:
        """Seconds that are left of such pauses: none, if others were answered meanwhile for as long."""
        return max(0.0, self._closed_until - time.monotonic())

    def note_pause(self, seconds: float) -> None:
        """Remember that a question stays unanswered because its provider asked for so long a pause."""
        self.longest_pause = max(self.longest_pause, seconds)
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    @classmethod
    def open(cls, path: str | Path, run: str | None = None, limits: Limits | None = None) -> Self:
        """Open a store, made if need be, and mark what dead processes left unsettled.

        Parameters
        ----------
        path
            The file, or the address of a PostgreSQL database; may be in use by other processes.
        run
            Name of the run that calls are entered for, e.g. Dagster's run id; by default a new one.
        limits
            What may be spent; by default there is no limit.

        Raises
        ------
        ConfigurationError
            If the file cannot be used: not writable, no database, or of a newer version.
        """
        store = cls(_database(path), run or uuid.uuid4().hex, limits)
        store.ledger.mark_lost()
        return store

    def intend(self, question: Question[Any], key: str, backend: Backend, take: Take) -> int | None:
        """Wait until budget and gate let a call pass, and write down that it is sent, in one step.

        Returns
        -------
        int or None
            The number of the call; ``None`` if somebody else has bought the reply while this call waited.

        Raises
        ------
        BudgetExhausted
            If the budget does not reach for the call, whatever becomes of those under way.
        ModelError
            If there is a budget and the call has no known price.
        Unavailable
            If the provider asked for a long pause, or the call has waited for half an hour.
        """
        if not isinstance(backend, MeteredBackend):
            return self.ledger.intend(question, key, backend, take.attempt)
        reservation, begun = backend.reservation(question, take), time.monotonic()
        look = begun + _BETWEEN_LOOKS
        while (now := time.monotonic()) < begun + LONGEST_QUEUE:
            with self.transaction():
                if self.replies.find(key) is not None:
                    return None
                wait = self._wait(key, backend, reservation)
                if not wait:
                    return self.ledger.intend(question, key, backend, take.attempt, reservation)
            if now > look:
                self.ledger.mark_lost()
                look = now + _BETWEEN_LOOKS
            time.sleep(min(wait, _LONGEST_SLEEP) * random.uniform(1.0, 1.2))  # noqa: S311
        raise Unavailable(
            f"{backend.provider}/{backend.model} had no place for this question in {LONGEST_QUEUE / 60:.0f} minutes: "
            "other calls took all of its quota or budget. Run again later; what is finished is not asked again.",
            retry_after=LONGEST_QUEUE,  # longer than anybody waits, so that this is not tried again
        )

    def _wait(self, key: str, backend: MeteredBackend, reservation: Reservation) -> float:
        """Tell how long to wait before the call may be sent; 0 if it may be now."""
        if self.ledger.is_under_way(key):
            return POLL  # another process is buying this very reply
        if not self.budget.permits(reservation.usd, backend):
            return POLL
        return self.gate.wait(backend.quota, reservation.tokens)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def transaction(self) -> AbstractContextManager[None]:
        """Make changes of cache and ledger together, or not at all."""
        return self._database.transaction()

    def calls(self, run: str | None = None, subject: str | None = None) -> Iterator[Call]:
        """Give rows of the ledger, oldest first.

        Parameters
        ----------
        run
            Only those of this run.
        subject
            Only those about this subject and the ones below it: ``"islets/0.4"`` has ``"islets/0.4/3"``.
        """
        return self.ledger.calls(run, subject)

    def totals(self, run: str | None = None, subject: str | None = None) -> Totals:
        """Sum up what such rows took; for the parameters see `Store.calls`."""
        return self.ledger.totals(run, subject)

    def close(self) -> None:
        """Close the file; nobody may be asking any more."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _database(place: str | Path) -> Database:
    if isinstance(place, str) and place.startswith(SCHEME):
        return PostgresDatabase(place)
    return Database(Path(place).absolute())
