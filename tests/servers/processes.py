"""Processes that tests start and end, and a bounded wait for what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PATIENCE = 400.0


@contextmanager
def running(*command: object, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the project's folder, as the first of a group of processes that all end with it."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            cwd=PROJECT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(60)


def wait_until(true: Callable[[], bool], what: str, logs: Path) -> None:
    """Wait until something is true; a failure says what it was, and how the logs in a folder end."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"{what}\n{_tails(logs)}"
        time.sleep(0.5)


def _tails(logs: Path) -> str:
    return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs.glob("*.log"))
