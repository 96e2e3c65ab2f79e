"""The Wilcoxon rank-sum test of every gene in every cluster against all other cells, from values that are not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from scipy.sparse import csc_matrix

_VALUES = 1 << 18
"""Values that are ranked at a time: few enough for the processor's cache."""

_BITS = 32
"""A float32 that is not negative sorts as the whole number that its bits are."""


class RankSums(NamedTuple):
    """What the test needs to know of each gene (rows) in each cluster (columns)."""

    ranks: np.ndarray
    """Sum of the ranks of the cluster's cells among all cells; ties share their mean rank."""
    expressing: np.ndarray
    """Number of the cluster's cells that express the gene."""
    totals: np.ndarray
    """Sum of the values in the cluster's cells."""


def sum_ranks(values: csc_matrix, codes: np.ndarray, n_clusters: int) -> RankSums:
    """Rank the cells by each gene, and sum the ranks of each cluster.

    Parameters
    ----------
    values
        Cells × genes, float32, by gene; no stored value is zero or less.
    codes
        Number of each cell's cluster, from 0.
    n_clusters
        Number of clusters.

    Returns
    -------
    RankSums
        Of arrays with the shape (n_genes, n_clusters).

    Raises
    ------
    InputError
        If a value is negative.

    Notes
    -----
    Gene, value and cluster of an entry are packed into one whole number, the gene in its highest bits, so that a plain
    sort of these numbers ranks all genes at once and carries the clusters along. The zeros of a gene are one tie below
    all its values.
    """
    import numpy as np

    if len(values.data) and values.data.min() <= 0:
        raise InputError(
            f"The smallest stored value of the matrix is {values.data.min():.3g}; markers are ranked by log-normalised "
            "values, none of which is negative, and zeros are not stored. Is the matrix scaled?"
        )
    sizes = np.bincount(codes, minlength=n_clusters)
    shape = (values.shape[1], n_clusters)
    sums = RankSums(np.empty(shape), np.empty(shape, dtype=np.int64), np.empty(shape))
    for first, last in _gene_blocks(values.indptr, n_clusters):
        entries = slice(values.indptr[first], values.indptr[last])
        block = _sum_block(
            np.diff(values.indptr[first : last + 1]),
            np.ascontiguousarray(values.data[entries], dtype=np.float32),
            codes[values.indices[entries]],
            sizes,
        )
        for whole, part in zip(sums, block, strict=True):
            whole[first:last] = part
    return sums


def _gene_blocks(indptr: np.ndarray, n_clusters: int) -> Iterator[tuple[int, int]]:
    """Yield the first gene of each block and the one after its last, so that genes, values and clusters fit a key."""
    import numpy as np

    n_genes, most = len(indptr) - 1, 1 << (64 - _BITS - _bits_of(n_clusters))
    first = 0
    while first < n_genes:
        fitting = int(np.searchsorted(indptr, indptr[first] + _VALUES, side="right")) - 1
        last = min(max(fitting, first + 1), first + most, n_genes)
        yield first, last
        first = last


def _bits_of(n_clusters: int) -> int:
    return max(n_clusters - 1, 1).bit_length()


def _sum_block(stored: np.ndarray, values: np.ndarray, clusters: np.ndarray, sizes: np.ndarray) -> RankSums:
    """Do for a block of genes what `sum_ranks` does for all; ``stored`` is the number of values of each gene."""
    import numpy as np

    n_genes, n_clusters = len(stored), len(sizes)
    bits, shape = np.uint64(_bits_of(n_clusters)), (n_genes, n_clusters)
    gene = np.repeat(np.arange(n_genes), stored)
    place = gene * n_clusters + clusters
    totals = np.bincount(place, values, minlength=n_genes * n_clusters).reshape(shape)
    expressing = np.bincount(place, minlength=n_genes * n_clusters).reshape(shape)
    keys = gene.astype(np.uint64) << np.uint64(_BITS) | values.view(np.uint32)
    keys = keys << bits | clusters.astype(np.uint64)
    keys.sort()
    tied = keys >> bits
    begins = np.flatnonzero(np.diff(tied, prepend=~tied[:1]))
    ends = np.append(begins[1:], len(keys)) if len(keys) else begins
    # The first place of each gene in the block, and how many of its cells are below every value, being zero.
    before, zeros = np.cumsum(stored) - stored, sizes.sum() - stored
    of = gene[begins]
    mean_rank = (begins + ends + 1) / 2 - before[of] + zeros[of]
    sorted_place = gene * n_clusters + (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    ranks = np.bincount(sorted_place, np.repeat(mean_rank, ends - begins), minlength=n_genes * n_clusters)
    return RankSums(ranks.reshape(shape) + (sizes - expressing) * ((zeros + 1) / 2)[:, None], expressing, totals)


def z_scores(ranks: np.ndarray, sizes: np.ndarray, n_cells: int) -> np.ndarray:
    """Compare rank sums with what chance gives, without a correction for ties or continuity, as Scanpy does.

    Parameters
    ----------
    ranks
        Genes × clusters, as `sum_ranks` returns them.
    sizes
        Cells of each of these clusters.
    n_cells
        All cells.
    """
    import numpy as np

    expected, variance = sizes * ((n_cells + 1) / 2), sizes * (n_cells - sizes) * ((n_cells + 1) / 12)
    scores: np.ndarray = (ranks - expected) / np.sqrt(variance)
    return scores


def adjust(p_values: np.ndarray) -> np.ndarray:
    """Control the false discovery rate (Benjamini and Hochberg 1995) among the genes of each cluster.

    Parameters
    ----------
    p_values
        Genes × clusters.
    """
    import numpy as np

    n_genes = len(p_values)
    order = np.argsort(-p_values, axis=0, kind="stable")
    factors = (n_genes / np.arange(n_genes, 0, -1))[:, None]
    falling = np.minimum.accumulate(np.take_along_axis(p_values, order, axis=0) * factors, axis=0)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.minimum(falling, 1), axis=0)
    return adjusted
