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

HEADINGS = (
    "data set", "resolution", "clusters (mixed)", "cells in lineage", "cells exact or finer", "contradicted clusters",
    "hF1 by cluster", "by cell", "by type", "ARI", "NMI", "homogeneity", "right with ≥ 75", "labels with ≥ 75",
)  # fmt: skip


def measure_cells(folder: Path) -> str:
    """Run every data set at all resolutions by the command, and write the figures as Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|---|--:{'|--:' * (len(HEADINGS) - 2)}|"]
    for name, sample in SAMPLES.items():
        with TemporaryDirectory() as place:
            trouble = _run(folder / name / f"{name}.h5ad", sample, Path(place))
            if trouble:
                lines.append(f"| {name} | {trouble} |{' |' * (len(HEADINGS) - 2)}")
                continue
            lines += rows_of(name, Path(place) / "cells", _gold_terms(folder, name))
    return "\n".join(lines)


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


def _gold_terms(folder: Path, name: str) -> dict[str, str | None]:
    import pandas as pd

    table = pd.read_csv(folder / "gold_label_to_CL.csv", dtype=str, keep_default_na=False)
    # The demo's cells are a part of the donor's.
    known = table[table["dataset"].isin([name, name.replace("_demo", "_h1")])]
    return {label: term or None for label, term in zip(known["label"], known["cl_id"], strict=True)}


def rows_of(
    title: str, output: Path, gold_terms: dict[str, str | None], resolutions: tuple[str, ...] = RESOLUTIONS
) -> list[str]:
    """Compare what a run wrote with the known labels in the annotated file: a line for each resolution.

    Parameters
    ----------
    title
        What the lines call the data set.
    output
        The folder that the run wrote to, named as the dataset.
    gold_terms
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
        agreement = compare_with_gold(
            {str(cluster): term if isinstance(term, str) else None for cluster, term in terms.items()},
            cells[f"leiden_res_{resolution}"].astype(str).tolist(),
            cells["cell_type"].astype(str).tolist(),
            gold_terms,
        )
        rows.append(_row(title, resolution, agreement, pd.to_numeric(scored["score"])))
    return rows


def _row(name: str, resolution: str, agreement: Agreement, scores: pd.Series) -> str:
    right = [row.cluster for row in agreement.clusters if row.grade == 1 and not row.is_mixed]
    high = set(scores.index[scores >= SCORE_THRESHOLD])
    hf1s = [one and one.mean_hf1 for one in (agreement.by_cluster, agreement.by_cell, agreement.by_type)]
    indices = (agreement.adjusted_rand_index, agreement.normalized_mutual_information, agreement.homogeneity)
    cells = (
        name,
        resolution,
        f"{len(agreement.clusters)} ({len(agreement.mixed)})",
        f"{sum(agreement.cell_share[relation] for relation in IN_LINEAGE):.0%}",
        f"{agreement.cell_share[Relation.EXACT] + agreement.cell_share[Relation.FINER]:.0%}",
        str(len(agreement.contradicted)),
        *("" if value is None else f"{value:.2f}" for value in (*hf1s, *indices)),
        f"{len(high.intersection(right))} of {len(right)}",
        f"{len(high)} of {len(scores)}",
    )
    return f"| {' | '.join(cells)} |"
