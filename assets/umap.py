"""Asset `umap`: where each cell lies on the map."""

import dagster as dg

from assets.partitions import BY_DATASET
from assets.pools import MATRIX, memory_tags
from cassia_dagster.singlecell.embed import umap_coordinates
from cassia_dagster.singlecell.libraries import versions_behind
from cassia_dagster.singlecell.memory import measured
from resources.storage import AdataFile
from resources.versions import version_of_table


@dg.asset(
    partitions_def=BY_DATASET,
    group_name="cells",
    op_tags=memory_tags(matrix=True),
    kinds={"scanpy", "parquet"},
    pool=MATRIX,
    code_version="1",
    io_manager_key="table_storage",
    dagster_type=dg.Any,
)
def umap(normalized_adata: AdataFile) -> dg.MaterializeResult:
    """The UMAP layout of the neighbour graph: two coordinates for each cell.

    It serves the eye only. Clusters and markers are computed from the graph, and do not wait for it.
    """
    import pandas as pd

    with measured() as usage:
        adata = normalized_adata.read("obsm/X_pca", "obsp/connectivities", "uns/neighbors")
        coordinates = pd.DataFrame(umap_coordinates(adata), columns=["x", "y"])
    coordinates.insert(0, "cell_id", adata.obs_names)
    return dg.MaterializeResult(
        value=coordinates,
        data_version=version_of_table(coordinates),
        metadata={
            "cells": len(coordinates),
            "libraries": dg.MetadataValue.json(versions_behind("umap")),
            **usage.metadata,
        },
    )
