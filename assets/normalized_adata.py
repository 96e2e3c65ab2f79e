"""Asset `normalized_adata`: a dataset's cells, made comparable and connected to their neighbours."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg
from pydantic import Field

from assets.failures import failed_check, fatal_errors
from assets.partitions import BY_DATASET
from assets.pools import MATRIX, memory_tags
from assets.raw_adata import raw_adata, same_file
from cassia_dagster.knowledge.versions import gene_names_version
from cassia_dagster.singlecell.columns import cells_per_batch
from cassia_dagster.singlecell.embed import embed
from cassia_dagster.singlecell.libraries import versions_behind
from cassia_dagster.singlecell.load import INPUT
from cassia_dagster.singlecell.memory import choose_way, measured, memory_available
from cassia_dagster.singlecell.normalize import adopt, normalize
from cassia_dagster.singlecell.streaming import CountsFile, count_stored, prepare_by_blocks, what_stays_behind
from cassia_dagster.singlecell.values import KINDS
from resources.catalog import CatalogResource, DatasetEntry
from resources.catalog_check import load_checked, tables_checked
from resources.versions import version_of_adata

if TYPE_CHECKING:
    import pandas as pd


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
    integrate: bool = Field(
        default=True,
        description="Align batches by Harmony, if the catalog names a batch_key and does not say integrate: false.",
    )


@dg.asset(
    partitions_def=BY_DATASET,
    deps=[raw_adata],
    group_name="cells",
    op_tags=memory_tags(matrix=True),
    kinds={"scanpy", "h5ad"},
    pool=MATRIX,
    code_version=f"4 genes@{gene_names_version()}",
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
    nearest neighbours; where the catalog names batches, Harmony aligns them in it first. That graph is computed once
    and shared by all resolutions.
    """
    with fatal_errors(), failed_check(context, "file_can_be_annotated"), measured() as usage:
        entry = catalog.entry(context.partition_key)
        entry.require_cells()
        with same_file(context.instance, entry):
            way = choose_way(count_stored(entry.path, entry.counts) or 0, memory_available())
            made = (_stream if way.streams else _load)(entry, config)
        cells = made.tables
        batches = _batches(entry, cells.obs)
        version = version_of_adata(cells, entry.given, made.digest)
    context.log.info(way.why)
    return dg.MaterializeResult(
        value=made.value,
        data_version=version,
        metadata={
            "cells": cells.n_obs,
            "genes": cells.n_vars,
            "highly_variable_genes": int(cells.var["highly_variable"].sum()),
            "input": made.input,
            "notes": dg.MetadataValue.json([*made.notes, *([way.why] if way.streams else [])]),
            "way": way.why,
            **({"median_counts": float(cells.obs["n_counts"].median())} if "n_counts" in cells.obs else {}),
            "median_genes": float(cells.obs["n_genes"].median()),
            "median_pct_mito": float(cells.obs["pct_mito"].median()),
            "variance_in_components": float(cells.uns["pca"]["variance_ratio"].sum()),
            "parameters": dg.MetadataValue.json(config.model_dump()),
            "libraries": dg.MetadataValue.json(versions_behind("normalized_adata")),
            **usage.metadata,
            **_describe_batches(entry.batch_key, batches, cells.uns),
        },
        check_results=[dg.AssetCheckResult(check_name="file_can_be_annotated", passed=True)],
    )


class _Made(NamedTuple):
    """Prepared cells, however they were come by."""

    value: Any
    """What the storage takes."""
    tables: Any
    """AnnData with all but, perhaps, the matrices."""
    digest: bytes | None
    """Of the normalised values, where they are not in memory."""
    input: str
    notes: Sequence[str]


def _load(entry: DatasetEntry, config: NormalizeConfig) -> _Made:
    cells = load_checked(entry)
    if cells.holds.kind == "counts":
        adata = normalize(cells.adata, **_bounds(config), target_sum=config.target_sum)
    else:
        adata = adopt(cells.adata, cells.holds, **_bounds(config), target_sum=config.target_sum)
    embed(adata, **_geometry(config), batch_key=_aligned(entry, config, adata.obs))
    source = f"{KINDS[cells.holds.kind]} of {cells.place} ({cells.holds.signs})"
    return _Made(adata, adata, None, source, cells.notes)


def _stream(entry: DatasetEntry, config: NormalizeConfig) -> _Made:
    counts = CountsFile(entry.path, entry.counts)
    tables, said = tables_checked(entry, counts.place)
    notes = [*said, *what_stays_behind(entry.path, counts.place)]
    tables.uns[INPUT] = {"matrix": counts.place, "values": KINDS["counts"], "notes": "\n".join(notes)}
    made = prepare_by_blocks(
        tables,
        counts,
        _bounds(config),
        target_sum=config.target_sum,
        **_geometry(config),
        batch_key=_aligned(entry, config, tables.obs),
    )
    return _Made(made, tables, made.digest, f"{KINDS['counts']} of {counts.place}, read by blocks of cells", notes)


def _bounds(config: NormalizeConfig) -> dict[str, float]:
    return config.model_dump(include={"min_mean", "max_mean", "min_disp"})


def _geometry(config: NormalizeConfig) -> dict[str, int]:
    return config.model_dump(include={"n_neighbors", "n_pcs", "seed"})


def _batches(entry: DatasetEntry, obs: "pd.DataFrame") -> Mapping[str, int]:
    return cells_per_batch(obs, entry.batch_key, entry.path) if entry.batch_key else {}


def _aligned(entry: DatasetEntry, config: NormalizeConfig, obs: "pd.DataFrame") -> str | None:
    """Name the column whose batches are aligned, if they are to be."""
    return entry.batch_key if config.integrate and entry.integrate and len(_batches(entry, obs)) > 1 else None


def _describe_batches(column: str | None, cells: Mapping[str, int], found: Mapping[str, Any]) -> dict[str, Any]:
    if column is None:
        return {}
    rows = [dg.TableRecord({"batch": batch, "cells": number}) for batch, number in cells.items()]
    return {
        "batches": len(cells),
        "batch_key": dg.MetadataValue.text(column),
        "cells_per_batch": dg.MetadataValue.table(rows),
        **_describe_integration(len(cells), found.get("integration")),
    }


def _describe_integration(n_batches: int, found: Mapping[str, Any] | None) -> dict[str, Any]:
    if found is None:
        why = "there is one batch only" if n_batches < 2 else "it is switched off, and batches are only counted"
        return {"integration": dg.MetadataValue.text(f"none: {why}")}
    before, after, mixed = (float(found[f"lisi_{state}"]) for state in ("before", "after", "mixed"))
    said = (
        f"Harmony on the components: a cell finds {after:.2f} batches around it, {before:.2f} before; "
        f"{mixed:.2f} if they were mixed at random (median local inverse Simpson index)"
    )
    return {
        "integration": dg.MetadataValue.text(said),
        "batch_lisi_before": before,
        "batch_lisi_after": after,
        "batch_lisi_mixed": mixed,
    }
