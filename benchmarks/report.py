"""How large the report of a large dataset is, and how long it takes to make and to open.

uv run python -m benchmarks.report
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.chromium import DESKTOP, chromium
from cassia_dagster.evaluation.agreement import Agreement, compare_with_gold
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.shown import genes_shown
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    Candidate,
    ClusterEvidence,
    ClusterResult,
    EvidenceCheck,
    Exchange,
    Grouping,
    Marker,
    Rubric,
    ScoredCluster,
    Status,
    Verdict,
)
from cassia_dagster.singlecell.expression import read_genes

if TYPE_CHECKING:
    import pandas as pd

CELLS, CLUSTERS, GENES = 50_000, 30, 20_000
DETECTED_GENES = 1_500
"""Of each cell, besides markers."""
IN, OUT = 0.9, 0.15
"""Share of the cells in which a marker is detected, in its own cluster and in the others."""
QUESTION, REPLY, PROSE = 4_000, 1_200, 700
"""Letters of what a model is asked, what it replies, and of each text in it that stands in the report."""
ROLES = ("annotate", "validate", "annotate", "validate", "score", "boost", "boost", "score")
OPENINGS = 5


class Dataset(NamedTuple):
    """What `render_report` takes, but for the expression."""

    result: ResolutionResult
    cells: pd.DataFrame
    gold: pd.DataFrame
    agreements: dict[str, Agreement]


def make_dataset(n_cells: int = CELLS, n_clusters: int = CLUSTERS) -> Dataset:
    """Make up a dataset whose report is as full as that of a large language model with many second looks."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    ids = [str(number) for number in range(n_clusters)]
    # As Leiden's clusters: each about a tenth smaller than the one before.
    shares = 0.9 ** np.arange(n_clusters)
    labels = np.concatenate([ids, rng.choice(ids, n_cells - n_clusters, p=shares / shares.sum())])
    centres = rng.uniform(-15, 15, (n_clusters, 2))
    xy = centres[labels.astype(int)] + rng.normal(size=(n_cells, 2))
    names = [f"cell-{position}" for position in range(n_cells)]
    cells = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "cluster": labels}, index=names)
    strays = rng.random(n_cells) < 0.05
    gold = pd.DataFrame(
        {"cell_type": [f"type {one}" for one in np.where(strays, rng.choice(ids, n_cells), labels)]}, index=names
    )
    result = ResolutionResult(
        dataset="large",
        resolution="1.0",
        species="human",
        tissue="blood",
        clusters=tuple(_cluster(one, int((labels == one).sum()), n_cells) for one in ids),
        models=dict.fromkeys(ROLES, "provider/model"),
        versions={"cassia-dagster": "0"},
        created="2026-01-01",
    )
    agreement = compare_with_gold(dict.fromkeys(ids, "CL:0000084"), labels.tolist(), gold["cell_type"].tolist(), {})
    return Dataset(result, cells, gold, {"cell_type": agreement})


