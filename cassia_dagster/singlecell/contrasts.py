"""Finds the genes that tell one cluster from one other, which the rest of the data may hide."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.records import Marker
from cassia_dagster.singlecell.blocks import row_blocks, spans
from cassia_dagster.singlecell.expression_sums import GroupSums, log2_fold
from cassia_dagster.singlecell.markers import MAX_P_VAL_ADJ, MIN_LOG2FC, MIN_PCT, as_markers
from cassia_dagster.singlecell.memory import memory_available
from cassia_dagster.singlecell.ranks import adjust, sum_ranks, values_at_a_time, z_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from cassia_dagster.singlecell.stored import StoredCells

N_CONTRAST = 30
"""Genes of a contrast, at most."""


class _Pair(NamedTuple):
    """Two clusters, and the genes that can be markers of the first against the second."""

    cluster: str
    other: str
    own: GroupSums
    against: GroupSums
    fold: np.ndarray
    """Log2 fold change of every gene."""
    tested: np.ndarray
    """Columns of the genes that reach the least fraction and fold change of a marker."""

    @property
    def n_values(self) -> int:
        """Values of these genes in the cells of the two that are not zero."""
        return int(self.own.detected[self.tested].sum() + self.against.detected[self.tested].sum())


def contrasts(
    adata: AnnData | StoredCells,
    labels: pd.Series,
    sums: Mapping[str, GroupSums],
    pairs: Mapping[str, str],
    *,
    n_genes: int = N_CONTRAST,
    most_values: int | None = None,
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
    most_values
        Values that are held at a time, more if one contrast has more; if not given, what there is room for.

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

    numbers = {cluster: number for number, cluster in enumerate(sums)}
    codes = labels.reindex(adata.obs_names).map(numbers).fillna(-1).to_numpy(dtype=np.int64)
    testable = [_pair(one, other, sums) for one, other in pairs.items() if _have_cells(sums, one, other)]
    found: dict[str, tuple[Marker, ...]] = dict.fromkeys(pairs, ())
    # Each value is held with its gene, and of one pair at a time once more.
    for batch in _batches(testable, most_values or values_at_a_time(memory_available()) // 2):
        for pair, (values, is_own) in zip(batch, _gather(adata, codes, numbers, batch), strict=True):
            found[pair.cluster] = as_markers(_up(pair, values, is_own, adata.var_names), n_genes)
    return found


def _have_cells(sums: Mapping[str, GroupSums], *clusters: str) -> bool:
    return all(one in sums and sums[one].n > 1 for one in clusters)


def _pair(cluster: str, other: str, sums: Mapping[str, GroupSums]) -> _Pair:
    import numpy as np

    own, against = sums[cluster], sums[other]
    fold = log2_fold(own.total / own.n, against.total / against.n)
    tested = np.flatnonzero((own.detected / own.n >= MIN_PCT) & (fold.astype(np.float32) >= MIN_LOG2FC))
    return _Pair(cluster, other, own, against, fold, tested)


def _batches(pairs: Iterable[_Pair], most_values: int) -> Iterator[list[_Pair]]:
    """Cut the pairs into groups that have no more values than that together, one pair at least."""
    batch: list[_Pair] = []
    for pair in pairs:
        if batch and sum(one.n_values for one in (*batch, pair)) > most_values:
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _gather(
    adata: AnnData | StoredCells, codes: np.ndarray, numbers: Mapping[str, int], pairs: list[_Pair]
) -> Iterator[tuple[csr_matrix, np.ndarray]]:
    """Yield for each pair the values of its genes in its cells, and which of these are the first cluster's."""
    import numpy as np
    from scipy import sparse

    own: list[list[csr_matrix]] = [[] for _ in pairs]
    against: list[list[csr_matrix]] = [[] for _ in pairs]
    wanted = {one for pair in pairs for one in (pair.cluster, pair.other)}
    for span, block in zip(spans(adata.n_obs), row_blocks(adata.X), strict=True):
        cells = {one: block[np.flatnonzero(codes[span] == numbers[one])] for one in wanted}
        for pair, first, second in zip(pairs, own, against, strict=True):
            first.append(cells[pair.cluster][:, pair.tested])
            second.append(cells[pair.other][:, pair.tested])
    for number, pair in enumerate(pairs):
        values = sparse.vstack([*own[number], *against[number]], format="csr")
        own[number], against[number] = [], []
        yield values, np.arange(values.shape[0]) < pair.own.n


def _up(pair: _Pair, values: csr_matrix, is_own: np.ndarray, genes: pd.Index) -> pd.DataFrame:
    """Test the genes that may be markers; return those that are, in CASSIA's columns."""
    import numpy as np
    import pandas as pd
    from scipy import stats

    ranks = sum_ranks(values, (~is_own).astype(np.int64), 2).ranks
    scores = z_scores(ranks[:, [0]], np.asarray([pair.own.n]), len(is_own))
    adjusted = adjust(2 * stats.norm.sf(np.abs(scores)), len(genes))[:, 0]
    table = pd.DataFrame(
        {
            "gene": genes[pair.tested],
            "avg_log2FC": pair.fold[pair.tested],
            "pct.1": pair.own.detected[pair.tested] / pair.own.n,
            "pct.2": pair.against.detected[pair.tested] / pair.against.n,
            "p_val_adj": adjusted,
            "score": scores[:, 0],
        }
    )
    return table[(table["score"] > 0) & (table["p_val_adj"] <= MAX_P_VAL_ADJ)]
