"""Automation as a user lives with it: Dagster's daemon, the islets, and nobody who clicks. Takes minutes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

pytestmark = pytest.mark.daemon

PROJECT = Path(__file__).parents[2]
PATIENCE = 900
"""Seconds until everything must be made."""
QUIET = 45
"""Seconds in which nothing further may happen: a few ticks of both sensors."""


@pytest.fixture
def home(tmp_path):
    """A project with an empty catalog, whose daemon runs and whose sensors were switched on."""
    home = Home(tmp_path / "home")
    home.dagster.mkdir(parents=True)
    shutil.copy(PROJECT / "dagster.yaml", home.dagster)
    environment = os.environ | {"CASSIA_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    workspace = ["-w", str(PROJECT / "workspace.yaml")]
    tool = Path(sys.executable).parent
    for sensor in ("watch_catalog", "request_changes"):
        subprocess.run(
            [tool / "dagster", "sensor", "start", sensor, *workspace], env=environment, cwd=PROJECT, check=True
        )
    with (tmp_path / "log").open("w") as log:
        daemon = subprocess.Popen(
            [tool / "dagster-daemon", "run", *workspace],
            env=environment,
            cwd=PROJECT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield home
        finally:
            os.killpg(daemon.pid, signal.SIGTERM)
            try:
                daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)


def made(instance):
    """Count the times that each asset was made, by Dagster's own word."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    return sorted(key.to_user_string() for run in runs for key in run.asset_selection or ())


def test_a_dataset_that_is_added_is_annotated_without_a_click_and_once(home, islets_path, tmp_path):
    file = tmp_path / "islets.h5ad"
    shutil.copy(islets_path, file)
    entry = DatasetEntry(name="islets", path=file, tissue="pancreas", resolutions=("0.8",), output=tmp_path / "output")
    Catalog().with_entry(entry).write(home.catalog)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        last = dg.AssetKey("annotated_adata")
        deadline = time.monotonic() + PATIENCE
        while not instance.get_materialized_partitions(last):
            failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
            assert not failed, [run.asset_selection for run in failed]
            assert time.monotonic() < deadline, made(instance)
            time.sleep(2)
        time.sleep(QUIET)
        everything = [
            "annotated_adata", "annotations", "boosted", "leiden_clusters", "marker_table", "merged",
            "normalized_adata", "report", "scores", "umap",
        ]  # fmt: skip
        assert made(instance) == everything
        assert (entry.folder / "islets_annotated.h5ad").exists()
        # Another time of modification is no other content.
        file.touch()
        time.sleep(QUIET)
        assert made(instance) == everything
