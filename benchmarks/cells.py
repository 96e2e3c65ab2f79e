"""Runs the product itself on published cells with known labels, and compares what it writes with these."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.evaluation.agreement import Agreement, compare_with_gold
from cassia_dagster.evaluation.measures import GRADES
from cassia_dagster.knowledge.ontology import Relation

if TYPE_CHECKING:
    import pandas as pd

RESOLUTIONS = ("0.4", "0.8", "1.2")
IN_LINEAGE = [relation for relation, grade in GRADES.items() if grade > 0]
PURE = 0.8
"""Least share of a cluster's cells with one gold label, from which on the cluster is taken for one type: a fifth of
others are more than the doublets and strays of a clean clustering."""
LONGEST_RUN = 1800.0
"""Seconds that one data set may take."""


class Sample(NamedTuple):
    """What a user would say of a data set."""

    species: str
    tissue: str
    context: str = ""


SAMPLES = {
    "pancreas_baron_demo": Sample("human", "pancreas"),
    "pancreas_baron_h1": Sample("human", "pancreas"),
    "pbmc3k": Sample("human", "blood"),
    "pbmc_facs_garnett800": Sample("human", "blood"),
    "pbmc1200_3batch_symphony": Sample("human", "blood"),
    "mouseimmune1000_tm": Sample("mouse", "bone marrow and spleen"),
    "lungcelllines297_celseq2_5cl": Sample("human", "lung", "cancer cell lines"),
}

LABEL_HEADINGS = (
    "data set", "resolution", "clusters (mixed)", "cells in lineage", "exact or finer", "cells in pure clusters",
    "of these, exact or finer", "contradicted clusters", "right with ≥ 75", "labels with ≥ 75",
)  # fmt: skip
CLUSTERING_HEADINGS = ("data set", "resolution", "hF1 by cluster", "by cell", "by type", "ARI", "NMI", "homogeneity")


class Lines(NamedTuple):
    """What is said of one data set at one resolution: of its labels, and of its clustering."""

    labels: str
    clustering: str


def measure_cells(folder: Path) -> dict[str, str]:
    """Run every data set at all resolutions by the command, and write the figures as Markdown: a table of each kind."""
    labels, clusterings = (
        [f"| {' | '.join(headings)} |", f"|---|{'--:|' * (len(headings) - 1)}"]
        for headings in (LABEL_HEADINGS, CLUSTERING_HEADINGS)
    )
    for name, sample in SAMPLES.items():
        with TemporaryDirectory() as place:
            trouble = _run(folder / name / f"{name}.h5ad", sample, Path(place))
            if trouble:
                labels.append(f"| {name} | {trouble} |{' |' * (len(LABEL_HEADINGS) - 2)}")
                continue
            for lines in rows_of(name, Path(place) / "cells", gold_terms(folder, name)):
                labels.append(lines.labels)
                clusterings.append(lines.clustering)
    return {"cells": "\n".join(labels), "clusterings": "\n".join(clusterings)}


def _run(file: Path, sample: Sample, place: Path) -> str:
    """Annotate a file as a user would; say why, if it was refused."""
    options = ["--name", "cells", "--species", sample.species, "--tissue", sample.tissue, "--context", sample.context]
    options += ["--home", str(place / "home"), "--output", str(place), "--labels", "cell_type"]
    options += [word for resolution in RESOLUTIONS for word in ("--resolution", resolution)]
    command = [sys.executable, "-m", "cassia_dagster.cli", "run", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_RUN)  # noqa: S603
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.replace(str(file), file.name).split())
    return f"refused: {said.replace('|', '/')}"


def gold_terms(folder: Path, name: str) -> dict[str, str | None]:
    """Known labels of a data set, and their Cell Ontology ids."""
    import pandas as pd

    table = pd.read_csv(folder / "gold_label_to_CL.csv", dtype=str, keep_default_na=False)
    # The demo's cells are a part of the donor's.
    known = table[table["dataset"].isin([name, name.replace("_demo", "_h1")])]
    return {label: term or None for label, term in zip(known["label"], known["cl_id"], strict=True)}


def rows_of(
    title: str, output: Path, gold_ids: dict[str, str | None], resolutions: tuple[str, ...] = RESOLUTIONS
) -> list[Lines]:
    """Compare what a run wrote with the known labels in the annotated file, at each resolution.

    Parameters
    ----------
    title
        What the lines call the data set.
    output
        The folder that the run wrote to, named as the dataset.
    gold_ids
        Known label → Cell Ontology id.
    resolutions
        Those that the run had.
    """
    import anndata
    import pandas as pd

    cells = anndata.read_h5ad(output / f"{output.name}_annotated.h5ad", backed="r").obs
    rows = []
    for resolution in resolutions:
        table = output / f"leiden_res_{resolution}" / f"{output.name}_scored.csv"
        scored = pd.read_csv(table, dtype={"cluster": str}, keep_default_na=False).set_index("cluster")
        named = scored["status"] == "ok"
        terms = scored["cl_id"].where(named & (scored["cl_id"] != ""))
        clusters = cells[f"leiden_res_{resolution}"].astype(str).tolist()
        gold = cells["cell_type"].astype(str).tolist()
        labels = {str(cluster): term if isinstance(term, str) else None for cluster, term in terms.items()}
        agreement = compare_with_gold(labels, clusters, gold, gold_ids)
        rows.append(_lines(title, resolution, agreement, pd.to_numeric(scored["score"])))
    return rows


def _lines(name: str, resolution: str, agreement: Agreement, scores: pd.Series) -> Lines:
    right = [row.cluster for row in agreement.clusters if row.grade == 1 and not row.is_mixed]
    high = set(scores.index[scores >= SCORE_THRESHOLD])
    # Of a data set whose gold labels are no terms, only what needs none of them is said.
    mapped = agreement.by_cluster is not None
    compared = (
        *_shares(agreement),
        str(len(agreement.contradicted)),
        f"{len(high.intersection(right))} of {len(right)}",
    )
    labels = (
        name,
        resolution,
        f"{len(agreement.clusters)} ({len(agreement.mixed)})",
        *(compared if mapped else [""] * len(compared)),
        f"{len(high)} of {len(scores)}",
    )
    hf1s = [one and one.mean_hf1 for one in (agreement.by_cluster, agreement.by_cell, agreement.by_type)]
    indices = (agreement.adjusted_rand_index, agreement.normalized_mutual_information, agreement.homogeneity)
    figures = ("" if value is None else f"{value:.2f}" for value in (*hf1s, *indices))
    return Lines(f"| {' | '.join(labels)} |", f"| {' | '.join((name, resolution, *figures))} |")


def _shares(agreement: Agreement) -> tuple[str, ...]:
    """Cells in lineage, exact or finer, in pure clusters, and of these exact or finer."""
    pure = [row for row in agreement.clusters if row.purity >= PURE]
    n_cells, n_pure = (sum(row.n_cells for row in rows) for rows in (agreement.clusters, pure))
    n_right = sum(row.n_cells for row in pure if row.grade == 1)
    return (
        f"{sum(agreement.cell_share[relation] for relation in IN_LINEAGE):.0%}",
        f"{agreement.cell_share[Relation.EXACT] + agreement.cell_share[Relation.FINER]:.0%}",
        f"{n_pure / n_cells:.0%}",
        f"{n_right / n_pure:.0%}" if n_pure else "",
    )
