"""Tests of telling whether the process of a run is alive: of the command line, and on a real code server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from cassia_dagster.launcher import HOST_TAG, PROCESS_TAG, WatchedRunLauncher
from cassia_dagster.processes import name_of_process

PROJECT = Path(__file__).parents[2]


def health(**tags: str) -> WorkerStatus:
    run = dg.DagsterRun(job_name="annotate_clusters", tags={name.replace("_", "/"): tag for name, tag in tags.items()})
    return WatchedRunLauncher().check_run_worker_health(run).status


def test_a_run_of_the_command_line_lives_as_long_as_its_process() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    name = name_of_process(ended.pid)
    ended.wait(30)
    here = socket.gethostname()
    assert (HOST_TAG, PROCESS_TAG) == ("cassia/host", "cassia/process")
    assert health(cassia_host=here, cassia_process=name_of_process(os.getpid())) is WorkerStatus.RUNNING
    assert health(cassia_host=here, cassia_process=name) is WorkerStatus.NOT_FOUND
    assert health(cassia_host="another machine", cassia_process=name) is WorkerStatus.RUNNING


def on_server(**server: object) -> WorkerStatus:
    run = dg.DagsterRun(job_name="annotate_clusters", tags={GRPC_INFO_TAG: json.dumps(server)})
    return WatchedRunLauncher().check_run_worker_health(run).status


def test_a_run_is_gone_with_the_server_that_launched_it(tmp_path: Path) -> None:
    assert on_server(host="localhost", socket=str(tmp_path / "none")) is WorkerStatus.NOT_FOUND
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert on_server(host="127.0.0.1", port=port) is WorkerStatus.NOT_FOUND


def test_a_run_that_its_server_knows_nothing_of_is_gone(tmp_path: Path) -> None:
    place, empty = tmp_path / "socket", tmp_path / "empty.py"
    empty.write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
    command = [Path(sys.executable).parent / "dagster", "api", "grpc", "--socket", place, "--python-file", empty]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        from dagster._grpc.client import DagsterGrpcClient
        from dagster._grpc.server import wait_for_grpc_server

        client = DagsterGrpcClient(socket=str(place))
        wait_for_grpc_server(server, client, command, timeout=120)
        assert on_server(host="localhost", socket=str(place)) is WorkerStatus.NOT_FOUND
    finally:
        server.kill()
        server.wait(30)


def test_a_server_that_is_merely_busy_keeps_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cassia_dagster.launcher.SECONDS_TO_ANSWER", 1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        assert on_server(host="localhost", socket=str(tmp_path / "socket")) is WorkerStatus.RUNNING


def test_new_projects_have_the_launcher_and_its_monitoring(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert instance.run_monitoring_enabled
