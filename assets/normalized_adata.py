"""Asset `normalized_adata`: a dataset's cells, made comparable and connected to their neighbours."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from assets.failures import failed_check, fatal_errors
from assets.partitions import BY_DATASET
from assets.raw_adata import raw_adata
from cassia_dagster.singlecell.columns import cells_per_batch
from cassia_dagster.singlecell.embed import embed
from cassia_dagster.singlecell.normalize import adopt, normalize
from cassia_dagster.singlecell.values import KINDS
from resources.catalog import CatalogResource
from resources.catalog_check import load_checked
from resources.versions import version_of_adata


class NormalizeConfig(dg.Config):
    """Parameters of Scanpy's clustering tutorial."""

    target_sum: float = Field(default=1e4, gt=0, description="Counts that every cell is scaled to.")
    min_mean: float = Field(default=0.0125, description="Least mean of a highly variable gene.")
    max_mean: float = Field(default=3.0, description="Largest mean of a highly variable gene.")
    min_disp: float = Field(
        default=0.5,
        description="Least normalised dispersion of a highly variable gene.",
    )
    n_neighbors: int = Field(default=10, ge=2, description="Neighbours of a cell in the graph.")
    n_pcs: int = Field(
        default=25,
        ge=2,
        description="Principal components that distances are measured in.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the components and the graph.")


@dg.asset(
    partitions_def=BY_DATASET,
    deps=[raw_adata],
    group_name="cells",
    kinds={"scanpy", "h5ad"},
    code_version="2",
    io_manager_key="adata_storage",
    dagster_type=dg.Any,
    check_specs=[
        dg.AssetCheckSpec(
            "file_can_be_annotated",
            asset="normalized_adata",
            partitions_def=BY_DATASET,
            description="The file can be read, and holds what its entry in the catalog says of it.",
        )
    ],
)
def normalized_adata(
    context: dg.AssetExecutionContext, config: NormalizeConfig, catalog: CatalogResource
) -> dg.MaterializeResult:
    """The cells of a dataset, normalised to equal depth, log-transformed, and joined to their neighbours.

    All genes are kept, for markers are sought among all of them; the raw counts stay in the layer `counts`. A file
    without counts is taken as its authors normalised it, and the notes say so.
    Principal components of the scaled, highly variable genes span the space in which each cell finds its
    nearest neighbours. That graph is computed once and shared by all resolutions.
    """
    with fatal_errors(), failed_check(context, "file_can_be_annotated"):
        entry = catalog.entry(context.partition_key)
        entry.require_cells()
        cells = load_checked(entry)
        batches = cells_per_batch(cells.adata.obs, entry.batch_key, entry.path) if entry.batch_key else {}
        parameters = config.model_dump(include={"target_sum", "min_mean", "max_mean", "min_disp"})
        if cells.holds.kind == "counts":
            adata = normalize(cells.adata, **parameters)
        else:
            adata = adopt(cells.adata, cells.holds, **parameters)
        embed(adata, n_neighbors=config.n_neighbors, n_pcs=config.n_pcs, seed=config.seed)
    return dg.MaterializeResult(
        value=adata,
        data_version=version_of_adata(adata, entry.given),
        metadata={
            "cells": adata.n_obs,
            "genes": adata.n_vars,
            "highly_variable_genes": int(adata.var["highly_variable"].sum()),
            "input": f"{KINDS[cells.holds.kind]} of {cells.place} ({cells.holds.signs})",
            "notes": dg.MetadataValue.json(list(cells.notes)),
            **({"median_counts": float(adata.obs["n_counts"].median())} if "n_counts" in adata.obs else {}),
            "median_genes": float(adata.obs["n_genes"].median()),
            "median_pct_mito": float(adata.obs["pct_mito"].median()),
            "variance_in_components": float(adata.uns["pca"]["variance_ratio"].sum()),
            "parameters": dg.MetadataValue.json(config.model_dump()),
            **_describe_batches(entry.batch_key, batches),
        },
        check_results=[dg.AssetCheckResult(check_name="file_can_be_annotated", passed=True)],
    )


def _describe_batches(column: str | None, cells: Mapping[str, int]) -> dict[str, Any]:
    if column is None:
        return {}
    rows = [dg.TableRecord({"batch": batch, "cells": number}) for batch, number in cells.items()]
    return {
        "batches": len(cells),
        "batch_key": dg.MetadataValue.text(column),
        "cells_per_batch": dg.MetadataValue.table(rows),
        "integration": dg.MetadataValue.text("none: batches are counted, and nothing is corrected for them"),
    }
