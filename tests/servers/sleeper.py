"""A Celery worker with one task, which sleeps: ``celery -A tests.servers.sleeper worker``."""

from __future__ import annotations

import os
import time

from celery import Celery

app = Celery("sleeper", broker=os.environ["SLEEPER_BROKER"], backend=os.environ["SLEEPER_BROKER"])


@app.task(name="sleep", track_started=True)
def sleep(seconds: float) -> None:
    """Work for so long."""
    time.sleep(seconds)
