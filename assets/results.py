"""Puts the tables of one dataset at one resolution together, as the outputs take them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.bounded import read_bounded
from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.agreement import (
    Agreement,
    compare_with_gold,
)
from cassia_dagster.evaluation.reading import read_gold_labels
from cassia_dagster.outputs.result import ResolutionResult, Spent, result_of
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    ClusterResult,
    Grouping,
    ScoredCluster,
)
from cassia_dagster.singlecell.columns import main_tissues
from resources.catalog import DatasetEntry
from resources.storage import TableFile

if TYPE_CHECKING:
    import pandas as pd

LARGEST_FILE = 20_000_000
"""Bytes of a table of the terms of known labels."""

LIBRARIES = ("dagster", "scanpy", "anndata", "leidenalg", "litellm")


@dataclass(frozen=True, slots=True)
class Tables:
    """What the agents made of one dataset at one resolution."""

    annotations: TableFile
    scores: TableFile
    boosted: TableFile
    merged: TableFile


def by_cluster[Row: (ScoredCluster, BoostedCluster, Grouping)](
    asset: str, rows: Iterable[Row], wanted: Iterable[str]
) -> dict[str, Row]:
    """Find the rows of a table by the ids of their clusters.

    Raises
    ------
    InputError
        If a wanted cluster has none: the table was made of earlier annotations than those that stand now.
    """
    found = {row.cluster: row for row in rows}
    if missing := [cluster for cluster in wanted if cluster not in found]:
        raise InputError(
            f"{asset} has no row for cluster {', '.join(missing)}: it was made of other annotations than those that "
            f"stand now. Materialize {asset} and what follows it again."
        )
    return found


def assemble(
    entry: DatasetEntry,
    resolution: str,
    digests: Mapping[str, str],
    tables: Tables,
    spent: Spent | None = None,
    notes: tuple[str, ...] = (),
) -> ResolutionResult:
    """Join the tables by cluster id.

    Parameters
    ----------
    digests
        What each cluster is made of, as `digest_clusters` names it.

    Raises
    ------
    InputError
        If the annotations are about another clustering than this, whatever the ids of its clusters, or if a table
        is about other annotations.
    """
    annotations = tables.annotations.records(AnnotatedCluster)
    if {row.cluster: row.cells for row in annotations} != digests:
        raise InputError(
            f"The annotations of {entry.name!r}, {entry.title(resolution)}, are about other clusters than those that "
            "leiden_clusters holds now. Materialize annotations and what follows it again."
        )
    wanted = [row.cluster for row in annotations]
    scores = by_cluster("scores", tables.scores.records(ScoredCluster), wanted)
    boosted = by_cluster("boosted", tables.boosted.records(BoostedCluster), wanted)
    groupings = by_cluster("merged", tables.merged.records(Grouping), wanted)
    clusters = tuple(
        ClusterResult(
            annotated=row,
            scored=scores[row.cluster],
            boosted=boosted[row.cluster],
            grouping=groupings[row.cluster],
        )
        for row in annotations
    )
    return result_of(
        clusters,
        dataset=entry.name,
        resolution=resolution,
        column=entry.given.get(resolution),
        species=entry.species,
        tissue=sampled_tissue(entry, annotations),
        libraries=LIBRARIES,
        notes=notes,
        spent=spent,
    )


def sampled_tissue(entry: DatasetEntry, rows: Iterable[AnnotatedCluster]) -> str:
    """Say where the cells of a dataset are from: as the catalog has it, or the main tissues of its clusters' cells."""
    if entry.tissue is not None:
        return entry.tissue
    cells: Counter[str] = Counter()
    for row in rows:
        cells.update({part.tissue: part.n_cells for part in row.evidence.tissues})
    return main_tissues(cells)


def compare(
    entry: DatasetEntry,
    result: ResolutionResult,
    labels: "pd.Series",
    gold: "pd.Series",
) -> Agreement:
    """Compare the final labels with one column of known labels."""
    return hold_against(entry, result.tissue, {row.cluster: _term(row) for row in result.clusters}, labels, gold)


def hold_against(
    entry: DatasetEntry, tissue: str, terms: Mapping[str, str | None], labels: "pd.Series", gold: "pd.Series"
) -> Agreement:
    """Hold the terms that clusters were given, ``None`` where there is none, against one column of known labels."""
    known = gold.reindex(labels.index)
    cells = [str(label) if given else None for label, given in zip(known, known.notna(), strict=True)]
    gold_terms = read_gold_labels(sorted({label for label in cells if label}), tissue, entry.species)
    return compare_with_gold(
        labels=terms,
        clusters=labels.tolist(),
        gold_labels=cells,
        gold_ids={**gold_terms, **_given_terms(entry)},
    )


def _term(row: ClusterResult) -> str | None:
    annotation, check = row.boosted.annotation, row.boosted.check
    if annotation is None or annotation.unresolved or check is None:
        return None
    return check.cl_id


def _given_terms(entry: DatasetEntry) -> dict[str, str | None]:
    """Read the user's terms; a label without one has none, whatever its name suggests."""
    if entry.label_terms is None:
        return {}
    import pandas as pd

    if not entry.label_terms.exists():
        raise InputError(f"There is no file {entry.label_terms}, the label_terms of dataset {entry.name!r}.")
    try:
        table = pd.read_csv(
            read_bounded(entry.label_terms, LARGEST_FILE), dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except ValueError as error:  # pandas' own errors and undecodable text are ones
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{entry.label_terms}, the label_terms of dataset {entry.name!r}, cannot be read as CSV: {reason}. "
            "It needs the columns label and cl_id."
        ) from error
    if not {"label", "cl_id"} <= set(table.columns):
        raise InputError(f"{entry.label_terms} has the columns {', '.join(table.columns)}; it needs label and cl_id.")
    return {label: cl_id.strip() or None for label, cl_id in zip(table["label"], table["cl_id"], strict=True)}
