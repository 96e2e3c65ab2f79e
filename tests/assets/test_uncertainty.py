"""Uncertainty as an asset and as a command: what is bought, what is kept, and what a kill costs."""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassia_dagster.agents.uncertainty import UncertainCluster
from cassia_dagster.llm.choice import ModelChoice
from cassia_dagster.records import Annotation, Status, Verdict
from resources.catalog import Catalog
from resources.home import Home
from resources.storage import stored_table
from tests.servers.aimock import AIMock, aimock, aimock_server

if TYPE_CHECKING:
    from tests.conftest import Demo

__all__ = ["aimock", "aimock_server"]

COMMAND = [sys.executable, "-m", "cassia_dagster.cli"]


@pytest.fixture
def measure(materialize: Callable[..., list[UncertainCluster]]) -> Callable[..., list[UncertainCluster]]:
    """Materialize the asset with a configuration; gives its rows."""
    return partial(materialize, "uncertainty", UncertainCluster)


def test_rules_are_labelled_deterministic_for_every_cluster(measure: Any) -> None:
    rows = measure()
    assert [row.cluster for row in rows] == [str(number) for number in range(12)]
    assert {row.deterministic for row in rows} == {True}
    assert {row.consistency for row in rows} == {None}
    assert {(len(row.runs), row.planned) for row in rows} == {(3, 5)}


def test_clusters_number_of_runs_and_agreement_can_be_chosen(measure: Any) -> None:
    (row,) = measure(clusters=["3"], runs=2, agreement=1.0, stop_when_decided=False)
    assert (row.cluster, len(row.runs)) == ("3", 2)


def test_a_cluster_that_is_none_is_named_with_those_that_are(measure: Any) -> None:
    with pytest.raises(RuntimeError, match=r"no cluster '99'; the clusters are 0, 1, 2"):
        measure(clusters=["99"])


def test_what_was_found_out_of_other_clusters_is_kept(measure: Any) -> None:
    (first,) = measure(clusters=["3"], runs=2)
    rows = measure(clusters=["10", "1"], runs=4)
    assert [(row.cluster, row.planned) for row in rows] == [("1", 4), ("3", 2), ("10", 4)]
    assert rows[1] == first


# --- over the wire, from the command line --------------------------------------


class Project:
    """The demo, annotated by a model of a server on this machine from now on."""

    def __init__(self, demo: Demo, folder: Path, api_base: str) -> None:
        self.home = Home(folder / "home")
        shutil.copytree(demo.home.root, self.home.root)
        self.output = folder / "output"
        model = ModelChoice(
            provider="openai", model="gpt-4o-mini", api_base=f"{api_base}/v1", api_key_env="TEST_API_KEY"
        )
        entry = Catalog.read(self.home.catalog).entry("demo")
        Catalog(datasets=(entry.model_copy(update={"models": {"all": model}, "output": self.output}),)).write(
            self.home.catalog
        )
        self.environment = os.environ | {
            "CASSIA_HOME": str(self.home.root),
            "TEST_API_KEY": "sk-not-a-real-key-0123456789",
            "COLUMNS": "200",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=200)
        assert process.returncode == 0, said
        return said

    def calls(self, state: str) -> collections.Counter[str]:
        """Count the calls of a state by their question, as the ledger has them now."""
        with sqlite3.connect(f"file:{self.home.model_store}?mode=ro", uri=True, timeout=5) as connection:
            rows = connection.execute(
                "SELECT key FROM calls WHERE state = ? AND provider_name = 'openai'", (state,)
            ).fetchall()
        return collections.Counter(key for (key,) in rows)

    @property
    def rows(self) -> list[UncertainCluster]:
        return stored_table(self.home.artifacts, "uncertainty", "demo", "0.4").records(UncertainCluster)


@pytest.fixture
def project(demo: Demo, tmp_path: Path, aimock: AIMock) -> Project:
    replies = {
        "Which cell type is this cluster?": Annotation(general_celltype="epithelial cell", subtypes=("acinar cell",)),
        "Does the annotation hold?": Verdict(accepted=True, reasons="it does"),
    }
    for asked, reply in replies.items():
        aimock.play({"match": {"userMessage": asked}, "response": {"content": reply.model_dump_json()}})
    return Project(demo, tmp_path, aimock.url)


FIVE_RUNS = ("uncertainty", "demo", "--every-run")
N_QUESTIONS = 12 * 5 * 2  # clusters, runs, annotator and validator


def test_a_kill_half_way_costs_no_finished_call(project: Project, aimock: AIMock) -> None:
    aimock.slow_down(100)
    killed = project.start(*FIVE_RUNS)
    deadline = time.monotonic() + 120
    while project.calls("done").total() < N_QUESTIONS // 2:
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = project.calls("done")
    assert N_QUESTIONS // 2 <= finished.total() < N_QUESTIONS

    aimock.slow_down(0)
    said = project.run(*FIVE_RUNS)
    assert "was killed before" in said
    assert set(project.calls("done").values()) == {1}
    assert project.calls("done").total() == N_QUESTIONS
    assert project.calls("cached").keys() >= finished.keys()
    in_flight = project.calls("lost").total()
    assert in_flight <= 6, "no more than one call a worker was under way"
    assert len(aimock.requests()) <= N_QUESTIONS + in_flight

    assert [row.consistency for row in project.rows] == [100.0] * 12
    assert {(row.status, len(row.runs), row.deterministic) for row in project.rows} == {(Status.OK, 5, False)}
    told = json.loads((project.output / "demo" / "leiden_res_0.4" / "demo_uncertainty.json").read_text())
    assert [row["cluster"] for row in told] == [row.cluster for row in project.rows]


def test_the_estimate_asks_nobody_and_is_what_is_asked_then(project: Project, aimock: AIMock) -> None:
    said = project.run(*FIVE_RUNS, "--estimate")
    assert aimock.requests() == []
    assert f"If every run is made: {N_QUESTIONS} calls and 0 answers from the cache: about 0.0" in said
