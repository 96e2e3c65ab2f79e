"""Levels of `annotate_dataset` are runs that nobody launched: what run monitoring is told of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

from cassia_dagster.launcher import HOST_TAG, PROCESS_TAG, WHOLE_TAG, WatchedRunLauncher, tells_of_levels
from cassia_dagster.processes import name_of_process


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    pytest.importorskip("dagster_celery", reason="dagster-celery is not installed: uv sync --extra celery")
    workers = {"module": "cassia_dagster.celery_launcher", "class": "WatchedCeleryRunLauncher"}
    config = {"broker": "memory://", "backend": "cache+memory://"}
    overrides = {"run_launcher": workers | {"config": config}, "run_monitoring": {"enabled": True}}
    with dg.instance_for_test(overrides=overrides) as instance:
        yield instance


@dg.job
def annotate_dataset() -> None:
    pass


def health(instance: dg.DagsterInstance, **tags: str) -> WorkerStatus:
    run = instance.create_run_for_job(annotate_dataset, tags=tags)
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_level_lives_as_long_as_the_run_that_executes_it(instance):
    whole = instance.create_run_for_job(annotate_dataset)
    of_worker = {WHOLE_TAG: whole.run_id, HOST_TAG: "worker", PROCESS_TAG: "7@1"}
    assert health(instance, **of_worker) is WorkerStatus.RUNNING
    instance.report_run_failed(whole)
    assert health(instance, **of_worker) is WorkerStatus.NOT_FOUND
    assert health(instance, **{WHOLE_TAG: "a-run-that-was-deleted"}) is WorkerStatus.NOT_FOUND


def test_a_run_of_the_command_line_lives_as_long_as_its_process_where_workers_are(instance):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    name = name_of_process(ended.pid)
    ended.wait(30)
    here = {HOST_TAG: socket.gethostname()}
    assert health(instance, **here, **{PROCESS_TAG: name_of_process(os.getpid())}) is WorkerStatus.RUNNING
    assert health(instance, **here, **{PROCESS_TAG: name}) is WorkerStatus.NOT_FOUND
    assert health(instance) is WorkerStatus.RUNNING


def test_where_monitoring_would_take_a_level_for_dead_the_job_is_refused(instance, monkeypatch):
    assert tells_of_levels(instance)

    class OfPods(WatchedRunLauncher.__base__):
        supports_check_run_worker_health = True

    monkeypatch.setattr(instance, "_run_launcher", OfPods())
    assert not tells_of_levels(instance)
    monkeypatch.setattr(instance, "_run_launcher", WatchedRunLauncher())
    assert tells_of_levels(instance)
