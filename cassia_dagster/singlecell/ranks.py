"""The Wilcoxon rank-sum test of every gene in every cluster against all other cells, from values that are not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.blocks import rows_of, spans
from cassia_dagster.singlecell.memory import memory_available

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from scipy.sparse import csr_matrix

    from cassia_dagster.singlecell.stored import StoredMatrix

MOST_VALUES = 1 << 28
"""Values that are in memory at a time, where there is room; with their clusters, five or six bytes each."""

LEAST_VALUES = 1 << 23
"""Fewer at a time would read the cells again and again for the sake of a few megabytes."""

_SHARE = 0.4
"""Of the memory that is free, what the values may take."""

_BYTES_A_VALUE = 6

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


def sum_ranks(
    values: csr_matrix | StoredMatrix, codes: np.ndarray, n_clusters: int, *, most: int | None = None
) -> RankSums:
    """Rank the cells by each gene, and sum the ranks of each cluster.

    Parameters
    ----------
    values
        Cells × genes, float32; no stored value is zero or less.
    codes
        Number of each cell's cluster, from 0; cells with -1 are left out.
    n_clusters
        Number of clusters.
    most
        Values that may be in memory at a time; where there are more, genes are taken in several passes over the cells.
        If not given, what the memory that is free has room for.

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

    most = most or values_at_a_time(memory_available())
    n_genes = values.shape[1]
    sizes = np.bincount(codes[codes >= 0], minlength=n_clusters)
    shape = (n_genes, n_clusters)
    sums = RankSums(np.empty(shape), np.empty(shape, dtype=np.int64), np.empty(shape))
    stored = _count_values(values, codes)
    for start, stop in _cut(np.concatenate([[0], np.cumsum(stored)]), most, n_genes):
        held, clusters = _by_gene(values, codes, stored[start:stop], start)
        ends = np.concatenate([[0], np.cumsum(stored[start:stop])])
        for first, last in _cut(ends, _VALUES, 1 << (64 - _BITS - _bits_of(n_clusters))):
            entries = slice(ends[first], ends[last])
            block = _sum_block(stored[start + first : start + last], held[entries], clusters[entries], sizes)
            for whole, part in zip(sums, block, strict=True):
                whole[start + first : start + last] = part
    return sums


def values_at_a_time(available: int) -> int:
    """Return how many values are held at a time where so many bytes are free; the results do not depend on it."""
    return int(min(max(_SHARE * available / _BYTES_A_VALUE, LEAST_VALUES), MOST_VALUES))


def _count_values(values: csr_matrix | StoredMatrix, codes: np.ndarray) -> np.ndarray:
    """Count the values of each gene in the cells that are not left out."""
    import numpy as np

    n_genes = values.shape[1]
    if (codes >= 0).all() and hasattr(values, "genes_of"):
        genes = (values.genes_of(span) for span in spans(len(codes)))
    else:
        genes = (block.indices for block, _ in _blocks(values, codes))
    stored = np.zeros(n_genes, dtype=np.int64)
    for some in genes:
        stored += np.bincount(some, minlength=n_genes)
    return stored


def _blocks(values: csr_matrix | StoredMatrix, codes: np.ndarray) -> Iterator[tuple[csr_matrix, np.ndarray]]:
    """Yield the cells that are not left out, some at a time, with their clusters."""
    for span in spans(len(codes)):
        kept = codes[span] >= 0
        if kept.all():
            yield rows_of(values, span), codes[span]
        elif kept.any():
            yield rows_of(values, span)[kept], codes[span][kept]


def _by_gene(
    values: csr_matrix | StoredMatrix, codes: np.ndarray, stored: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gather the values and the clusters of some genes, gene after gene."""
    import numpy as np

    n_values, n_genes = int(stored.sum()), len(stored)
    held = np.empty(n_values, dtype=np.float32)
    clusters = np.empty(n_values, dtype=np.min_scalar_type(max(int(codes.max()), 0)))
    free = np.cumsum(stored) - stored
    for block, of_cells in _blocks(values, codes):
        part = block[:, start : start + n_genes] if n_genes < block.shape[1] else block
        part = part.tocsc()
        if len(part.data) and part.data.min() <= 0:
            raise InputError(
                f"The smallest stored value of the matrix is {part.data.min():.3g}; markers are ranked by "
                "log-normalised values, none of which is negative, and zeros are not stored. Is the matrix scaled?"
            )
        new = np.diff(part.indptr)
        place = np.arange(len(part.data)) + np.repeat(free - part.indptr[:-1], new)
        held[place] = part.data
        clusters[place] = of_cells[part.indices]
        free += new
    return held, clusters


def _cut(ends: np.ndarray, most: int, most_genes: int) -> Iterator[tuple[int, int]]:
    """Cut the genes into pieces of so many values and genes at most, but one gene at least."""
    import numpy as np

    n_genes, first = len(ends) - 1, 0
    while first < n_genes:
        fitting = int(np.searchsorted(ends, ends[first] + most, side="right")) - 1
        last = min(max(fitting, first + 1), first + most_genes, n_genes)
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


def adjust(p_values: np.ndarray, n_genes: int | None = None) -> np.ndarray:
    """Control the false discovery rate (Benjamini and Hochberg 1995) among the genes of each cluster.

    Parameters
    ----------
    p_values
        Genes × clusters.
    n_genes
        Number of all genes, if these are not all; the p-value of each of the others counts as 1.
    """
    import numpy as np

    n_tested = len(p_values)
    order = np.argsort(-p_values, axis=0, kind="stable")
    factors = ((n_genes or n_tested) / np.arange(n_tested, 0, -1))[:, None]
    falling = np.minimum.accumulate(np.take_along_axis(p_values, order, axis=0) * factors, axis=0)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.minimum(falling, 1), axis=0)
    return adjusted
