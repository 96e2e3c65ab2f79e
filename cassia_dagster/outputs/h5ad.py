"""The annotated AnnData file: every cell with the names of its cluster, at every resolution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.files import replacing
from cassia_dagster.outputs.refined import OF_PART
from cassia_dagster.outputs.result import ResolutionResult, final_label, final_state, reviewer_of
from cassia_dagster.outputs.words import review_of
from cassia_dagster.records import natural_order
from cassia_dagster.singlecell.names import are_same
from cassia_dagster.singlecell.resolutions import folder_of, suffix_of
from cassia_dagster.singlecell.stored import COMMON, blocks_of, write_cells

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

UNKNOWN_TERM = "unknown"
"""What CELLxGENE's schema asks for where a cell type is no ontology term."""

TERM_COLUMN = "cell_type_ontology_term_id"

REFINED = {
    "CASSIA_subcluster": "subcluster",
    "CASSIA_refined_annotation": "label",
    "CASSIA_refined_cl_id": "cl_id",
    "CASSIA_refined_parent": "parent",
    "CASSIA_refined_source": "source",
}
"""Columns of the parts of clusters, and what they are called in the table of `outputs.refined`."""


def annotate(
    adata: AnnData,
    resolutions: Sequence[ResolutionResult],
    clusters: Mapping[str, pd.Series[Any]],
    umap: np.ndarray[Any, np.dtype[np.floating[Any]]] | None,
    primary: str,
    refined: Mapping[str, pd.DataFrame] | None = None,
) -> AnnData:
    """Give every cell the names of its cluster, at every resolution.

    Parameters
    ----------
    adata
        The cells; not changed, and its matrices are shared with what is returned.
    resolutions
        What is known of the dataset, one a resolution.
    clusters
        Resolution to a series of cluster ids (strings), indexed by cell id.
    umap
        Coordinates, cells × 2 in the order of ``adata``, or ``None`` to leave ``obsm`` alone.
    primary
        The resolution that also fills the columns without a resolution in their name.
    refined
        Resolution to what `outputs.refined.refine` returns, where clusters were looked into.

    Returns
    -------
    AnnData
        For each resolution r ``leiden_res_<r>``, ``CASSIA_annotation_res_<r>``, ``CASSIA_score_res_<r>``,
        ``CASSIA_status_res_<r>``, ``CASSIA_cell_state_res_<r>``, ``CASSIA_reviewed_by_res_<r>`` (the person behind
        the label, if there is one), ``CASSIA_merged_grouping_1_res_<r>`` (the broadest) to ``_3_``, and
        ``cell_type_ontology_term_id_res_<r>``; the same but the first without suffix for the primary one. For clusters
        that a column of the authors gave, the same but the first with the suffix ``_given``: the column itself stays
        as it is. Where clusters were looked into, also ``CASSIA_subcluster_res_<r>`` (the part, or the cluster),
        ``CASSIA_refined_annotation_res_<r>``, ``CASSIA_refined_cl_id_res_<r>``, ``CASSIA_refined_parent_res_<r>`` (what
        the parent is called; empty outside of parents) and ``CASSIA_refined_source_res_<r>`` (``subclusters`` or
        ``clusters``), also without suffix for the primary one. One with a name of ours is kept as ``<name>_original``.
        ``uns["cassia"]`` tells where it all comes from.

    Raises
    ------
    InputError
        Where resolutions, cells or cluster ids do not match exactly.
    """
    names = [result.resolution for result in resolutions]
    if primary not in names:
        raise InputError(f"The primary resolution {primary!r} is not among the annotated ones, {names}.")
    if absent := sorted(set(names) - set(clusters)):
        raise InputError(f"No clustering was given for resolution {absent[0]!r}, only for {sorted(clusters)}.")
    if umap is not None and umap.shape != (adata.n_obs, 2):
        raise InputError(f"The UMAP has shape {umap.shape}, expected {(adata.n_obs, 2)}: one row a cell.")
    annotated = _sharing_matrices(adata)
    theirs = set() if "cassia" in annotated.uns else set(annotated.obs)
    theirs |= {result.column for result in resolutions if result.column is not None}
    for result in resolutions:
        of_cells = _cluster_of_cells(annotated, result, clusters[result.resolution])
        ours = {} if result.column else {folder_of(result.resolution): of_cells}
        columns = _columns(result, of_cells) | _refined((refined or {}).get(result.resolution), annotated)
        for column, values in columns.items():
            ours[f"{column}_{suffix_of(result.resolution)}"] = values
            if result.resolution == primary:
                ours[column] = values
        for column, values in ours.items():
            if column in theirs:
                annotated.obs[f"{column}_original"] = annotated.obs[column]
            annotated.obs[column] = values
    if umap is not None:
        annotated.obsm["X_umap"] = umap
    annotated.uns["cassia"] = _provenance(resolutions, primary, refined or {})
    return annotated


def write_h5ad(
    adata: AnnData, path: Path, matrices: Iterable[tuple[csr_matrix, csr_matrix | None]] | None = None
) -> None:
    """Write an h5ad file, whole or not at all, that programs in any language can read.

    Parameters
    ----------
    adata
        What to write.
    path
        Where to; a file there is replaced.
    matrices
        Values and counts of the cells, some at a time, where they are not in memory.
    """
    with replacing(path) as temporary:
        write_cells(adata, blocks_of(adata) if matrices is None else matrices, temporary, packing=COMMON)


