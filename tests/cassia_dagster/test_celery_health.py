"""How it is told whether a worker has its run still, with a real queue and a real worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

pytest.importorskip("dagster_celery", reason="dagster-celery is not installed: uv sync --extra celery")

from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from cassia_dagster import celery_launcher
from cassia_dagster.celery_launcher import WatchedCeleryRunLauncher
from tests.servers.processes import running, wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def worker(redis_server: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-m", "celery", "-A", "tests.servers.sleeper", "worker", "--concurrency", "1")
    environment = os.environ | {"SLEEPER_BROKER": redis_server}
    with running(*command, environment=environment, log=tmp_path / "worker.log") as process:
        yield process


def test_only_the_worker_that_began_is_asked_and_all_when_it_is_silent(
    redis_server: str, worker: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = WatchedCeleryRunLauncher(default_queue="celery", broker=redis_server, backend=redis_server)
    task = launcher.celery.send_task("sleep", [600], queue="celery")
    wait_until(lambda: launcher.celery.AsyncResult(task.id).state == "STARTED", "the worker begins", tmp_path)
    asked, broadcast = [], launcher.celery.control.broadcast

    def ask(*words: object, **options: object) -> object:
        asked.append(options["destination"])
        return broadcast(*words, **options)

    monkeypatch.setattr(launcher.celery.control, "broadcast", ask)
    run = dg.DagsterRun("a job", tags={DAGSTER_CELERY_TASK_ID_TAG: task.id})
    name = launcher.celery.AsyncResult(task.id).info["hostname"]
    has_it = WorkerStatus.RUNNING
    wait_until(lambda: launcher.check_run_worker_health(run).status is has_it, "it says that it has it", tmp_path)
    asked.clear()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert asked == [[name]], "nobody else is waited for"
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(60)
    asked.clear()
    monkeypatch.setattr(celery_launcher, "SECONDS_TO_ANSWER", 2)  # for the answers of the dead
    assert launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND
    assert asked == [[name], *[None] * celery_launcher.LOOKS]
