"""What the command line does while a step waits for its next try, and what it shows of it."""

import os
import signal
import threading
import time

import dagster as dg
import pytest
from rich.console import Console

from cassia_dagster import walk
from cassia_dagster.commands.terminal import Progress
from resources.catalog import DatasetEntry
from resources.home import Home


@dg.asset
def merged(context: dg.AssetExecutionContext) -> None:
    if context.retry_number < 1:
        context.log.warning("A provider asked to be left alone for %d seconds.", 60)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        raise dg.RetryRequested(max_retries=3, seconds_to_wait=60)


def test_an_interrupt_ends_the_wait_for_a_provider_which_the_terminal_tells_of(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def definitions(_: Home, loggers) -> dg.Definitions:
        jobs = [dg.define_asset_job("group", "*")]
        return dg.Definitions(assets=[merged], jobs=jobs, loggers=loggers, executor=dg.in_process_executor)

    monkeypatch.setattr(walk, "build_defs", definitions)
    entry = DatasetEntry(name="islets", path=tmp_path / "islets.h5ad", tissue="pancreas")
    begun, progress = time.monotonic(), Progress(entry)
    progress._console = Console(record=True, width=200)
    with dg.instance_for_test() as instance, pytest.raises(walk.Stopped):
        walk.materialize_level("group", None, None, Home(tmp_path), instance, progress.tell)
    assert time.monotonic() - begun < 30
    assert "! merged           A provider asked to be left alone for 60 seconds." in progress._console.export_text()
