"""Tests of the file beneath cache and ledger, with real processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.database import SCHEMA_VERSION, VERSIONS, Database
from cassia_dagster.llm.store import Store

WRITE_REPLIES = """
import sys
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.store import Store

path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
with Store.open(path, run=name) as store:
    for number in range(100):
        for key in (f"shared-{number}", f"{name}-{number}"):
            store.replies.keep(key, name, RawReply(name, "stop", "m"), provider="p", model="m")
"""


def test_processes_that_make_and_write_one_file_at_once_lose_nothing(path: Path) -> None:
    names = ["a", "b", "c"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_REPLIES, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    database = Database(path)
    assert database.one("SELECT COUNT(*) FROM replies") == (400,)
    assert database.one("SELECT COUNT(*) FROM replies WHERE key LIKE 'shared-%'") == (100,)
    assert database.one("PRAGMA journal_mode") == ("wal",)


def test_threads_have_connections_of_their_own(path: Path) -> None:
    database = Database(path)
    seen: list[object] = []

    def count_beside_the_transaction() -> None:
        seen.append(database.one("SELECT COUNT(*) FROM replies"))

    with database.transaction():
        database.run("INSERT INTO replies VALUES ('k', '{}', 'p', 'm', 'm', 0, 0, 0, 0, NULL, 0)")
        thread = threading.Thread(target=count_beside_the_transaction)
        thread.start()
        thread.join()
    assert seen == [(0,)]
    assert database.one("SELECT COUNT(*) FROM replies") == (1,)


def test_a_transaction_that_fails_leaves_nothing(path: Path) -> None:
    database = Database(path)
    insert = "INSERT INTO replies VALUES ('k', '{}', 'p', 'm', 'm', 0, 0, 0, 0, NULL, 0)"

    def insert_twice() -> None:
        with database.transaction():
            database.run(insert)
            database.run(insert)

    with pytest.raises(sqlite3.IntegrityError):
        insert_twice()
    assert database.one("SELECT COUNT(*) FROM replies") == (0,)


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match=rf"version {SCHEMA_VERSION + 1}.*Upgrade cassia-dagster"):
        Store.open(path)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    path.write_text("cluster,gene\n" * 1000)
    with pytest.raises(ConfigurationError, match=r"replies\.sqlite cannot be opened"):
        Store.open(path)


def test_a_file_of_an_older_version_keeps_its_rows_and_gains_what_is_new(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as old:
        old.executescript(VERSIONS[0])
        old.execute("INSERT INTO replies VALUES ('k', '{}', 'p', 'm', 'm', 0, 0, 0, 0, 0.5, 0)")
        old.execute("PRAGMA user_version = 1")
    old.close()
    with Store.open(path) as store:
        assert store.replies.find("k") is not None
        assert list(store.calls()) == []
    assert Database(path).one("PRAGMA user_version") == (SCHEMA_VERSION,)
