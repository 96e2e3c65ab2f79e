"""What the data, the catalog and a lab's own marker table say of the clusters, for all who ask about them."""

from typing import TYPE_CHECKING

from cassia_dagster.knowledge.lab import use_lab_markers
from cassia_dagster.records import ClusterEvidence
from cassia_dagster.singlecell.columns import tissue_of_cells
from cassia_dagster.singlecell.marker_evidence import evidence_from_markers
from cassia_dagster.singlecell.profile import gather_evidence
from resources.catalog import DatasetEntry

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def evidence_of(
    entry: DatasetEntry, cells: "AnnData | None", labels: "pd.Series", markers: "pd.DataFrame"
) -> list[ClusterEvidence]:
    """Gather the evidence of each cluster, with what the catalog says of the sample.

    Parameters
    ----------
    entry
        The dataset, as the catalog has it.
    cells
        ``obs`` and ``obsm["X_pca"]`` of the normalised cells; no matrix is needed. ``None`` for a marker table.
    labels
        Cell id → cluster id.
    markers
        As the asset `marker_table` holds them.
    """
    if cells is None:
        rows = evidence_from_markers(markers, species=entry.species, tissue=entry.where, context=entry.context)
    else:
        rows = gather_evidence(
            cells,
            labels,
            markers,
            species=entry.species,
            tissue=entry.tissue or tissue_of_cells(cells.obs, str(entry.tissue_column), entry.path),
            context=entry.context,
        )
    version = know_lab_markers(entry)
    return [row.model_copy(update={"lab_markers": version}) for row in rows] if version else rows


def know_lab_markers(entry: DatasetEntry) -> str:
    """Let this process know the lab's marker table, if the catalog names one; return its version.

    Whoever asks about evidence that another process has gathered calls this first: the evidence carries the version
    of the table, not the table.
    """
    return use_lab_markers(entry.markers, entry.species) if entry.markers else ""
