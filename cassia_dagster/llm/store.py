"""One file that remembers: the replies that were bought, and every call that was made for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from cassia_dagster.llm.cache import ReplyCache
from cassia_dagster.llm.database import Database
from cassia_dagster.llm.ledger import Call, Ledger, Totals


class Store:
    """The cache and the ledger of one run, in one SQLite file that all runs share.

    Open it with `Store.open`; it is also a context manager that closes itself.

    Parameters
    ----------
    database
        The file.
    run
        The run that new rows of the ledger belong to.
    """

    def __init__(self, database: Database, run: str) -> None:
        self._database = database
        self.run = run
        self.replies = ReplyCache(database)
        self.ledger = Ledger(database, run)

    @classmethod
    def open(cls, path: str | Path, run: str | None = None) -> Self:
        """Open a store, made if need be, and mark what dead processes left unsettled.

        Parameters
        ----------
        path
            The file; may be in use by other processes.
        run
            Name of the run that calls are entered for, e.g. Dagster's run id; by default a new one.

        Raises
        ------
        ConfigurationError
            If the file cannot be used: not writable, no database, or of a newer version.
        """
        store = cls(Database(Path(path).absolute()), run or uuid.uuid4().hex)
        store.ledger.mark_lost()
        return store

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
