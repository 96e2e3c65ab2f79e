"""How it is told whether a worker has its run still, with a real queue and a real worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

pytest.importorskip("dagster_celery", reason="dagster-celery is not installed: uv sync --extra celery")

from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from cassia_dagster import celery_launcher
from cassia_dagster.celery_launcher import WatchedCeleryRunLauncher
from tests.servers.redis import redis_server

__all__ = ["redis_server"]

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def worker(redis_server: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-A", "tests.servers.sleeper", "worker", "--concurrency", "1"]
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | {"SLEEPER_BROKER": redis_server},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_only_the_worker_that_began_is_asked_and_all_when_it_is_silent(
    redis_server: str, worker: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = WatchedCeleryRunLauncher(default_queue="celery", broker=redis_server, backend=redis_server)
    task = launcher.celery.send_task("sleep", [600], queue="celery")
    wait_until(lambda: launcher.celery.AsyncResult(task.id).state == "STARTED", "the worker begins")
    asked, broadcast = [], launcher.celery.control.broadcast

    def ask(*words: object, **options: object) -> object:
        asked.append(options["destination"])
        return broadcast(*words, **options)

    monkeypatch.setattr(launcher.celery.control, "broadcast", ask)
    run = dg.DagsterRun("a job", tags={DAGSTER_CELERY_TASK_ID_TAG: task.id})
    name = launcher.celery.AsyncResult(task.id).info["hostname"]
    wait_until(lambda: launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING, "it says that it has it")
    asked.clear()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert asked == [[name]], "nobody else is waited for"
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(60)
    asked.clear()
    monkeypatch.setattr(celery_launcher, "SECONDS_TO_ANSWER", 2)  # for the answers of the dead
    assert launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND
    assert asked == [[name], *[None] * celery_launcher.LOOKS]
