"""Automation as a user lives with it: Dagster's daemon, the islets, and nobody who clicks. Takes minutes."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import anndata
import dagster as dg
import pytest

from cassia_dagster.definitions import ASSETS
from resources.home import Home

pytestmark = pytest.mark.daemon

PROJECT = Path(__file__).parents[2]
LAST = dg.AssetKey("annotated_adata")
MADE = [asset.key.to_user_string() for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
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
    """Count how often each asset of each dataset was made, by Dagster's own word."""
    assets = [asset.key for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
    events = [event for key in assets for event in instance.fetch_materializations(key, limit=100).records]
    return Counter((event.partition_key.partition("|")[0], event.asset_key.to_user_string()) for event in events)


def wait_until(true, instance):
    deadline = time.monotonic() + PATIENCE
    while not true():
        failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert not failed, [run.asset_selection for run in failed]
        assert time.monotonic() < deadline, made(instance)
        time.sleep(2)


def write_cells(islets, path):
    """Write a file as a pipeline does that replaces it at once."""
    islets.write_h5ad(path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def test_what_is_added_is_annotated_without_a_click_and_what_changes_is_redone(home, islets_path, tmp_path):
    islets = anndata.read_h5ad(islets_path)
    whole, part = tmp_path / "whole.h5ad", tmp_path / "part.h5ad"
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        # An empty catalog: nothing to do, and nothing is done.
        time.sleep(QUIET)
        assert not instance.get_dynamic_partitions("dataset")
        assert not instance.get_runs_count()

        # Two datasets are added, and nobody clicks.
        write_cells(islets, whole)
        write_cells(islets[islets.obs["cell_type"].isin(["alpha", "beta", "delta", "ductal"])], part)
        for file in (whole, part):
            options = ["--tissue", "pancreas", "--species", "human", "--resolution", "0.8", "--output", tmp_path]
            command = [sys.executable, "-m", "cassia_dagster.cli", "datasets", "add", file, *options]
            subprocess.run([*command, "--home", home.root], check=True, timeout=120)
        wait_until(lambda: len(instance.get_materialized_partitions(LAST)) == 2, instance)
        time.sleep(QUIET)
        once = made(instance)
        assert once == Counter(dict.fromkeys(itertools.product(("whole", "part"), MADE), 1))
        assert (tmp_path / "whole" / "whole_annotated.h5ad").exists()

        # Another time of modification is no other content.
        whole.touch()
        time.sleep(QUIET)
        assert made(instance) == once

        # One file has fewer cells now; only what comes of it is made again, and each of that once.
        write_cells(islets[islets.obs["cell_type"].isin(["alpha", "beta", "delta"])], part)
        wait_until(lambda: made(instance)["part", "annotated_adata"] == 2, instance)
        time.sleep(QUIET)
        assert made(instance) == once + Counter(dict.fromkeys(itertools.product(["part"], MADE), 1))
        cells = anndata.read_h5ad(tmp_path / "part" / "part_annotated.h5ad", backed="r")
        assert not {"ductal"} & set(cells.obs["cell_type"].astype(str))
