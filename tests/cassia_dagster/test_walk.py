"""What the command line does while a step waits for its next try, and what a run of a whole dataset keeps in memory."""

import gc
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import anndata
import dagster as dg
import pytest
from rich.console import Console

from cassia_dagster import walk
from cassia_dagster.commands.terminal import Progress
from cassia_dagster.singlecell.stored import blocks_of, open_cells, write_cells
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
    told = walk.told_definitions(Home(tmp_path), progress.tell)
    with dg.instance_for_test() as instance, pytest.raises(walk.Stopped):
        walk.materialize_level("group", None, None, told, instance, progress.tell)
    assert time.monotonic() - begun < 30
    assert "! merged           A provider asked to be left alone for 60 seconds." in progress._console.export_text()


@pytest.mark.parametrize("resolution", [None, "0.4"])
def test_a_step_is_told_with_the_resolution_of_its_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: str | None
) -> None:
    by_dataset = dg.StaticPartitionsDefinition(["islets"])
    by_both = dg.MultiPartitionsDefinition(
        {"dataset": by_dataset, "resolution": dg.StaticPartitionsDefinition(["0.4", "0.8"])}
    )

    @dg.asset(partitions_def=by_both if resolution else by_dataset)
    def scores(context: dg.AssetExecutionContext) -> None:
        context.log.info("at work")

    def definitions(_: Home, loggers: Mapping[str, dg.LoggerDefinition]) -> dg.Definitions:
        job = dg.define_asset_job("score", "*")
        return dg.Definitions(assets=[scores], jobs=[job], loggers=loggers, executor=dg.in_process_executor)

    monkeypatch.setattr(walk, "build_defs", definitions)
    key = dg.MultiPartitionKey({"dataset": "islets", "resolution": resolution}) if resolution else "islets"
    steps: list[walk.Step] = []
    told = walk.told_definitions(Home(tmp_path), steps.append)
    with dg.instance_for_test() as instance:
        walk.materialize_level("score", key, resolution, told, instance, steps.append)
    assert [step.state for step in steps] == ["started", "working", "done"]
    assert {step.resolution for step in steps} == {resolution}


def test_a_whole_dataset_reads_its_cells_once_and_leaves_nothing_behind(
    islets: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened, spared = tmp_path / "cells.h5ad", [], []
    write_cells(islets, blocks_of(islets), path)

    def look(*_: object, **__: object) -> None:
        spared.append(gc.get_freeze_count())
        with open_cells(path) as cells:
            opened.append(cells)

    monkeypatch.setattr(walk, "materialize_level", look)
    entry = DatasetEntry(name="islets", path=path, tissue="pancreas", resolutions=("0.4", "0.8"))
    with dg.instance_for_test() as instance:
        walk.materialize_dataset(entry, Home(tmp_path), instance, lambda _: None, fresh=True)
    assert len(opened) == 4 == sum(cells is opened[0] for cells in opened)
    assert min(spared) > gc.get_freeze_count() == 0
    with open_cells(path) as cells:
        assert cells is not opened[0]
