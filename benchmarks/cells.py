"""Runs the product itself on published cells with known labels, and compares what it writes with these."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.bars import LEAST_EXACT_OR_FINER, LEAST_IN_LINEAGE, LEAST_SCORED_HIGH, verdict
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

_FIGURES = (
    "cells in lineage", "exact or finer", "cells in pure clusters", "of these, exact or finer",
    "contradicted clusters", "right with ≥ 75", "labels with ≥ 75",
)  # fmt: skip
LABEL_HEADINGS = ("data set", "resolution", "recommended", "clusters (mixed)", *_FIGURES)
BAR_HEADINGS = (
    "data set", "resolution", "recommended", f"in lineage: {LEAST_IN_LINEAGE:.0%}",
    f"exact or finer: {LEAST_EXACT_OR_FINER:.0%}", "cells above the floor", f"in lineage: {LEAST_IN_LINEAGE:.0%}",
    f"exact or finer: {LEAST_EXACT_OR_FINER:.0%}", f"right with ≥ {SCORE_THRESHOLD:g}: half",
)  # fmt: skip
TOTAL_HEADINGS = ("data sets", "resolution", "sets", "cells", *_FIGURES)
CLUSTERING_HEADINGS = ("data set", "resolution", "hF1 by cluster", "by cell", "by type", "ARI", "NMI", "homogeneity")


PART_OF_ANOTHER = {"pancreas_baron_demo"}
"""Sets whose cells are in another set too, so that they are left out where all are counted together."""


class Measured(NamedTuple):
    """One data set at one resolution, beside its known labels."""

    name: str
    resolution: str
    recommended: bool
    """Whether the product's review recommends this one of the resolutions."""
    agreement: Agreement
    scores: pd.Series
    """Cluster → score of its label; NaN where it has none."""


class Tally(NamedTuple):
    """Cells and clusters of one or several data sets, counted together."""

    cells: int
    in_lineage: float
    exact_or_finer: float
    pure: int
    pure_and_right: int
    contradicted: int
    right: int
    right_and_high: int
    labels: int
    high: int

    def __add__(self, other: object) -> Tally:
        """Count what two hold."""
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally._make(one + another for one, another in zip(self, other, strict=True))


def measure_cells(folder: Path) -> dict[str, str]:
    """Run every data set at all resolutions by the command, and write the figures as Markdown: a table of each kind."""
    measured: list[Measured] = []
    refused = {}
    for name, sample in SAMPLES.items():
        with TemporaryDirectory() as place:
            trouble = _run(folder / name / f"{name}.h5ad", sample, Path(place))
            if trouble:
                refused[name] = trouble
            else:
                measured += compare_output(name, Path(place) / "cells", gold_terms(folder, name))
    return {
        "cells": table_of_labels(measured, refused),
        "cell bars": table_of_bars(measured),
        "all cells": table_of_totals(measured),
        "clusterings": table_of_clusterings(measured),
    }


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


def compare_output(
    title: str, output: Path, gold_ids: dict[str, str | None], resolutions: tuple[str, ...] = RESOLUTIONS
) -> list[Measured]:
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
    review = json.loads((output / f"{output.name}_review.json").read_text("utf-8"))
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
        recommended = review["recommendation"]["resolution"] == resolution
        rows.append(Measured(title, resolution, recommended, agreement, pd.to_numeric(scored["score"])))
    return rows


def table_of_labels(measured: Sequence[Measured], refused: Mapping[str, str] = MappingProxyType({})) -> str:
    """Write a row for each data set and resolution as Markdown; of a set that was refused, why."""
    lines = _head(LABEL_HEADINGS)
    for one in measured:
        clusters = f"{len(one.agreement.clusters)} ({len(one.agreement.mixed)})"
        figures = _figures(tally(one), compared=one.agreement.by_cluster is not None)
        lines.append(_row(one.name, one.resolution, "yes" if one.recommended else "", clusters, *figures))
    lines += [_row(name, why, *[""] * (len(LABEL_HEADINGS) - 2)) for name, why in refused.items()]
    return "\n".join(lines)


def table_of_bars(measured: Sequence[Measured]) -> str:
    """Write of each data set and resolution whether it is as good as asked for, as Markdown.

    First by all clusters, then by those above the purity floor alone: below it, no one label can be right for a
    cluster. Of cancer cell lines it is asked that no label of a normal type scores high.
    """
    lines = _head(BAR_HEADINGS)
    for one in measured:
        lines.append(_row(one.name, one.resolution, "yes" if one.recommended else "", *_held_against_bars(one)))
    return "\n".join(lines)