def _cluster(cluster: str, n_cells: int, of: int) -> ClusterResult:
    markers = tuple(
        Marker(gene=f"GENE{100 * int(cluster) + rank}", avg_log2FC=5 - rank / 50, pct_1=0.9, pct_2=0.1, p_val_adj=1e-30)
        for rank in range(100)
    )
    genes = tuple(marker.gene for marker in markers)
    history = tuple(
        Exchange(
            role=role,
            provider="provider",
            model="model",
            template=f"{role}.v1@0",
            question="q " * (QUESTION // 2),
            reply="r " * (REPLY // 2),
        )
        for role in ROLES
    )
    annotation = Annotation(
        general_celltype="T cell",
        subtypes=(f"T cell of kind {cluster}", "T cell", "lymphocyte"),
        supporting_genes=genes[:12],
        contradicting_genes=genes[40:44],
        rationale="why " * (PROSE // 4),
    )
    candidates = tuple(Candidate(cl_id="CL:0000084", label="T cell", support=0.5, genes=genes[:8]) for _ in range(5))
    check = EvidenceCheck(
        cl_id="CL:0000084", cl_label="T cell", support=1, cited_genes_up=genes[:12], cited_genes_absent=(),
        candidates=candidates, findings=(),
    )  # fmt: skip
    rubric = Rubric(identity=8, specificity=8, balance=8, alternatives=7)
    evidence = ClusterEvidence(
        cluster=cluster, n_cells=n_cells, share=n_cells / of, markers=markers, species="human", tissue="blood"
    )
    prose = "because " * (PROSE // 8)
    score = 60.0 + int(cluster)
    annotated = AnnotatedCluster(
        cluster=cluster, evidence=evidence, status=Status.OK, annotation=annotation, check=check,
        rounds=(Verdict(accepted=False, reasons=prose), Verdict(accepted=True, reasons=prose)), history=history[:4],
    )  # fmt: skip
    scored = ScoredCluster(
        cluster=cluster, status=Status.OK, score=score, rubric=rubric, reasoning=prose, history=history[4:5]
    )
    boosted = BoostedCluster(
        cluster=cluster, status=Status.OK, outcome=BoostOutcome.CONFIRMED, explanation=prose, annotation=annotation,
        check=check, score=score, rubric=rubric, reasoning=prose, history=history[5:],
    )  # fmt: skip
    grouping = Grouping(
        cluster=cluster, broad=f"group {int(cluster) % 4}", intermediate=f"group {int(cluster) % 10}", detailed="T cell"
    )
    return ClusterResult(annotated=annotated, scored=scored, boosted=boosted, grouping=grouping)


def write_cells(dataset: Dataset, path: Path, n_genes: int = GENES, detected: int = DETECTED_GENES) -> None:
    """Write log-normalised values of all cells as the pipeline stores them; markers are high in their own cluster."""
    import anndata
    import numpy as np
    import pandas as pd
    import scipy.sparse

    rng = np.random.default_rng(1)
    markers = genes_shown(dataset.result)
    n_cells, n_others = len(dataset.cells), n_genes - len(markers)
    home = np.array([int(gene.removeprefix("GENE")) // 100 for gene in markers])
    own = home == dataset.cells["cluster"].astype(int).to_numpy()[:, None]
    found = rng.random(own.shape, dtype="float32") < np.where(own, IN, OUT)
    block = scipy.sparse.csr_matrix(np.where(found, rng.gamma(2, 0.4, own.shape) + 2 * own, 0).astype("float32"))
    columns = rng.integers(0, n_others, (n_cells, detected), dtype=np.int32)
    values = rng.gamma(2, 0.4, columns.size).astype("float32")
    bounds = np.arange(0, columns.size + 1, detected)
    others = scipy.sparse.csr_matrix((values, columns.ravel(), bounds), shape=(n_cells, n_others))
    others.sum_duplicates()
    genes = markers + [f"OTHER{number}" for number in range(n_others)]
    matrix = scipy.sparse.hstack([block, others], format="csr")
    anndata.AnnData(X=matrix, obs=dataset.cells[[]], var=pd.DataFrame(index=genes)).write_h5ad(path, compression="lzf")


class Opening(NamedTuple):
    """How long a page took to be drawn."""

    seconds: float
    cpu: float
    """Seconds of a processor that the page's own process used; a busy machine does not lengthen them by as much."""


def open_times(path: Path, openings: int = OPENINGS) -> list[Opening]:
    """Measure from the address to a map that is drawn, each time in a fresh context of the browser."""
    with chromium() as browser:
        found = []
        for _ in range(openings):
            context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
            page = context.new_page()
            debugger = context.new_cdp_session(page)
            debugger.send("Performance.enable")
            begun = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("#map-canvas canvas")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seconds = time.perf_counter() - begun
            metrics = {one["name"]: one["value"] for one in debugger.send("Performance.getMetrics")["metrics"]}
            found.append(Opening(seconds, metrics["ProcessTime"]))
            context.close()
    return found


def measure(folder: Path) -> dict[str, Any]:
    """Make, weigh and open the report."""
    dataset = make_dataset()
    cells, report = folder / "cells.h5ad", folder / "report.html"
    write_cells(dataset, cells)
    before = _peak()
    begun = time.perf_counter()
    expression = read_genes(cells, genes_shown(dataset.result))
    read = time.perf_counter() - begun
    begun = time.perf_counter()
    report.write_text(render_report(*dataset, expression), encoding="utf-8")
    return {
        "genes": len(expression.var_names),
        "read_seconds": read,
        "peak_grew_mb": _peak() - before,
        "render_seconds": time.perf_counter() - begun,
        "mb": report.stat().st_size / 1e6,
        "openings": open_times(report),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(Path(temporary))
    sys.stdout.write(
        f"{CELLS:,} cells × {GENES:,} genes, {CLUSTERS} clusters, {found['genes']} genes in the report\n"
        f"file: {found['mb']:.1f} MB\n"
        f"expression read in {found['read_seconds']:.1f} s, page made in {found['render_seconds']:.1f} s\n"
        f"opened in {', '.join(f'{one.seconds:.2f}' for one in found['openings'])} s, of a processor "
        f"{', '.join(f'{one.cpu:.2f}' for one in found['openings'])} s\n"
    )
