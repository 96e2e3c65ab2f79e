"""Uncertainty as an asset and as a command: what is bought, what is kept, and what a kill costs."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cassia_dagster.agents.uncertainty import UncertainCluster
from cassia_dagster.records import Annotation, Status, Verdict
from tests.assets.served import ServedDemo, served_demo
from tests.servers.aimock import AIMock

__all__ = ["served_demo"]


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


@pytest.fixture
def served(served_demo: ServedDemo, aimock: AIMock) -> ServedDemo:
    """The demo, whose annotator says the same of every cluster."""
    replies = {
        "Which cell type is this cluster?": Annotation(general_celltype="epithelial cell", subtypes=("acinar cell",)),
        "Does the annotation hold?": Verdict(accepted=True, reasons="it does"),
    }
    for asked, reply in replies.items():
        aimock.play({"match": {"userMessage": asked}, "response": {"content": reply.model_dump_json()}})
    return served_demo


FIVE_RUNS = ("uncertainty", "demo", "--every-run")
N_QUESTIONS = 12 * 5 * 2  # clusters, runs, annotator and validator


@pytest.mark.long
def test_a_kill_half_way_costs_no_finished_call(served: ServedDemo, aimock: AIMock) -> None:
    aimock.slow_down(100)
    killed = served.start(*FIVE_RUNS)
    deadline = time.monotonic() + 120
    while served.calls("done").total() < N_QUESTIONS // 2:
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = served.calls("done")
    assert N_QUESTIONS // 2 <= finished.total() < N_QUESTIONS

    aimock.slow_down(0)
    said = served.run(*FIVE_RUNS)
    assert "was killed before" in said
    still = int(re.search(r"If every run is made: ([\d,]+) calls", said)[1])
    # What was answered is free, and the estimate knows; how often the validator would object is its guess.
    assert N_QUESTIONS - finished.total() <= still < N_QUESTIONS
    assert set(served.calls("done").values()) == {1}
    assert served.calls("done").total() == N_QUESTIONS
    assert served.calls("cached").keys() >= finished.keys()
    in_flight = served.calls("lost").total()
    assert in_flight <= 6, "no more than one call a worker was under way"
    assert len(aimock.requests()) <= N_QUESTIONS + in_flight

    rows = served.rows("uncertainty", UncertainCluster)
    assert [row.consistency for row in rows] == [100.0] * 12
    assert {(row.status, len(row.runs), row.deterministic) for row in rows} == {(Status.OK, 5, False)}
    told = json.loads((served.output / "demo" / "leiden_res_0.4" / "demo_uncertainty.json").read_text())
    assert [row["cluster"] for row in told] == [row.cluster for row in rows]
