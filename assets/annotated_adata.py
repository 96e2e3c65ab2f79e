"""Asset `annotated_adata`: the user's cells with the names of their clusters, at every resolution."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from assets.failures import fatal_errors
from assets.partitions import BY_DATASET, by_resolution
from assets.pools import MATRIX, memory_tags
from assets.raw_adata import raw_adata
from assets.report import report
from assets.results import Tables, assemble, coordinates_of
from cassia_dagster.agents.subclusters import Subcluster, parts_of_now
from cassia_dagster.errors import InputError
from cassia_dagster.outputs.cas import write_cas
from cassia_dagster.outputs.h5ad import annotate, write_h5ad
from cassia_dagster.outputs.refined import refine
from cassia_dagster.records import BoostedCluster
from cassia_dagster.singlecell.cluster import digest_cells
from cassia_dagster.singlecell.memory import measured
from resources.catalog import CatalogResource
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_table

if TYPE_CHECKING:
    import pandas as pd

LISTED_ONLY = dg.AssetIn(metadata={"allow_missing_partitions": True})
"""A dataset may list fewer resolutions than the project knows."""


@dg.asset(
    partitions_def=BY_DATASET,
    deps=[raw_adata, report],
    ins={
        **dict.fromkeys(("leiden_clusters", "annotations", "scores", "reviewed", "merged"), LISTED_ONLY),
        **dict.fromkeys(("normalized_adata", "umap"), IF_CELLS),
    },
    group_name="results",
    op_tags=memory_tags(matrix=True),
    kinds={"h5ad"},
    pool=MATRIX,
    code_version="3",
)
def annotated_adata(
    context: dg.AssetExecutionContext,
    catalog: CatalogResource,
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    umap: TableFile,
    leiden_clusters: dict[str, TableFile],
    annotations: dict[str, TableFile],
    scores: dict[str, TableFile],
    reviewed: dict[str, TableFile],
    merged: dict[str, TableFile],
) -> dg.MaterializeResult:
    """One h5ad file with all cells: counts, normalised values, UMAP, and every resolution's labels.

    The columns of `obs` carry the resolution in their name, or `given` where the clusters are the user's own; the
    catalog's primary resolution also fills the single-valued ones, such as `CASSIA_annotation`. Where it all came
    from is in `uns["cassia"]`. Where clusters were looked into, the parts and their labels are in columns of their own.
    Beside it, `…_cell_annotations.json` has the labels in the Cell Annotation Schema.
    """
    with fatal_errors(), measured() as usage:
        entry = catalog.entry(context.partition_key)
        entry.require_cells()
        clustered, *tables = (
            by_resolution(fan_in) for fan_in in (leiden_clusters, annotations, scores, reviewed, merged)
        )
        made = set.intersection(*map(set, (clustered, *tables)))
        if missing := [resolution for resolution in entry.clusterings if resolution not in made]:
            raise InputError(
                f"Dataset {entry.name!r} lists the resolutions {', '.join(entry.clusterings)}, but nothing was made of "
                f"{', '.join(missing)}. Materialize that first (job annotate_clusters), or take it off the list."
            )
        clusterings = {
            resolution: table.read().set_index("cell_id")["cluster"]
            for resolution, table in clustered.items()
            if resolution in entry.clusterings
        }
        results = [
            assemble(entry, resolution, digest_cells(cells), Tables(*(table[resolution] for table in tables)))
            for resolution, cells in clusterings.items()
        ]
        adata = normalized_adata.tables()
        coordinates = coordinates_of(umap, adata.obs_names)[["x", "y"]].to_numpy()
        refined = _refined(table_storage, entry.name, clusterings, by_resolution(reviewed))
        annotated = annotate(adata, results, clusterings, coordinates, entry.primary, refined)
        path = entry.folder / f"{entry.name}_annotated.h5ad"
        write_h5ad(annotated, path, normalized_adata.matrices())
        schema = entry.folder / f"{entry.name}_cell_annotations.json"
        write_cas(results, schema)
    return dg.MaterializeResult(
        data_version=version_of_table(annotated.obs.astype(str)),
        metadata={
            "path": dg.MetadataValue.path(str(path.absolute())),
            "cell_annotation_schema": dg.MetadataValue.path(str(schema.absolute())),
            "cells": annotated.n_obs,
            "resolutions": dg.MetadataValue.json(list(clusterings)),
            "looked_into": dg.MetadataValue.json(list(refined)),
            "primary_resolution": entry.primary,
            "bytes": path.stat().st_size,
            **usage.metadata,
        },
    )


def _refined(
    storage: TableIOManager, dataset: str, clusterings: "Mapping[str, pd.Series]", reviewed: Mapping[str, TableFile]
) -> "dict[str, pd.DataFrame]":
    """Lay the parts of clusters that were looked into over the clusters, as far as they are about those of now."""
    refined = {}
    for resolution, labels in clusterings.items():
        table = storage.made_before("subclusters", dataset, resolution)
        # The columns of a table that an earlier version wrote may be others; the report passes it over too.
        parts = parts_of_now(table.records(Subcluster), labels) if table and table.fits(Subcluster) else []
        if parts:
            final = {row.cluster: row for row in reviewed[resolution].records(BoostedCluster)}
            refined[resolution] = refine(labels, parts, final)
    return refined
