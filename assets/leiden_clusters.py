"""Asset `leiden_clusters`: which cluster each cell belongs to, at one resolution or by a column of the user's."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags
from assets.raw_adata import raw_adata, same_file
from cassia_dagster.errors import InputError
from cassia_dagster.marker_tables import WITHOUT_CELLS
from cassia_dagster.records import natural_order
from cassia_dagster.singlecell.cluster import MOST_BY_REFERENCE, LeidenEngine
from cassia_dagster.singlecell.columns import given_clusters
from cassia_dagster.singlecell.libraries import versions_behind
from cassia_dagster.singlecell.memory import measured
from cassia_dagster.singlecell.resolutions import MARKER_TABLE, is_given
from cassia_dagster.singlecell.stability import leiden_with_stability
from resources.catalog import CatalogResource, DatasetEntry
from resources.catalog_check import load_table
from resources.storage import IF_CELLS, AdataFile
from resources.versions import version_of_table

if TYPE_CHECKING:
    import pandas as pd


class LeidenConfig(dg.Config):
    """Parameters of the clustering."""

    seed: int = Field(default=0, ge=0, description="Seed of the algorithm.")
    engine: LeidenEngine | None = Field(
        default=None,
        description=(
            "leidenalg, Scanpy's reference, or igraph, which is many times faster and finds as good clusters. "
            f"If not given, leidenalg up to {MOST_BY_REFERENCE:,} cells, and igraph for more."
        ),
    )


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name="clusters",
    op_tags=memory_tags(matrix=True),
    kinds={"scanpy", "parquet"},
    code_version="4",
    io_manager_key="table_storage",
    dagster_type=dg.Any,
)
def leiden_clusters(
    context: dg.AssetExecutionContext, config: LeidenConfig, catalog: CatalogResource, normalized_adata: AdataFile
) -> dg.MaterializeResult:
    """Which cluster each cell belongs to: communities of the neighbour graph, by the Leiden algorithm.

    The higher the resolution, the more and the smaller the clusters. Ids are strings; "0" is the largest. Where the
    resolution is `given`, nothing is computed: the clusters are those that the user's file has in a column of `obs`,
    which the metadata names, and the ids are its values. Of a marker table the clusters are known, and none of their
    cells: each has one row with an empty cell id, and the digest of its markers. The stability is the mean adjusted
    Rand index between the clusters that igraph finds from several seeds: 1 if all are the same.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        if not entry.has_cells:
            _given_column(entry, resolution)
            with same_file(context.instance, entry):
                return _without_cells(entry)
    made: dict[str, Any]
    if is_given(resolution):
        with fatal_errors():
            column = _given_column(entry, resolution)
            labels = given_clusters(normalized_adata.read().obs, column, entry.path)
        made = {"given_by": dg.MetadataValue.text(column)}
    else:
        with measured() as usage:
            graph = normalized_adata.read("obsp/connectivities")
            clustering, same = leiden_with_stability(graph, float(resolution), seed=config.seed, engine=config.engine)
        labels = clustering.labels
        made = {
            **usage.metadata,
            "modularity": clustering.modularity,
            "quality": clustering.quality,
            "stability": same,
            "engine": clustering.engine.value,
            "parameters": dg.MetadataValue.json(config.model_dump(mode="json")),
            "libraries": dg.MetadataValue.json(versions_behind("leiden_clusters")),
        }
    table = labels.reset_index()
    return dg.MaterializeResult(
        value=table, data_version=version_of_table(table), metadata={**_describe_sizes(labels), **made}
    )


def _without_cells(entry: DatasetEntry) -> dg.MaterializeResult:
    import pandas as pd

    markers = load_table(entry)
    digests = {
        str(cluster): version_of_table(rows.reset_index(drop=True)).value[:16]
        for cluster, rows in markers.table.groupby("cluster", sort=False)
    }
    clusters = natural_order(digests)
    table = pd.DataFrame(
        {"cell_id": "", "cluster": clusters, "markers": [digests[cluster] for cluster in clusters]}, dtype="str"
    )
    table.attrs["notes"] = list(markers.notes)
    return dg.MaterializeResult(
        value=table,
        # Also of the markers, for what is made of those begins here.
        data_version=version_of_table(pd.concat([table, markers.table])),
        metadata={
            "clusters": len(clusters),
            "given_by": dg.MetadataValue.text(MARKER_TABLE),
            "notes": dg.MetadataValue.json([WITHOUT_CELLS, *markers.notes]),
        },
    )


def _given_column(entry: DatasetEntry, key: str) -> str:
    if key not in entry.given:
        known = ", ".join(f"{one} (column {column})" for one, column in entry.given.items()) or "none"
        raise InputError(
            f"Dataset {entry.name!r} brings no clustering with the key {key!r}; it brings: {known}. "
            "Name the column of obs in the field clusters of its entry in the catalog."
        )
    return entry.given[key]


def _describe_sizes(labels: "pd.Series") -> dict[str, Any]:
    sizes = labels.value_counts()
    rows = [dg.TableRecord({"cluster": str(cluster), "cells": int(cells)}) for cluster, cells in sizes.items()]
    return {
        "clusters": len(sizes),
        "largest_cluster": int(sizes.max()),
        "smallest_cluster": int(sizes.min()),
        "sizes": dg.MetadataValue.table(rows),
    }
