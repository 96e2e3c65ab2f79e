"""The SQLite file beneath cache, ledger, budget and gate, safe to use from many threads and processes at once."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

from cassia_dagster.errors import ConfigurationError

PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""

# What each version of the file added, the first one first. The columns of replies and calls are named after
# OpenTelemetry's terms for generative AI (gen_ai.request.model and so on), without the prefix that they all share.
VERSIONS = (
    """
CREATE TABLE replies (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    request_model TEXT NOT NULL,
    response_model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL,
    reasoning_output_tokens INTEGER NOT NULL,
    usd REAL,
    created REAL NOT NULL
) STRICT;
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    host TEXT NOT NULL,
    process TEXT NOT NULL,
    started REAL NOT NULL,
    seconds REAL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'done', 'failed', 'lost', 'cached')),
    attempt INTEGER NOT NULL,
    role TEXT NOT NULL,
    subject TEXT NOT NULL,
    template TEXT NOT NULL,
    replicate INTEGER NOT NULL,
    key TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    request_model TEXT NOT NULL,
    response_model TEXT,
    finish_reason TEXT,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_input_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_output_tokens INTEGER NOT NULL DEFAULT 0,
    usd REAL,
    error_type TEXT,
    error_message TEXT
) STRICT;
CREATE INDEX calls_by_run ON calls (run);
CREATE INDEX calls_by_subject ON calls (subject);
CREATE INDEX calls_under_way ON calls (state) WHERE state = 'sent';
""",
    """
ALTER TABLE calls ADD COLUMN lane TEXT;
ALTER TABLE calls ADD COLUMN expires REAL;
ALTER TABLE calls ADD COLUMN reserved_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN reserved_usd REAL;
CREATE INDEX calls_by_lane ON calls (lane, started);
CREATE TABLE lanes (
    name TEXT PRIMARY KEY,
    closed_until REAL NOT NULL,
    spacing REAL NOT NULL,
    slowed REAL NOT NULL
) STRICT;
""",
)
SCHEMA_VERSION = len(VERSIONS)


class _Connection(sqlite3.Connection):
    """A connection that is closed when the thread that used it is gone."""

    def __del__(self) -> None:
        self.close()


class Database:
    """One SQLite file with a connection for each thread.

    Parameters
    ----------
    path
        The file; it and its folders are made if need be.

    Raises
    ------
    ConfigurationError
        If the file cannot be used: no database, or of a newer version of this program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._of_thread = threading.local()
        self._open: WeakSet[_Connection] = WeakSet()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The reply store {path} cannot be opened ({error}). Make its folder writable, move the file"
                " away if it is no SQLite database, or name another path."
            ) from error

    def _prepare(self) -> None:
        connection = self._connection()
        _write_ahead(connection)
        with self.transaction():
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise ConfigurationError(
                    f"The reply store {self.path} has schema version {version}, and this program knows versions up"
                    f" to {SCHEMA_VERSION}. Upgrade cassia-dagster, or name another path for the store."
                )
            for step in VERSIONS[version:]:
                for statement in step.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _connection(self) -> _Connection:
        connection: _Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=PATIENCE, autocommit=True, check_same_thread=False, factory=_Connection
            )
            # With a write-ahead log a killed process loses nothing; waiting for the disk would help in a power cut.
            connection.execute("PRAGMA synchronous = NORMAL")
            self._of_thread.connection = connection
            self._open.add(connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the statements inside one step, that happens as a whole or not at all."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def run(self, sql: str, *values: Any) -> int:
        """Execute a statement, and give the id of the row that it inserted, if it did."""
        return self._connection().execute(sql, values).lastrowid or 0

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Fetch the first row of a query."""
        row: tuple[Any, ...] | None = self._connection().execute(sql, values).fetchone()
        return row

    def rows(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Fetch the rows of a query one by one."""
        yield from self._connection().execute(sql, values)

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in list(self._open):
            connection.close()
        self._of_thread = threading.local()


def within(column: str, name: str) -> tuple[str, list[str]]:
    """Write the condition for a name and all below it: ``"islets/0.4"`` has ``"islets/0.4/3"``."""
    # All that begins with "name/", in a way that an index helps with: "0" is the sign after "/".
    return f"({column} = ? OR ({column} >= ? AND {column} < ?))", [name, f"{name}/", f"{name}0"]


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, so that readers and a writer do not wait for each other.

    SQLite does not wait its usual time for this one switch, when another process opens the new file at
    the same moment. A file system without shared memory keeps the older journal, which is slower and as safe.
    """
    for _ in range(100):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.05)
        else:
            return
    raise sqlite3.OperationalError("it was locked for five seconds")
