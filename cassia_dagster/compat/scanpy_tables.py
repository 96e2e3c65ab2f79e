"""Between Scanpy's AnnData and CASSIA's tables: markers out of ``uns``, and labels into ``obs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_SUMMARY = "CASSIA"

_COLUMNS = {
    "general_celltype": "general_celltype",
    "celltype_1": "sub_celltype",
    "celltype_2": "sub_celltype_2",
    "celltype_3": "sub_celltype_3",
    "mixed_celltypes": "mixed_celltype",
    "score": "score",
    "cl_id": "cl_id",
    "status": "status",
    "CASSIA_merged_grouping_1": "merged_grouping_1",
    "CASSIA_merged_grouping_2": "merged_grouping_2",
    "CASSIA_merged_grouping_3": "merged_grouping_3",
}
"""Column of the results, and what it is called in ``obs`` behind the prefix."""

_GROUPINGS = tuple(name for name in _COLUMNS.values() if name.startswith("merged_grouping"))


def enhance_scanpy_markers(
    adata: AnnData,
    cluster_col: str | None = None,
    n_genes: int | None = None,
    min_expression: float = 0.0,
    include_stats: bool = True,  # noqa: FBT001, FBT002 - CASSIA's parameter
    key: str = "rank_genes_groups",
) -> pd.DataFrame:
    """Read the ranking that ``scanpy.tl.rank_genes_groups`` left, and add which share of the cells expresses a gene.

    Parameters
    ----------
    adata
        With ``uns[key]``. Not changed.
    cluster_col
        Column of ``obs`` that was ranked by; what the ranking itself says, if not given.
    n_genes
        Genes of a cluster, at most; all if not given.
    min_expression
        A cell expresses a gene whose value is above this.
    include_stats
        Whether to keep p-values and z-scores.
    key
        Where in ``uns`` the ranking is.

    Returns
    -------
    pandas.DataFrame
        ``cluster, gene, avg_log2FC, p_val, p_val_adj, pct.1, pct.2, score``, best first within a cluster; fractions
        between 0 and 1. The values are those that were ranked: a layer, ``raw`` or ``X``.
    """
    import pandas as pd

    from cassia_dagster.singlecell.marker_files import ranked_genes

    if key not in adata.uns:
        raise InputError(f"There is no ranking in uns[{key!r}]. Run scanpy.tl.rank_genes_groups first.")
    ranking = adata.uns[key]
    parameters = ranking.get("params", {})
    column = cluster_col or parameters.get("groupby")
    if column not in adata.obs:
        raise InputError(f"obs has no column {column!r}. It has: {', '.join(map(str, adata.obs.columns))}.")
    statistics = {name: value for name, value in ranking.items() if name not in {"pts", "pts_rest"}}
    markers = ranked_genes(statistics, f"uns[{key!r}]")
    if n_genes is not None:
        markers = markers.groupby("cluster", sort=False).head(n_genes).reset_index(drop=True)
    share, rest = _fractions(adata, adata.obs[column].astype(str), markers, parameters, min_expression)
    markers = markers.assign(**{"pct.1": share, "pct.2": rest})
    statistics_columns = [] if include_stats else ["p_val", "p_val_adj", "score"]
    return pd.DataFrame(markers.drop(columns=statistics_columns))


def _fractions(
    adata: AnnData, clusters: pd.Series, markers: pd.DataFrame, parameters: dict[str, Any], least: float
) -> tuple[list[float], list[float]]:
    """Return for every marker the share of its cluster's cells, and of the others, whose value is above ``least``."""
    import numpy as np
    import scipy.sparse as sp

    source: Any = adata.raw if parameters.get("use_raw") else adata
    values: Any = adata.layers[parameters["layer"]] if parameters.get("layer") else source.X
    genes = list(dict.fromkeys(markers["gene"]))
    positions = source.var_names.get_indexer(genes)
    if missing := [gene for gene, position in zip(genes, positions, strict=True) if position < 0]:
        raise InputError(f"The ranking has genes that the data lack, such as {missing[0]!r}.")
    above = values[:, positions] > least
    above = above.toarray() if sp.issparse(above) else np.asarray(above)
    column_of = {gene: column for column, gene in enumerate(genes)}
    members = {cluster: (clusters == cluster).to_numpy() for cluster in markers["cluster"].unique()}
    inside = {cluster: above[cells].mean(axis=0) for cluster, cells in members.items()}
    outside = {cluster: above[~cells].mean(axis=0) for cluster, cells in members.items()}
    rows = list(zip(markers["cluster"], markers["gene"], strict=True))
    return (
        [float(inside[cluster][column_of[gene]]) for cluster, gene in rows],
        [float(outside[cluster][column_of[gene]]) for cluster, gene in rows],
    )


