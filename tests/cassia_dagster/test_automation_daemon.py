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
from cassia_dagster.llm.store import Store
from resources.home import Home

pytestmark = pytest.mark.daemon

PROJECT = Path(__file__).parents[2]
LAST = dg.AssetKey("annotated_adata")
MADE = [asset.key.to_user_string() for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
PATIENCE = 900
"""Seconds until everything must be made."""
QUIET = 45
"""Seconds in which nothing further may happen: a few ticks of both sensors."""


class Daemon:
    """A project with an empty catalog, in a copy of the code that may be edited, and the daemon that serves it."""

    def __init__(self, root):
        self.home, self.code, self._log = Home(root / "home"), root / "code", root / "log"
        listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
        for name in listed.stdout.splitlines():
            if name.startswith(("assets/", "cassia_dagster/", "resources/", "workspace.yaml")):
                (self.code / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PROJECT / name, self.code / name)
        self.home.dagster.mkdir(parents=True)
        shutil.copy(PROJECT / "dagster.yaml", self.home.dagster)
        self.environment = os.environ | {
            "CASSIA_HOME": str(self.home.root),
            "DAGSTER_HOME": str(self.home.dagster),
            "PYTHONPATH": str(self.code),
        }
        self._process = None

    def tool(self, name, *arguments):
        return [Path(sys.executable).parent / name, *arguments, "-w", str(self.code / "workspace.yaml")]

    def command(self, *arguments):
        """Run `cassia-dagster` with the copied code."""
        command = [sys.executable, "-m", "cassia_dagster.cli", *arguments, "--home", self.home.root]
        subprocess.run(command, env=self.environment, cwd=self.code, check=True, timeout=PATIENCE)

    def switch_on(self):
        for sensor in ("watch_catalog", "request_changes"):
            command = self.tool("dagster", "sensor", "start", sensor)
            subprocess.run(command, env=self.environment, cwd=self.code, check=True)

    def start(self):
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self.tool("dagster-daemon", "run"),
                env=self.environment,
                cwd=self.code,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self):
        """Kill it with its code server and the runs that it has launched, as a power cut does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)

    def stop(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path / "project")
    daemon.switch_on()
    daemon.start()
    yield daemon
    daemon.stop()


def made(instance):
    """Count how often each asset of each dataset was made, by Dagster's own word."""
    assets = [asset.key for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
    events = [event for key in assets for event in instance.fetch_materializations(key, limit=100).records]
    return Counter((event.partition_key.partition("|")[0], event.asset_key.to_user_string()) for event in events)


def failures(instance):
    return instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))


def wait_until(true, instance, failed=0):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert len(failures(instance)) <= failed, [run.asset_selection for run in failures(instance)]
        assert time.monotonic() < deadline, made(instance)
        time.sleep(2)


def write_cells(islets, path):
    """Write a file as a pipeline does that replaces it at once."""
    islets.write_h5ad(path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def calls_of(home, dataset):
    with Store.open(home.model_store) as store:
        return [call for call in store.calls(subject=dataset) if call.state == "done"]


def calls(home):
    with Store.open(home.model_store) as store:
        return store.totals().calls


def verdict(instance, dataset):
    """Return what the check of a dataset's file said last, if it did."""
    key = dg.AssetCheckKey(dg.AssetKey("normalized_adata"), "file_can_be_annotated")
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=50):
        said = record.event.dagster_event.event_specific_data
        if isinstance(said, dg.AssetCheckEvaluation) and said.partition == dataset:
            return said.passed
    return None


def test_what_is_added_is_annotated_without_a_click_and_what_changes_is_redone(daemon, islets_path, tmp_path):
    islets = anndata.read_h5ad(islets_path)
    home, whole, part = daemon.home, tmp_path / "whole.h5ad", tmp_path / "part.h5ad"
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
            daemon.command("datasets", "add", file, *options)
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

        # Everything of one dataset is made anew without need: no model is asked, and nothing further happens.
        before, asked = made(instance), calls(home)
        daemon.command("run", whole, *options)
        time.sleep(QUIET)
        assert made(instance) == before + Counter(dict.fromkeys(itertools.product(["whole"], MADE), 1))
        assert calls(home) == asked

        # A file is damaged: its check fails, with another try, and the other dataset is not touched.
        before = made(instance)
        part.write_bytes(part.read_bytes()[:100_000])
        wait_until(lambda: len(failures(instance)) == 2, instance, failed=2)
        time.sleep(QUIET)
        assert (verdict(instance, "part"), verdict(instance, "whole")) == (False, True)
        assert made(instance) == before
        assert len(failures(instance)) == 2

        # It is mended, and the machine goes down in the middle of the run. Meanwhile a prompt is edited. After the
        # start the run that was cut off is ended, and all is made that was not; of the other dataset only what the
        # prompt is for, and nothing below it, for the embedded model answers as before.
        write_cells(islets[islets.obs["cell_type"].isin(["alpha", "beta"])], part)
        going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        wait_until(lambda: instance.get_runs(going), instance, failed=2)
        daemon.kill()
        (cut_off,) = instance.get_runs(going)
        (prompt,) = (daemon.code / "cassia_dagster" / "agents" / "prompts").glob("score.v*.j2")
        prompt.write_text(prompt.read_text() + "{# edited #}\n")
        asked = len(calls_of(home, "whole"))
        daemon.start()
        wait_until(
            lambda: made(instance)["part", "annotated_adata"] == before["part", "annotated_adata"] + 1,
            instance,
            failed=3,
        )
        time.sleep(QUIET)
        assert instance.get_run_by_id(cut_off.run_id).status is dg.DagsterRunStatus.FAILURE
        after = made(instance) - before
        assert {asset: n for (dataset, asset), n in after.items() if dataset == "whole"} == {"scores": 1}
        assert {asset for dataset, asset in after if dataset == "part"} == set(MADE)
        assert len(calls_of(home, "whole")) == asked
        assert not instance.get_runs(going)
        assert len(failures(instance)) == 3
