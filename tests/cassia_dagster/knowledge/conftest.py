"""Real clusters: islets, which ship with the tests, and others, where the evaluation data is at hand."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from cassia_dagster.records import ClusterEvidence, Marker, Species


class GoldCluster(NamedTuple):
    """A cluster, and the Cell Ontology id that others gave to most of its cells."""

    gold_id: str
    evidence: ClusterEvidence


def _evidence(markers: Iterable[Marker], tissue: str = "", species: Species = "human") -> ClusterEvidence:
    return ClusterEvidence(
        cluster="0", n_cells=None, share=None, markers=tuple(markers), species=species, tissue=tissue
    )


def _ranked(genes: Iterable[str], tissue: str = "", species: Species = "human") -> ClusterEvidence:
    known = {"avg_log2FC": 1.0, "pct_1": 0.5, "pct_2": 0.1, "p_val_adj": 0.0, "score": 0.0}
    return _evidence((Marker(gene=gene, **known) for gene in genes), tissue, species)


@pytest.fixture(scope="session")
def evidence_from() -> Callable[..., ClusterEvidence]:
    """Makes the evidence of a cluster of which only the genes are known, best first."""

    def make(genes: str, tissue: str = "", species: Species = "human") -> ClusterEvidence:
        return _ranked(genes.split(), tissue, species)

    return make


@pytest.fixture(scope="session")
def islets() -> dict[str, GoldCluster]:
    """Clusters of human islets by gold label."""
    rows: defaultdict[tuple[str, str], list[Marker]] = defaultdict(list)
    with Path(__file__).with_name("islet_markers.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(line for line in stream if not line.startswith("#")):
            marker = Marker(
                gene=row["gene"],
                avg_log2FC=float(row["avg_log2FC"]),
                pct_1=float(row["pct.1"]),
                pct_2=float(row["pct.2"]),
                p_val_adj=float(row["p_val_adj"]),
                score=float(row["score"]),
            )
            rows[row["gold_label"], row["gold_cl_id"]].append(marker)
    return {
        label: GoldCluster(gold_id, _evidence(markers, "pancreatic islets"))
        for (label, gold_id), markers in rows.items()
    }


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of data that may not be shipped."""
    folder = os.environ.get("CASSIA_EVALUATION_DATA")
    if not folder:
        pytest.skip("CASSIA_EVALUATION_DATA is not set: the published clusters are not at hand")
    return Path(folder)


@pytest.fixture(scope="session")
def published(evaluation_data: Path) -> tuple[GoldCluster, ...]:
    """Kidney and lung clusters of CASSIA's benchmark: ordered genes only."""
    with (evaluation_data / "markers" / "cassia_benchmark_dev43.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["gold_cl_id"]]
    return tuple(GoldCluster(row["gold_cl_id"], _ranked(row["Marker List"].split(", "), row["Tissue"])) for row in rows)
