"""What analyses on demand share: which clusters are asked about, who is asked, and what was found out before."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from cassia_dagster.errors import InputError
from cassia_dagster.files import replacing
from cassia_dagster.records import AnnotatedCluster, ClusterFinding, Record, natural_order
from cassia_dagster.singlecell.cluster import digest_cells
from cassia_dagster.singlecell.lookup import LookUp, look_up_markers, sum_expression
from cassia_dagster.singlecell.resolutions import folder_of
from resources.catalog import DatasetEntry
from resources.llm import ModelOverride, ModelResource
from resources.storage import AdataFile, TableFile

GROUP = "analyses"
"""The group of the assets that are made only where a user asks for them."""


def panel_of(
    usual: ModelResource, models: Sequence[ModelOverride], temperature: float | None = None
) -> list[ModelResource]:
    """Lay each of several models over the usual one, which stands alone where none is named."""
    members = [usual.overlaid(one.choice()) for one in models] or [usual]
    warmth = ModelOverride(temperature=temperature).choice()
    return [member.overlaid(warmth) for member in members]


def chosen_rows(annotations: TableFile, leiden_clusters: TableFile, clusters: Sequence[str]) -> list[AnnotatedCluster]:
    """Return the annotated clusters that are asked about: those that are named, else all.

    Raises
    ------
    InputError
        If there is no such cluster, or if the annotations are about other cells than the clusters of now.
    """
    rows = annotations.records(AnnotatedCluster)
    known = [row.cluster for row in rows]
    if strangers := sorted(set(clusters) - set(known)):
        raise InputError(f"There is no cluster {strangers[0]!r}; the clusters are {', '.join(known)}.")
    digests = digest_cells(leiden_clusters.read().set_index("cell_id")["cluster"])
    if {row.cluster: row.cells for row in rows} != digests:
        raise InputError(
            "The annotations are about other clusters than those that leiden_clusters holds now. "
            "Materialize annotations and what follows it again."
        )
    return [row for row in rows if row.cluster in clusters or not clusters]


def look_ups(
    entry: DatasetEntry, rows: Sequence[AnnotatedCluster], normalized_adata: AdataFile, leiden_clusters: TableFile
) -> Mapping[str, LookUp]:
    """Read the matrix, if there is one, and return for each cluster what answers for its genes."""
    if not entry.has_cells:
        return {row.cluster: partial(look_up_markers, row.evidence) for row in rows}
    labels = leiden_clusters.read().set_index("cell_id")["cluster"]
    with normalized_adata.expression() as cells:
        sums = sum_expression(cells, labels)
    return {row.cluster: partial(sums.look_up, row.evidence) for row in rows}


def beside_earlier[R: ClusterFinding](
    new: Sequence[R], table: TableFile | None, record: type[R], still_holds: Callable[[R], bool]
) -> list[R]:
    """Put new rows beside those found out before that still hold, by cluster.

    Parameters
    ----------
    new
        Rows of this run; they take the place of older ones that do not hold.
    table
        What the asset held before, if it was made.
    record
        The type of a row.
    still_holds
        Tells of an older row whether it is about the present clusters, and not asked about anew.
    """
    earlier = table.records(record) if table else []
    rows = [*new, *(row for row in earlier if still_holds(row))]
    place = {cluster: rank for rank, cluster in enumerate(natural_order({row.cluster for row in rows}))}
    return sorted(rows, key=lambda row: place[row.cluster])


def write_beside_report(entry: DatasetEntry, resolution: str, analysis: str, rows: Sequence[Record]) -> Path:
    """Write rows as JSON beside the report, without the conversation, which the asset keeps; return the file."""
    import json

    path = entry.folder / folder_of(resolution) / f"{entry.name}_{analysis}.json"
    text = json.dumps([row.model_dump(mode="json", exclude={"history"}) for row in rows], indent=1, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