def _sharing_matrices(adata: AnnData) -> AnnData:
    """Copy the tables but not the matrices, which may fill half of the memory."""
    from anndata import AnnData

    # What the library's types allow in these slots is wider than what they hold in memory.
    source: Any = adata
    raw = source.raw
    return AnnData(
        X=source.X,
        obs=source.obs.copy(),
        var=source.var,
        uns=dict(source.uns),
        obsm=dict(source.obsm),
        varm=dict(source.varm),
        # Iterating over layers also yields the key None, which is X.
        layers={name: source.layers[name] for name in source.layers if name is not None},
        raw=None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)},
        obsp=dict(source.obsp),
        varp=dict(source.varp),
    )


def _cluster_of_cells(adata: AnnData, result: ResolutionResult, clusters: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    where = f"Resolution {result.resolution!r} of {result.dataset!r}"
    if not adata.obs_names.is_unique or not clusters.index.is_unique:
        raise InputError(f"{where}: cell ids must be unique.")
    if not are_same(clusters.index, adata.obs_names):
        raise InputError(f"{where}: clustering and matrix do not hold the same cells; cluster this matrix anew.")
    known, found = {row.cluster for row in result.clusters}, set(clusters.unique())
    if known != found:
        strangers = sorted(map(str, known ^ found))
        raise InputError(f"{where}: clustering and annotations differ in the cluster ids {strangers}; annotate anew.")
    in_order = clusters.reindex(adata.obs_names)
    return pd.Series(pd.Categorical(in_order, categories=natural_order(known)), index=adata.obs_names)


def _columns(result: ResolutionResult, of_cells: pd.Series[Any]) -> dict[str, pd.Series[Any]]:
    """Return what is known of the clusters as one value a cell."""
    import pandas as pd

    def spread(values: list[Any]) -> pd.Series[Any]:
        # The rows of the result are in the order of the categories, so that a code is a position.
        return pd.Series(values).iloc[of_cells.cat.codes].set_axis(of_cells.index)

    rows = result.clusters
    words = {
        "CASSIA_annotation": [final_label(row) for row in rows],
        "CASSIA_cell_state": [final_state(row) or "" for row in rows],
        "CASSIA_reviewed_by": [reviewer_of(row) for row in rows],
        "CASSIA_status": [row.boosted.status.value for row in rows],
        TERM_COLUMN: [(row.boosted.check and row.boosted.check.cl_id) or UNKNOWN_TERM for row in rows],
        "CASSIA_merged_grouping_1": [row.grouping.broad for row in rows],
        "CASSIA_merged_grouping_2": [row.grouping.intermediate for row in rows],
        "CASSIA_merged_grouping_3": [row.grouping.detailed for row in rows],
    }
    scores = [float("nan") if row.boosted.score is None else row.boosted.score for row in rows]
    columns = {name: spread(values).astype("category") for name, values in words.items()}
    return columns | {"CASSIA_score": spread(scores)}


def _refined(table: pd.DataFrame | None, annotated: AnnData) -> dict[str, pd.Series[Any]]:
    """Return what is known of the parts of clusters as one value a cell; nothing where none was looked into."""
    if table is None:
        return {}
    if not are_same(table.index, annotated.obs_names):
        raise InputError("The parts of clusters are of other cells than the matrix; look into the clusters anew.")
    of_cells = table.loc[annotated.obs_names]
    return {name: of_cells[column].astype("category") for name, column in REFINED.items()}


def _provenance(
    resolutions: Sequence[ResolutionResult], primary: str, refined: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """Say where the columns come from, in strings and numbers that any HDF5 reader understands."""
    first = resolutions[0]
    return {
        "dataset": first.dataset,
        "species": first.species,
        "tissue": first.tissue,
        "primary_resolution": primary,
        "resolutions": {
            result.resolution: {
                "n_clusters": len(result.clusters),
                **({"column": result.column} if result.column else {}),
                "models": dict(result.models),
                "prompts": _prompts(result),
                "strategies": ", ".join(sorted({row.annotated.strategy.value for row in result.clusters})),
                "annotated_on": result.created,
                **({"manual_labels": manual} if (manual := _manual_labels(result)) else {}),
                **({"looked_into": _looked_into(refined[result.resolution])} if result.resolution in refined else {}),
                "versions": dict(result.versions),
            }
            for result in resolutions
        },
    }


def _looked_into(table: pd.DataFrame) -> dict[str, str]:
    """Name the parts that took the place of each cluster."""
    parts = table[table["source"] == OF_PART].groupby("cluster", observed=True)["subcluster"]
    return {str(cluster): ", ".join(natural_order(set(found))) for cluster, found in parts}


def _prompts(result: ResolutionResult) -> dict[str, str]:
    """Name and hash of the template behind each role's questions; several where rows were asked at different times."""
    templates: defaultdict[str, set[str]] = defaultdict(set)
    for row in result.clusters:
        for exchange in row.history:
            templates[exchange.role].add(exchange.template)
    return {role: ", ".join(sorted(names)) for role, names in sorted(templates.items())}


def _manual_labels(result: ResolutionResult) -> dict[str, str]:
    return {row.cluster: review_of(row.boosted.review) for row in result.clusters if row.boosted.review}
