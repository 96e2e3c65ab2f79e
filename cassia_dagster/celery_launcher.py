"""Launches runs on Celery workers, and tells when the worker that has one is gone."""

from __future__ import annotations

from typing import override

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from cassia_dagster.launcher import PROCESS_TAG, WHOLE_TAG, of_command_line

SECONDS_TO_ANSWER = 10
LOOKS = 3
"""Times that the workers are asked before one is taken for dead."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """The launcher of `dagster-celery`, for which run monitoring can end the runs of killed workers.

    A killed worker leaves its task behind as started, for ever. So the worker that said that it had begun is asked
    whether it has it still, which takes no time; and if it says nothing, or no, all that live are asked and waited for.
    """

    tells_of_levels = True

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return self._of_process(run)
        told = super().check_run_worker_health(run)
        if told.status is not WorkerStatus.RUNNING:
            return told
        task = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        if (worker := self._began(task)) and self._works_on(task, [worker]):
            return told
        for _ in range(LOOKS):
            if self._works_on(task):
                return told
            if self.celery.AsyncResult(task).state != "STARTED":  # it has ended while the workers were asked
                return super().check_run_worker_health(run)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no worker has it any more")

    def _began(self, task: str) -> str | None:
        """Name the worker that began a task, as it said itself."""
        said = self.celery.AsyncResult(task).info
        return said.get("hostname") if isinstance(said, dict) else None

    def _works_on(self, task: str, workers: list[str] | None = None) -> bool:
        """Tell whether one of these workers has a task; all are waited for, where nobody knows how many there are."""
        replies = self.celery.control.broadcast("active", destination=workers, reply=True, timeout=SECONDS_TO_ANSWER)
        said = [tasks for reply in replies or [] for tasks in reply.values() if isinstance(tasks, list)]
        return any(one["id"] == task for tasks in said for one in tasks)

    def _of_process(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell of a run that no task has: a level of `annotate_dataset`, or one of the command line."""
        if whole := run.tags.get(WHOLE_TAG):
            executes = self._instance.get_run_by_id(whole)
            if executes is None or executes.is_finished:
                return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the run that executed it has ended")
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if PROCESS_TAG in run.tags:
            return of_command_line(run)
        return CheckRunHealthResult(WorkerStatus.RUNNING, "it says nothing of its process")
