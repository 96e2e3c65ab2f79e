"""Launches runs as Dagster does by default, and tells when the process that works on one is gone."""

from __future__ import annotations

import json
import socket
from typing import Any, override

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from cassia_dagster.processes import is_running

HOST_TAG = "cassia/host"
PROCESS_TAG = "cassia/process"
"""What a run of the command line says of the process that executes it."""
WHOLE_TAG = "cassia/annotate_dataset"
"""Which run of the job `annotate_dataset` a run is a level of, and executed by: its id."""

SECONDS_TO_ANSWER = 30


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, for which run monitoring can end the runs of dead processes.

    The code server that a run was launched on knows whether its process is alive, and ends the run if it is not. When
    the server died too, by a power cut or a full memory, nobody is left who does; then run monitoring does.
    """

    @property
    @override
    def supports_check_run_worker_health(self) -> bool:
        return True

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if run.tags.get(PROCESS_TAG) and run.parent_run_id is None:
            return of_command_line(run)
        server: dict[str, Any] = json.loads(run.tags.get(GRPC_INFO_TAG) or "{}")
        if not server:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "it says nothing of its process")
        if not _listens(server):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code server that it was launched on is gone")
        client = DagsterGrpcClient(
            port=server.get("port"),
            socket=server.get("socket"),
            host=server.get("host", "localhost"),
            use_ssl=bool(server.get("use_ssl")),
        )
        try:
            answer = client.can_cancel_execution(
                CanCancelExecutionRequest(run_id=run.run_id), timeout=SECONDS_TO_ANSWER
            )
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server is busy; it is asked again")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code server knows no process of it")


def tells_of_levels(instance: dg.DagsterInstance) -> bool:
    """Tell whether run monitoring leaves alone what a run executes as runs of their own, which nobody launched."""
    launcher = instance.run_launcher
    if not instance.run_monitoring_enabled or not launcher.supports_check_run_worker_health:
        return True
    return isinstance(launcher, WatchedRunLauncher) or getattr(launcher, "tells_of_levels", False)


def of_command_line(run: dg.DagsterRun) -> CheckRunHealthResult:
    """Tell whether the process lives that executes a run which was not launched."""
    if run.tags.get(HOST_TAG) != socket.gethostname() or is_running(run.tags[PROCESS_TAG]):
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the command that executed it was killed")


def _listens(server: dict[str, Any]) -> bool:
    """Tell whether anything listens where a code server was: one that is merely busy does."""
    if path := server.get("socket"):
        family, address = socket.AF_UNIX, path
    else:
        family, address = socket.AF_INET, (server.get("host", "localhost"), server.get("port"))
    with socket.socket(family) as probe:
        probe.settimeout(SECONDS_TO_ANSWER)
        try:
            probe.connect(address)
        except TimeoutError:
            return True
        except OSError:
            return False
    return True
