"""What `interrupts_end_waits` takes from the inside of Dagster, for there is no public way: it breaks here first."""

from __future__ import annotations

import inspect

import dagster as dg
import pytest
from dagster._core.execution.plan import execute_plan
from dagster._core.execution.plan.active import ActiveExecution

from cassia_dagster.waits import interrupts_end_waits

CHANGED = (
    f"Dagster {dg.__version__} waits between two tries in another way than 1.13.27 did; cassia_dagster/waits.py must "
    "follow, or Ctrl+C is heeded only after minutes"
)


def test_runs_in_this_process_still_wait_in_the_method_that_is_replaced():
    assert list(inspect.signature(ActiveExecution.sleep_til_ready).parameters) == ["self"], CHANGED
    assert "active_execution.sleep_til_ready()" in inspect.getsource(execute_plan), CHANGED


def test_it_is_put_back_after_the_block_whatever_happens():
    before = ActiveExecution.sleep_til_ready
    with interrupts_end_waits():
        assert ActiveExecution.sleep_til_ready is not before
        with interrupts_end_waits():  # as a level of annotate_dataset within a run of the command line
            pass
    assert ActiveExecution.sleep_til_ready is before
    with pytest.raises(KeyboardInterrupt), interrupts_end_waits():
        raise KeyboardInterrupt
    assert ActiveExecution.sleep_til_ready is before
