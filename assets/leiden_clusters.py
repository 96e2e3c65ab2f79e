"""Asset `leiden_clusters`: which cluster each cell belongs to, at one resolution."""

import dagster as dg
from pydantic import Field

from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from cassia_dagster.singlecell.cluster import leiden
from resources.storage import AdataFile
from resources.versions import version_of_table


class LeidenConfig(dg.Config):
    """Parameters of the clustering."""

    seed: int = Field(default=0, ge=0, description="Seed of the algorithm.")


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    group_name="clusters",
    kinds={"scanpy", "parquet"},
    code_version="1",
    io_manager_key="table_storage",
    dagster_type=dg.Any,
)
def leiden_clusters(
    context: dg.AssetExecutionContext, config: LeidenConfig, normalized_adata: AdataFile
) -> dg.MaterializeResult:
    """Communities of the neighbour graph, found by the Leiden algorithm at one resolution.

    The higher the resolution, the more and the smaller the clusters. Ids are strings; "0" is the largest.
    """
    _, resolution = dataset_and_resolution(context)
    clustering = leiden(normalized_adata.read("obsp/connectivities"), float(resolution), seed=config.seed)
    sizes = clustering.sizes
    table = clustering.labels.reset_index()
    return dg.MaterializeResult(
        value=table,
        data_version=version_of_table(table),
        metadata={
            "clusters": len(sizes),
            "largest_cluster": int(sizes.max()),
            "smallest_cluster": int(sizes.min()),
            "modularity": clustering.modularity,
            "sizes": dg.MetadataValue.table(
                [dg.TableRecord({"cluster": str(cluster), "cells": int(cells)}) for cluster, cells in sizes.items()]
            ),
            "parameters": dg.MetadataValue.json(config.model_dump()),
        },
    )
