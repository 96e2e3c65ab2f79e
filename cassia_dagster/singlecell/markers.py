"""Ranks the genes that tell each cluster from the rest, in CASSIA's columns."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cassia_dagster.records import Marker, natural_order, rounded
from cassia_dagster.singlecell.expression_sums import log2_fold
from cassia_dagster.singlecell.ranks import adjust, sum_ranks, z_scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.singlecell.stored import StoredCells


class MarkerEngine(StrEnum):
    """What computes the rank-sum test; the results are the same."""

    sparse = "sparse"
    """`ranks`, which touches only values that are not zero."""
    scanpy = "scanpy"
    """``rank_genes_groups``, many times slower."""


COLUMNS = ("cluster", "gene", "avg_log2FC", "p_val", "p_val_adj", "pct.1", "pct.2", "score")

MIN_PCT, MIN_LOG2FC, MAX_P_VAL_ADJ = 0.1, 0.25, 0.05
"""What a marker reaches, if nothing else is said."""


def rank_markers(
    adata: AnnData | StoredCells,
    labels: pd.Series,
    *,
    min_pct: float = MIN_PCT,
    min_log2fc: float = MIN_LOG2FC,
    max_p_val_adj: float = MAX_P_VAL_ADJ,
    engine: MarkerEngine = MarkerEngine.sparse,
) -> pd.DataFrame:
    """Find the positive markers of every cluster (Wilcoxon rank-sum, each cluster against the rest).

    Parameters
    ----------
    adata
        Log-normalised values of all genes in ``X``, in memory or on disk. Not changed.
    labels
        Cell id → cluster id (strings); cells without one are left out.
    min_pct
        Least fraction of the cluster's cells that express a marker.
    min_log2fc
        Least log2 fold change of mean expression.
    max_p_val_adj
        Largest Benjamini-Hochberg-adjusted p-value.
    engine
        What computes the test.

    Returns
    -------
    DataFrame
        CASSIA's columns ``cluster, gene, avg_log2FC, p_val, p_val_adj, pct.1, pct.2`` and ``score``, the
        z-score, by which a cluster's markers are sorted (ties by gene name). A cluster of one cell, and one
        that is all the data, has no test and so no rows.

    Notes
    -----
    The test sees log-normalised values of all genes, never the scaled matrix, whose fold changes mean nothing.
    Fold changes are Scanpy's: the means are those of the log values, transformed back.
    """
    import pandas as pd

    sizes = labels.value_counts()
    testable = natural_order(str(cluster) for cluster in sizes.index[sizes > 1])
    if len(sizes) < 2 or not testable:
        return pd.DataFrame({column: [] for column in COLUMNS})
    # Of each cluster what is no marker is dropped at once: a table of all genes in all clusters may fill the memory.
    kept = [
        ranked[
            (ranked["score"] > 0)
            & (ranked["avg_log2FC"] >= min_log2fc)
            & (ranked["pct.1"] >= min_pct)
            & (ranked["p_val_adj"] <= max_p_val_adj)
        ].sort_values(["score", "gene"], ascending=[False, True])
        for ranked in ENGINES[engine](adata, labels, testable)
    ]
    return pd.concat(kept, ignore_index=True).astype({"cluster": "str", "gene": "str"})


def as_markers(table: pd.DataFrame, n_markers: int) -> tuple[Marker, ...]:
    """Turn the best rows of a marker table into records, rounded, ties broken by gene name."""
    scores = [_known(score) or 0 for score in table["score"]]
    best = table.assign(score=scores).sort_values(["score", "gene"], ascending=[False, True]).index[:n_markers]
    return tuple(to_markers(table.loc[best]))


def to_markers(table: pd.DataFrame) -> list[Marker]:
    """Turn the rows of a marker table into records, in their order; numbers are rounded, NaN becomes ``None``."""
    return [
        Marker(
            gene=str(row.gene),
            avg_log2FC=_known(row.avg_log2FC),
            pct_1=_known(row.pct_1),
            pct_2=_known(row.pct_2),
            p_val_adj=_known(row.p_val_adj),
            score=_known(row.score),
        )
        for row in table.rename(columns={"pct.1": "pct_1", "pct.2": "pct_2"}).itertuples()
    ]


def _known(value: Any) -> float | None:
    return None if value != value else rounded(value)  # noqa: PLR0124 - NaN alone differs from itself


def _by_sparse_ranks(adata: AnnData | StoredCells, labels: pd.Series, clusters: list[str]) -> Iterator[pd.DataFrame]:
    """Test every gene in each of the clusters; yield a table a cluster, in CASSIA's columns."""
    import numpy as np
    import pandas as pd
    from scipy import sparse, stats

    values = sparse.csr_matrix(adata.X) if isinstance(adata.X, np.ndarray) else adata.X
    groups = pd.Categorical(labels.reindex(adata.obs_names))
    sums = sum_ranks(values, groups.codes.astype(np.int64), len(groups.categories))
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.categories))
    n_cells = int(sizes.sum())
    all_expressing, all_totals = sums.expressing.sum(axis=1), sums.totals.sum(axis=1)
    for cluster, tested in zip(clusters, groups.categories.get_indexer(pd.Index(clusters)), strict=True):
        size, rest = sizes[tested], n_cells - sizes[tested]
        expressing, totals = sums.expressing[:, tested], sums.totals[:, tested]
        scores = z_scores(sums.ranks[:, [tested]], sizes[[tested]], n_cells)
        p_values = 2 * stats.norm.sf(np.abs(scores))
        yield pd.DataFrame(
            {
                "cluster": cluster,
                "gene": adata.var_names,
                "avg_log2FC": log2_fold(totals / size, (all_totals - totals) / rest).astype(np.float32),
                "p_val": p_values[:, 0],
                "p_val_adj": adjust(p_values)[:, 0],
                "pct.1": expressing / size,
                "pct.2": (all_expressing - expressing) / rest,
                "score": scores[:, 0].astype(np.float32),
            }
        )


def _by_scanpy(adata: AnnData | StoredCells, labels: pd.Series, clusters: list[str]) -> Iterator[pd.DataFrame]:
    """Test every gene in each of the clusters; yield a table a cluster, in CASSIA's columns."""
    import anndata
    import numpy as np
    import pandas as pd
    import scanpy as sc
    from scipy import sparse

    kept = np.flatnonzero(pd.Index(adata.obs_names).isin(labels.index))
    values = sparse.csr_matrix(adata.X[:])[kept]
    cells = adata.obs_names[kept]
    view = anndata.AnnData(X=values, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=adata.var_names))
    view.obs["cluster"] = pd.Categorical(labels.reindex(cells))
    sc.tl.rank_genes_groups(view, "cluster", groups=clusters, method="wilcoxon", pts=True, use_raw=False)
    columns = {
        "names": "gene",
        "logfoldchanges": "avg_log2FC",
        "pvals": "p_val",
        "pvals_adj": "p_val_adj",
        "pct_nz_group": "pct.1",
        "pct_nz_reference": "pct.2",
        "scores": "score",
    }
    for cluster in clusters:
        table = sc.get.rank_genes_groups_df(view, group=cluster).rename(columns=columns)
        yield table.assign(cluster=cluster)[list(COLUMNS)]


ENGINES = {MarkerEngine.sparse: _by_sparse_ranks, MarkerEngine.scanpy: _by_scanpy}