def _held_against_bars(one: Measured) -> tuple[str, ...]:
    of = tally(one)
    if one.agreement.by_cluster is None:
        return (*[""] * 5, _verdict(f"{of.high} of {of.labels} labels", met=of.high == 0))
    rows = [row for row in one.agreement.clusters if not row.is_mixed]
    above = sum(row.n_cells for row in rows)
    in_lineage = sum(row.n_cells for row in rows if row.relation in IN_LINEAGE)
    exact_or_finer = sum(row.n_cells for row in rows if row.grade == 1)
    return (
        _share_held(of.in_lineage, of.cells, LEAST_IN_LINEAGE),
        _share_held(of.exact_or_finer, of.cells, LEAST_EXACT_OR_FINER),
        f"{above / of.cells:.0%}",
        _share_held(in_lineage, above, LEAST_IN_LINEAGE),
        _share_held(exact_or_finer, above, LEAST_EXACT_OR_FINER),
        _verdict(f"{of.right_and_high} of {of.right}", met=of.right_and_high >= LEAST_SCORED_HIGH * of.right),
    )


def _share_held(part: float, whole: float, least: float) -> str:
    return _verdict(f"{part / whole:.0%}", met=part >= least * whole) if whole else ""


def _verdict(measured: str, *, met: bool) -> str:
    return f"{measured}, {verdict(met=met)}"


def table_of_totals(measured: Sequence[Measured]) -> str:
    """Write all sets with known types together, each cell counting once: as recommended, and at each resolution."""
    comparable = [one for one in measured if one.agreement.by_cluster and one.name not in PART_OF_ANOTHER]
    rows = {"as recommended, each set at its own": [one for one in comparable if one.recommended]}
    rows |= {one.resolution: [] for one in comparable}
    for one in comparable:
        rows[one.resolution].append(one)
    lines = _head(TOTAL_HEADINGS)
    for resolution, some in rows.items():
        if some:
            total = sum((tally(one) for one in some[1:]), tally(some[0]))
            lines.append(_row("all", resolution, str(len(some)), f"{total.cells:,}", *_figures(total, compared=True)))
    return "\n".join(lines)


def table_of_clusterings(measured: Sequence[Measured]) -> str:
    """Write the measures of names and clusterings for each data set and resolution as Markdown."""
    lines = _head(CLUSTERING_HEADINGS)
    for one in measured:
        agreement = one.agreement
        hf1s = [by and by.mean_hf1 for by in (agreement.by_cluster, agreement.by_cell, agreement.by_type)]
        indices = (agreement.adjusted_rand_index, agreement.normalized_mutual_information, agreement.homogeneity)
        figures = ("" if value is None else f"{value:.2f}" for value in (*hf1s, *indices))
        lines.append(_row(one.name, one.resolution, *figures))
    return "\n".join(lines)


def tally(one: Measured) -> Tally:
    """Count the cells and clusters of a data set by how their labels stand to the known ones."""
    agreement = one.agreement
    cells = sum(row.n_cells for row in agreement.clusters)
    pure = [row for row in agreement.clusters if row.purity >= PURE]
    right = [row.cluster for row in agreement.clusters if row.grade == 1 and not row.is_mixed]
    high = set(one.scores.index[one.scores >= SCORE_THRESHOLD])
    share = agreement.cell_share
    return Tally(
        cells=cells,
        in_lineage=cells * sum(share[relation] for relation in IN_LINEAGE),
        exact_or_finer=cells * (share[Relation.EXACT] + share[Relation.FINER]),
        pure=sum(row.n_cells for row in pure),
        pure_and_right=sum(row.n_cells for row in pure if row.grade == 1),
        contradicted=len(agreement.contradicted),
        right=len(right),
        right_and_high=len(high.intersection(right)),
        labels=len(one.scores),
        high=len(high),
    )


def _figures(of: Tally, *, compared: bool) -> tuple[str, ...]:
    """Write what `_FIGURES` names; where the known labels are no terms, only what needs none of them."""
    figures = (
        f"{of.in_lineage / of.cells:.0%}",
        f"{of.exact_or_finer / of.cells:.0%}",
        f"{of.pure / of.cells:.0%}",
        f"{of.pure_and_right / of.pure:.0%}" if of.pure else "",
        str(of.contradicted),
        f"{of.right_and_high} of {of.right}",
    )
    return (*(figures if compared else [""] * len(figures)), f"{of.high} of {of.labels}")


def _head(headings: Sequence[str]) -> list[str]:
    return [_row(*headings), f"|---|{'--:|' * (len(headings) - 1)}"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
