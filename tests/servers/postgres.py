"""A PostgreSQL server of its own, as Debian packages it, on the loopback interface."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a server with empty data; gives the address of its host, without a database."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: uv sync --extra postgres")
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # It refuses to run as root, and then runs as the user that its package made.
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    lower = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    as_owner = lower if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="cassia-postgres-"))
    os.chown(folder, account.pw_uid, account.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, options = folder / "data", ["--auth=trust", "--username=cassia", "--no-sync", "--encoding=UTF8"]
    subprocess.run([*as_owner, BINARIES[-1] / "initdb", "-D", data, *options], check=True, capture_output=True)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*as_owner, BINARIES[-1] / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"postgresql://cassia@127.0.0.1:{port}"
        _wait(f"{url}/postgres", server, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The address of an empty database."""
    import psycopg2

    name = f"test_{time.time_ns()}"
    connection = psycopg2.connect(f"{postgres_server}/postgres")
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"{postgres_server}/{name}"


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg2.connect(url).close()
        except psycopg2.OperationalError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")
