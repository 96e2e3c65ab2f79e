"""Ranks the genes that tell each cluster from the rest, in CASSIA's columns."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cassia_dagster.records import Marker, natural_order, rounded
from cassia_dagster.singlecell.blocks import row_blocks, spans
from cassia_dagster.singlecell.memory import memory_available
from cassia_dagster.singlecell.ranks import adjust, sum_ranks, values_at_a_time, z_scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

N_CONTRAST = 30
"""Genes of a contrast, at most."""


def rank_markers(
    adata: AnnData | StoredCells,
    labels: pd.Series,
    *,
    min_pct: float = 0.1,
    min_log2fc: float = 0.25,
    max_p_val_adj: float = 0.05,
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


def contrast(
    adata: AnnData | StoredCells,
    labels: pd.Series,
    cluster: str,
    other: str,
    *,
    n_genes: int = N_CONTRAST,
    engine: MarkerEngine = MarkerEngine.sparse,
) -> tuple[Marker, ...]:
    """Find the genes that are up in one cluster against one other, which the rest of the data may hide.

    Parameters
    ----------
    adata, labels
        As for `rank_markers`.
    cluster, other
        The two clusters.
    n_genes
        Genes to return, at most.
    engine
        What computes the test.

    Returns
    -------
    tuple of Marker
        Best first; ``pct_2`` is the fraction of the other cluster's cells. Empty if one of the two has one cell.
    """
    chosen = labels[labels.isin([cluster, other])]
    if chosen.value_counts().min() < 2:
        return ()
    table = rank_markers(adata, chosen, engine=engine)
    return as_markers(table[table["cluster"] == cluster], n_genes)


def contrasts(
    adata: AnnData | StoredCells, labels: pd.Series, pairs: Mapping[str, str], *, most_cells: int | None = None
) -> dict[str, tuple[Marker, ...]]:
    """Do what `contrast` does for many clusters, and go through the cells once for as many as fit into memory.

    Parameters
    ----------
    adata, labels
        As for `rank_markers`.
    pairs
        Cluster → the one that it is compared with.
    most_cells
        Cells that are held at a time, more if two clusters have more; if not given, what there is room for.

    Returns
    -------
    dict
        Cluster → its markers against the other.
    """
    import pandas as pd
    from scipy import sparse

    from cassia_dagster.singlecell.stored import StoredCells

    of_cells = labels.reindex(adata.obs_names)
    sizes = of_cells.value_counts()
    if most_cells is None:
        most_cells = values_at_a_time(memory_available()) * adata.n_obs // (3 * max(adata.X.nnz, 1))
    found = {}
    for batch in _batches(pairs, sizes, most_cells):
        wanted = of_cells.isin({*batch, *batch.values()}).to_numpy()
        rows = [block[wanted[span]] for span, block in zip(spans(adata.n_obs), row_blocks(adata.X), strict=True)]
        part, names, of_part = sparse.vstack(rows, format="csr"), pd.Index(adata.obs_names)[wanted], of_cells[wanted]
        del rows
        for cluster, other in batch.items():
            # The other clusters of the batch would be gone through for nothing.
            own = of_part.isin([cluster, other]).to_numpy()
            found[cluster] = contrast(StoredCells(part[own], names[own], adata.var_names), labels, cluster, other)
    return found


def _batches(pairs: Mapping[str, str], sizes: pd.Series, most_cells: int) -> Iterator[dict[str, str]]:
    """Cut the pairs into groups whose clusters have no more cells than that together, one pair at least."""
    batch: dict[str, str] = {}
    for cluster, other in pairs.items():
        clusters = {*batch, *batch.values(), cluster, other}
        if batch and sum(int(sizes.get(one, 0)) for one in clusters) > most_cells:
            yield batch
            batch = {}
        batch[cluster] = other
    if batch:
        yield batch


def as_markers(table: pd.DataFrame, n_markers: int) -> tuple[Marker, ...]:
    """Turn the best rows of a marker table into records, rounded, ties broken by gene name."""
    ranked = sorted(to_markers(table), key=lambda marker: (-(marker.score or 0), marker.gene))
    return tuple(ranked[:n_markers])


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
        fold = (np.expm1(totals / size) + _TINY) / (np.expm1((all_totals - totals) / rest) + _TINY)
        scores = z_scores(sums.ranks[:, [tested]], sizes[[tested]], n_cells)
        p_values = 2 * stats.norm.sf(np.abs(scores))
        yield pd.DataFrame(
            {
                "cluster": cluster,
                "gene": adata.var_names,
                "avg_log2FC": np.log2(fold).astype(np.float32),
                "p_val": p_values[:, 0],
                "p_val_adj": adjust(p_values)[:, 0],
                "pct.1": expressing / size,
                "pct.2": (all_expressing - expressing) / rest,
                "score": scores[:, 0].astype(np.float32),
            }
        )


_TINY = 1e-9
"""Keeps a fold change finite where one side does not express the gene; Scanpy's."""


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
