"""What a Celery worker loads, with the broker that the instance names: ``celery -A cassia_dagster.celery_app``."""

from __future__ import annotations

import dagster as dg
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from cassia_dagster.celery_launcher import WatchedCeleryRunLauncher
from cassia_dagster.errors import ConfigurationError

with dg.DagsterInstance.get() as instance:
    launcher = instance.run_launcher
    if not isinstance(launcher, WatchedCeleryRunLauncher):
        raise ConfigurationError(
            "The Dagster instance launches no runs on Celery workers. Set DAGSTER_HOME to a folder whose dagster.yaml "
            "is like deploy/dagster.yaml."
        )
    app = launcher.celery

execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)
