"""Puts the tables of one dataset at one resolution together, as the outputs take them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.second_look import digest_of
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
    GroupedCluster,
    ScoredCluster,
    natural_order,
)
from cassia_dagster.singlecell.columns import main_tissues
from cassia_dagster.singlecell.names import are_same
from resources.catalog import DatasetEntry
from resources.storage import TableFile
from resources.versions import version_of_records

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


def by_cluster[Row: (ScoredCluster, BoostedCluster, GroupedCluster)](
    asset: str, rows: Iterable[Row], wanted: Iterable[str]
) -> dict[str, Row]:
    """Find the rows of a table by the ids of their clusters.

    Raises
    ------
    InputError
        If a wanted cluster has none, or one that is not wanted has one: the table was made of earlier annotations than
        those that stand now.
    """
    found, known = {row.cluster: row for row in rows}, set(wanted)
    if others := natural_order(found.keys() ^ known):
        has = "no row" if others[0] in known else "a row"
        raise InputError(
            f"{asset} has {has} for cluster {others[0]}: it was made of other annotations than those that "
            f"stand now. Materialize {asset} and what follows it again."
        )
    return found


def digest_of_annotation(row: AnnotatedCluster) -> str:
    """Tell an annotation from others, whatever the conversation that led to it."""
    return version_of_records([row]).value


def digest_of_label(row: BoostedCluster) -> str:
    """Tell what the merger is told of a cluster from what it would be told of another."""
    said = row.annotation if row.annotation and not row.annotation.unresolved else None
    label = (said.label, said.general_celltype, row.check.cl_id if row.check else None) if said else None
    return hashlib.sha256(repr(label).encode()).hexdigest()[:32]


def scores_of(annotated: Sequence[AnnotatedCluster], scores: TableFile) -> dict[str, ScoredCluster]:
    """Return the score of every annotation, by the id of its cluster.

    Raises
    ------
    InputError
        If one has none yet, or if it is of an earlier annotation than that of now.
    """
    if not scores.path.exists():
        raise InputError("There are no scores yet. Materialize scores and what follows it.")
    found = by_cluster("scores", scores.records(ScoredCluster), [row.cluster for row in annotated])
    for row in annotated:
        if found[row.cluster].about not in ("", digest_of_annotation(row)):
            raise InputError(
                f"The score of cluster {row.cluster} is of an earlier annotation than that of now. "
                "Materialize scores and what follows it again."
            )
    return found


def refuse_earlier_words(
    annotated: Iterable[AnnotatedCluster], scored: Mapping[str, ScoredCluster], final: Mapping[str, BoostedCluster]
) -> None:
    """Raise `InputError` if the final word on a cluster is about an earlier annotation or score than those of now."""
    for row in annotated:
        score = scored.get(row.cluster)
        about = final[row.cluster].about
        if about and (score is None or about != digest_of(row, score)):
            raise InputError(
                f"The final word on cluster {row.cluster} is about an earlier annotation or score than those of now. "
                "Materialize scores, boosted, reviewed and what follows them again."
            )


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
        is about other annotations, scores or labels than those of now.
    """
    annotations = tables.annotations.records(AnnotatedCluster)
    if {row.cluster: row.cells for row in annotations} != digests:
        raise InputError(
            f"The annotations of {entry.name!r}, {entry.title(resolution)}, are about other clusters than those that "
            "leiden_clusters holds now. Materialize annotations and what follows it again."
        )
    try:
        clusters = _joined(annotations, tables)
    except InputError as error:
        raise InputError(f"{entry.name!r}, {entry.title(resolution)}: {error}") from error
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


def _joined(annotations: Sequence[AnnotatedCluster], tables: Tables) -> tuple[ClusterResult, ...]:
    wanted = [row.cluster for row in annotations]
    scores = scores_of(annotations, tables.scores)
    boosted = by_cluster("boosted", tables.boosted.records(BoostedCluster), wanted)
    refuse_earlier_words(annotations, scores, boosted)
    groupings = by_cluster("merged", tables.merged.records(GroupedCluster), wanted)
    for cluster in wanted:
        if groupings[cluster].about not in ("", digest_of_label(boosted[cluster])):
            raise InputError(
                f"The grouping of cluster {cluster} is of an earlier label than that of now. "
                "Materialize merged and what follows it again."
            )
    return tuple(
        ClusterResult(
            annotated=row,
            scored=scores[row.cluster],
            boosted=boosted[row.cluster],
            grouping=groupings[row.cluster],
        )
        for row in annotations
    )


def refuse_other_cells(asset: str, found: "pd.Index", cells: "pd.Index") -> None:
    """Raise `InputError` if an asset does not hold the cells that it should, whatever their order."""
    if not are_same(found, cells):
        raise InputError(
            f"{asset} is of other cells than those of now. Materialize normalized_adata, umap, leiden_clusters and "
            "what follows them again."
        )


def coordinates_of(umap: TableFile, cells: "pd.Index") -> "pd.DataFrame":
    """Return where each cell is on the map, in the order of the cells; raise `InputError` if it is of others."""
    found = umap.read().set_index("cell_id")
    refuse_other_cells("umap", found.index, cells)
    return found.reindex(cells)


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
    refuse_other_cells("normalized_adata, which has the known labels,", gold.index, labels.index)
    known = gold.reindex(labels.index)
    given = known.notna().to_list()
    cells = [str(label) if is_given else None for label, is_given in zip(known.to_list(), given, strict=True)]
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
