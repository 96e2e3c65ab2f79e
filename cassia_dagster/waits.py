"""Lets an interrupt end the time that a run waits for the next try of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.plan.active import ActiveExecution


@contextmanager
def interrupts_end_waits() -> Iterator[None]:
    """Heed interrupts between two tries of a step, in runs that this process executes in the block.

    Dagster heeds them within steps and between them, but sleeps on while none is ready: that is minutes where a
    provider of models asked for them. There is no public way: this takes the place of an inner method of Dagster
    1.13.27, and `tests/cassia_dagster/test_waits.py` says when that changes.
    """
    sleep = ActiveExecution.sleep_til_ready

    def sleep_lightly(self: ActiveExecution) -> None:
        with raise_execution_interrupts():
            sleep(self)

    ActiveExecution.sleep_til_ready = sleep_lightly  # type: ignore[method-assign]
    try:
        yield
    finally:
        ActiveExecution.sleep_til_ready = sleep  # type: ignore[method-assign]