def add_cassia_to_anndata(
    adata: AnnData,
    cassia_results: pd.DataFrame | str | Path,
    cluster_col: str | None = None,
    cassia_cluster_col: str = "cluster",
    prefix: str = "CASSIA_",
    replace_existing: bool = False,  # noqa: FBT001, FBT002 - CASSIA's parameter
    fuzzy_match: bool = False,  # noqa: FBT001, FBT002 - CASSIA's parameter
    columns_to_include: int = 2,
    inplace: bool = True,  # noqa: FBT001, FBT002 - CASSIA's parameter
) -> AnnData | None:
    """Write the labels of the clusters onto their cells.

    Parameters
    ----------
    adata
        The cells.
    cassia_results
        ``…_scored.csv``, or its table.
    cluster_col
        Column of ``obs`` with the clusters; ``"leiden"`` or ``"louvain"`` if not given.
    cassia_cluster_col
        Column of the results with the clusters.
    prefix
        How the new columns' names begin.
    replace_existing
        Whether columns of these names may be replaced.
    fuzzy_match
        Ids match exactly, always: "0" is not "cluster_10". ``True`` is refused.
    columns_to_include
        1 for the groupings only, 2 for all.
    inplace
        Whether to change ``adata``, or to return a changed copy.

    Returns
    -------
    AnnData or None
        The copy, where it was asked for. ``obs`` has ``<prefix>general_celltype``, ``…sub_celltype``, ``…score``,
        ``…merged_grouping_1`` to ``_3``, ``…combined_celltype`` and others; ``uns["CASSIA"]`` the table by cluster.

    Raises
    ------
    InputError
        If a cluster of the cells has no row in the results, or a column is there already.
    """
    if fuzzy_match:
        raise InputError("Cluster ids match exactly or not at all: fuzzy_match=True would give '0' the row of '10'.")
    target = adata if inplace else adata.copy()
    column = _cluster_column(target, cluster_col)
    results = _by_cluster(cassia_results, cassia_cluster_col)
    clusters = target.obs[column].astype(str)
    if strangers := sorted(set(clusters) - set(results.index)):
        raise InputError(
            f"obs[{column!r}] has clusters that the results lack: {', '.join(strangers[:5])}. The results have "
            f"{', '.join(results.index[:10])}. Were they made from another clustering?"
        )
    labels = results[[name for name in _COLUMNS if name in results]].rename(columns=_COLUMNS)
    if "sub_celltype" in labels:
        labels["combined_celltype"] = labels["general_celltype"] + " :: " + labels["sub_celltype"]
    if columns_to_include == 1:
        labels = labels[[name for name in _GROUPINGS if name in labels]]
    named = {f"{prefix}{name}": clusters.map(labels[name]).to_numpy() for name in labels}
    if taken := [name for name in named if name in target.obs and not replace_existing]:
        raise InputError(f"obs has {', '.join(taken)} already. Say replace_existing=True, or give another prefix.")
    target.obs = target.obs.assign(**named)
    target.uns[_SUMMARY] = labels
    return None if inplace else target


def _cluster_column(adata: AnnData, column: str | None) -> str:
    found = next((name for name in ((column,) if column else ("leiden", "louvain")) if name in adata.obs), None)
    if found is None:
        raise InputError(
            f"obs has no column {column or 'leiden or louvain'!r}. It has: {', '.join(map(str, adata.obs.columns))}. "
            "Name the one with the clusters: cluster_col=…"
        )
    return found


def _by_cluster(results: pd.DataFrame | str | Path, column: str) -> pd.DataFrame:
    import pandas as pd

    table = results if isinstance(results, pd.DataFrame) else pd.read_csv(results, dtype={column: str})
    if column not in table:
        raise InputError(f"The results have no column {column!r}; they have {', '.join(map(str, table.columns))}.")
    table = table.assign(**{column: table[column].astype(str)}).set_index(column)
    if table.index.has_duplicates:
        raise InputError(f"The results have two rows of cluster {table.index[table.index.duplicated()][0]!r}.")
    return table
