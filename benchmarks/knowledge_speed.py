"""Measures what the offline knowledge costs: its start, a thousand clusters, and the memory that it takes.

``uv run python -m benchmarks.knowledge_speed`` measures in processes of their own, takes the best of three, and
replaces the figures in ``docs/evaluation.md``.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np

from benchmarks.page import PROJECT, write_blocks
from cassia_dagster.records import Annotation, ClusterEvidence, Marker

N_CLUSTERS = 1000
N_REPEATS = 3
LONGEST_RUN = 300.0
"""Seconds that one measurement may take."""

BARS = {"start": "0.5 s", "clusters": "5 s", "megabytes": "200 MB"}


class Cost(NamedTuple):
    """What one process took."""

    start: float
    """Seconds of a processor until the first cluster has candidates and a check: imports, tables and model."""
    clusters: float
    """Seconds of a processor for the candidates and the check of all clusters."""
    reading: float
    """Seconds of a processor for the first label that is no name of the ontology: its index is made once."""
    megabytes: float
    """Peak memory of the whole process, Python and numpy included."""


def measure_here(n_clusters: int) -> Cost:
    """Measure in this process, which must not have read the knowledge before."""
    evidence = _islets()
    begun = time.process_time()
    _look_at(evidence[0])
    started = time.process_time()
    for place in range(n_clusters):
        _look_at(evidence[place % len(evidence)].model_copy(update={"cluster": str(place)}))
    done = time.process_time()
    _read_an_odd_label()
    read = time.process_time()
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(started - begun, done - started, read - done, kilobytes / 1024)


def _islets() -> list[ClusterEvidence]:
    with (PROJECT / "cassia_dagster" / "data" / "islets_cases.csv").open(encoding="utf-8") as file:
        return [
            ClusterEvidence(
                cluster=row["case"],
                n_cells=None,
                share=None,
                markers=tuple(Marker(gene=gene.strip()) for gene in row["markers"].split(",")),
                species="human",
                tissue=row["tissue"],
            )
            for row in csv.DictReader(file)
        ]


def _look_at(evidence: ClusterEvidence) -> None:
    from cassia_dagster.knowledge.candidates import propose
    from cassia_dagster.knowledge.evidence import check_annotation

    proposal = propose(evidence)
    label = proposal.label or "cell"
    annotation = Annotation(
        general_celltype=proposal.general_label or label,
        subtypes=(label,),
        supporting_genes=proposal.supporting_genes[:8],
    )
    check_annotation(annotation, evidence)


def _read_an_odd_label() -> None:
    from cassia_dagster.knowledge.resolver import resolve_name

    resolve_name("beta-ish islet cells, immature", "pancreas", "human")


def measure() -> Cost:
    """Measure in fresh processes with one thread; the least of each figure is what the code needs."""
    costs = []
    for _ in range(N_REPEATS):
        command = [sys.executable, "-m", "benchmarks.knowledge_speed", "--here"]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, timeout=LONGEST_RUN, cwd=PROJECT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        costs.append(json.loads(done.stdout))
    return Cost(*(float(least) for least in np.min(costs, axis=0)))


def table(cost: Cost) -> str:
    """Write the figures beside their bars as Markdown."""
    rows = [
        ("from the knowledge's import to the first cluster's candidates and check", f"{cost.start:.2f} s", "start"),
        (f"candidates and check of {N_CLUSTERS:,} clusters", f"{cost.clusters:.1f} s", "clusters"),
        ("the first label of a model that is no name of the ontology, once", f"{cost.reading:.2f} s", ""),
        ("peak memory of the process", f"{cost.megabytes:.0f} MB", "megabytes"),
    ]
    lines = (f"| {what} | {measured} | {BARS.get(bar, '')} |" for what, measured, bar in rows)
    return "\n".join(["| what | measured | at most |", "|---|--:|--:|", *lines])


def main() -> None:
    """Measure, and write the page."""
    if "--here" in sys.argv:
        print(json.dumps(measure_here(N_CLUSTERS)))
        return
    figures = table(measure())
    print(figures)
    write_blocks({"speed": figures})


if __name__ == "__main__":
    main()
