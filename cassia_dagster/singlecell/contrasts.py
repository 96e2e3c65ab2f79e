"""Finds the genes that tell one cluster from one other, which the rest of the data may hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.records import Marker
from cassia_dagster.singlecell.blocks import row_blocks, spans
from cassia_dagster.singlecell.expression_sums import GroupSums, log2_fold
from cassia_dagster.singlecell.markers import MAX_P_VAL_ADJ, MIN_LOG2FC, MIN_PCT, as_markers
from cassia_dagster.singlecell.memory import memory_available
from cassia_dagster.singlecell.ranks import adjust, sum_ranks, values_at_a_time, z_scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from cassia_dagster.singlecell.stored import StoredCells

N_CONTRAST = 30
"""Genes of a contrast, at most."""


def contrasts(
    adata: AnnData | StoredCells,
    labels: pd.Series,
    sums: Mapping[str, GroupSums],
    pairs: Mapping[str, str],
    *,
    n_genes: int = N_CONTRAST,
    most_cells: int | None = None,
) -> dict[str, tuple[Marker, ...]]:
    """Find the genes that are up in a cluster against one other, for many clusters in one go through the cells.

    Parameters
    ----------
    adata
        Log-normalised values of all genes in ``X``, in memory or on disk. Not changed.
    labels
        Cell id → cluster id (strings).
    sums
        Of each cluster, from `sum_groups`: they tell which genes can be markers at all.
    pairs
        Cluster → the one that it is compared with.
    n_genes
        Genes of a contrast, at most.
    most_cells
        Cells that are held at a time, more if two clusters have more; if not given, what there is room for.

    Returns
    -------
    dict
        Cluster → its markers against the other, best first; ``pct_2`` is the fraction of the other cluster's cells.
        Empty where one of the two has fewer than two cells.

    Notes
    -----
    They are the first markers of `rank_markers` for the cells of the two alone. Only genes that reach the least
    fraction and fold change of a marker are tested; of all others the p-value counts as 1, so the adjusted ones,
    which are for all genes, are never too small.
    """
    import numpy as np
    from scipy import sparse

    numbers = {cluster: number for number, cluster in enumerate(sums)}
    codes = labels.reindex(adata.obs_names).map(numbers).fillna(-1).to_numpy(dtype=np.int64)
    if most_cells is None:
        most_cells = values_at_a_time(memory_available()) * adata.n_obs // (3 * max(adata.X.nnz, 1))
    testable = {one: other for one, other in pairs.items() if min(_size(sums, one), _size(sums, other)) > 1}
    found: dict[str, tuple[Marker, ...]] = dict.fromkeys(pairs, ())
    for batch in _batches(testable, sums, most_cells):
        wanted = np.isin(codes, [numbers[one] for one in {*batch, *batch.values()}])
        rows = [block[wanted[span]] for span, block in zip(spans(adata.n_obs), row_blocks(adata.X), strict=True)]
        held, of_held = sparse.vstack(rows, format="csr"), codes[wanted]
        del rows
        for one, other in batch.items():
            own, against = of_held == numbers[one], of_held == numbers[other]
            both = own | against
            table = _up(held[both], own[both], sums[one], sums[other], adata.var_names)
            found[one] = as_markers(table, n_genes)
    return found


def _size(sums: Mapping[str, GroupSums], cluster: str) -> int:
    return sums[cluster].n if cluster in sums else 0


def _batches(pairs: Mapping[str, str], sums: Mapping[str, GroupSums], most_cells: int) -> Iterator[dict[str, str]]:
    """Cut the pairs into groups whose clusters have no more cells than that together, one pair at least."""
    batch: dict[str, str] = {}
    for cluster, other in pairs.items():
        clusters = {*batch, *batch.values(), cluster, other}
        if batch and sum(sums[one].n for one in clusters) > most_cells:
            yield batch
            batch = {}
        batch[cluster] = other
    if batch:
        yield batch


def _up(values: csr_matrix, own: np.ndarray, sums: GroupSums, others: GroupSums, genes: pd.Index) -> pd.DataFrame:
    """Test the genes that may be markers of the cells that are ``own``; return those that are, in CASSIA's columns."""
    import numpy as np
    import pandas as pd
    from scipy import stats

    pct, fold = sums.detected / sums.n, log2_fold(sums.total / sums.n, others.total / others.n)
    tested = np.flatnonzero((pct >= MIN_PCT) & (fold.astype(np.float32) >= MIN_LOG2FC))
    ranks = sum_ranks(values[:, tested], (~own).astype(np.int64), 2).ranks
    scores = z_scores(ranks[:, [0]], np.asarray([sums.n]), len(own))
    adjusted = adjust(2 * stats.norm.sf(np.abs(scores)), len(genes))[:, 0]
    table = pd.DataFrame(
        {
            "gene": genes[tested],
            "avg_log2FC": fold[tested],
            "pct.1": pct[tested],
            "pct.2": others.detected[tested] / others.n,
            "p_val_adj": adjusted,
            "score": scores[:, 0],
        }
    )
    return table[(table["score"] > 0) & (table["p_val_adj"] <= MAX_P_VAL_ADJ)]
