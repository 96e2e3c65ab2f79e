"""Dagster's records in SQLite with the databases left open, for a process that writes to them all the time.

Dagster opens a database for each event and closes it again, and SQLite clears up whenever the last to use one goes.
That is right for the processes of its server. A process that makes a whole dataset writes more than a hundred events a
resolution, and of a small dataset opening and closing was a large part of the time. The files are the same, and others
may read and write them meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory, _runs_directory

if TYPE_CHECKING:
    from dagster._core.events.log import EventLogEntry
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy.engine import Connection, Engine

MOST_RUNS = 2
"""Databases of single runs that stay open, those used last."""
_PATIENCE = 30
"""Seconds to wait for another process that writes."""


def left_open(ref: InstanceRef) -> dict[str, Any]:
    """Return settings by which an instance leaves its databases open; none if it does not keep them in SQLite."""
    found = ref.storage_data
    if found is None or found.class_name != DagsterSqliteStorage.__name__:
        return {}
    settings = {"module": __name__, "class": OpenStorage.__name__, "config": dict(found.config_dict)}
    return {"storage": {"custom": settings}}


class OpenStorage(DagsterSqliteStorage):
    """Dagster's usual storage, but for its databases of runs and events, which stay open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._run_storage = _OpenRuns.from_local(_runs_directory(base_dir))
        self._event_log_storage = _OpenEventLog(_event_logs_directory(base_dir))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make it of the settings that `left_open` gives."""
        return cls(inst_data=inst_data, **config_value)


class _OpenRuns(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engine = _engine_of(conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()
        super().dispose()


class _OpenEventLog(SqliteEventLogStorage):
    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._of_all = _engine_of(create_db_conn_string(base_dir, INDEX_SHARD_NAME))
        self._of_runs: dict[str, Engine] = {}  # that used last is the last
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._of_all if shard == INDEX_SHARD_NAME else self._of_run(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _of_run(self, run_id: str) -> Engine:
        engine = self._of_runs.pop(run_id, None) or _engine_of(self.conn_string_for_shard(run_id))
        self._of_runs[run_id] = engine
        while len(self._of_runs) > MOST_RUNS:
            self._of_runs.pop(next(iter(self._of_runs))).dispose()
        return engine

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(event)
        # The page of a run waits for its database to change; while that is open, what is written lies beside it.
        os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        with self._of_all.connect() as connection:
            return bool(self._of_all.dialect.has_table(connection, table_name))

    def wipe(self) -> None:
        self._close()  # files that are removed while they are open would be written to for ever
        super().wipe()

    def dispose(self) -> None:
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._db_lock:
            for engine in (self._of_all, *self._of_runs.values()):
                engine.dispose()
            self._of_runs.clear()


def _engine_of(address: str) -> Engine:
    return create_engine(address, connect_args={"timeout": _PATIENCE})
