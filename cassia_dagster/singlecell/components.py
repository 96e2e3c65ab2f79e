"""Principal components of scaled genes, from the values that are not zero: the scaled matrix is never made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.singlecell.blocks import row_blocks, spans
from cassia_dagster.singlecell.variable_genes import GeneMoments

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

MAX_SCALED = 10.0
"""Standard deviations from the mean at which scaled values are clipped."""

WIDEST_COVARIANCE = 4000
"""More genes than this are decomposed without their covariance, which would take more room than it is worth."""

_COMMON = 0.05
"""Genes that a larger share of the cells expresses are multiplied as dense ones, zeros and all; the others are not."""

_DECIMALS = 6
"""Of a component. The last digits of 64 bits hang on how a processor sums; without them, all find the same graph."""


def scale_implicitly(values: csr_matrix) -> csr_matrix:
    """Scale genes to unit variance, clipped, up to a constant for each gene.

    Parameters
    ----------
    values
        Log-normalised values, cells × genes. Not changed.

    Returns
    -------
    csr_matrix of float32
        With the zeros of ``values``. Its entries differ from clip((x - m) / s, -10, 10) by what that makes of a zero,
        max(-m / s, -10), so that both have the same centred columns, and the same principal components.
    """
    import numpy as np
    from scipy import sparse

    moments = GeneMoments(values.shape[1])
    for block in row_blocks(values):
        moments.add(block)
    mean, deviation = moments.mean, np.sqrt(moments.variance)
    deviation[deviation == 0] = 1
    zero = np.maximum(-mean / deviation, -MAX_SCALED)
    scaled = np.empty_like(values.data, dtype=np.float32)
    for span in spans(values.shape[0]):
        entries = slice(values.indptr[span.start], values.indptr[span.stop])
        genes = values.indices[entries]
        x = (values.data[entries] - mean[genes]) / deviation[genes]
        scaled[entries] = np.clip(x, -MAX_SCALED, MAX_SCALED, out=x) - zero[genes]
    return sparse.csr_matrix((scaled, values.indices, values.indptr), shape=values.shape)


def principal_components(scaled: csr_matrix, n_comps: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Find the directions in which cells differ most.

    Parameters
    ----------
    scaled
        Cells × genes; its columns need not be centred.
    n_comps
        Number of components, less than both cells and genes.
    seed
        Of the first vector, where Lanczos steps are taken.

    Returns
    -------
    components : ndarray of float32, shape (n_cells, n_comps)
        Signs are such that the largest loading of each component is positive; rounded to six decimals.
    variance_ratio : ndarray, shape (n_comps,)
        Share of the variance, the largest first.
    """
    import numpy as np

    n_cells, n_genes = scaled.shape
    mean = np.asarray(scaled.mean(axis=0, dtype=np.float64)).ravel()
    if n_genes <= WIDEST_COVARIANCE:
        vectors = _of_covariance(scaled, mean, n_comps, seed)
    else:
        vectors = _by_lanczos(scaled, mean, n_comps, seed)
    largest = np.abs(vectors).argmax(axis=0)
    vectors *= np.sign(vectors[largest, np.arange(n_comps)])
    components = np.round(scaled @ vectors - mean @ vectors, _DECIMALS)
    total = np.square(scaled.data.astype(np.float64)).sum() / n_cells - np.square(mean).sum()
    return components.astype(np.float32), np.square(components).sum(axis=0) / n_cells / total


def _of_covariance(scaled: csr_matrix, mean: np.ndarray, n_comps: int, seed: int) -> np.ndarray:
    """Decompose the covariance of the genes (ARPACK), of which some thousand rows are cheap to multiply with."""
    import numpy as np
    from scipy.sparse.linalg import eigsh

    covariance = _products(scaled) - scaled.shape[0] * np.outer(mean, mean)
    start = np.random.default_rng(seed).uniform(-1, 1, len(covariance))
    sizes, vectors = eigsh(covariance, k=n_comps, v0=start)
    return np.ascontiguousarray(vectors[:, np.argsort(-sizes)])


def _products(scaled: csr_matrix) -> np.ndarray:
    """Multiply each gene with each, summed over the cells; to the sums a few thousand cells at a time add."""
    import numpy as np

    n_cells, n_genes = scaled.shape
    expressing = np.bincount(scaled.indices, minlength=n_genes)
    order = np.argsort(-expressing, kind="stable")
    n_common = int(np.count_nonzero(expressing > _COMMON * n_cells))
    sums = np.zeros((n_genes, n_genes))
    common, rare = slice(n_common), slice(n_common, None)
    for block in row_blocks(scaled):
        sorted_block = block[:, order]
        dense, sparse = sorted_block[:, common].toarray().astype(np.float64), sorted_block[:, rare]
        sums[common, common] += dense.T @ dense
        sums[rare, common] += sparse.T @ dense
        sums[rare, rare] += (sparse.T @ sparse).toarray()
    sums[common, rare] = sums[rare, common].T
    place = np.argsort(order)
    return sums[np.ix_(place, place)]


def _by_lanczos(scaled: csr_matrix, mean: np.ndarray, n_comps: int, seed: int) -> np.ndarray:
    """Find the singular vectors of the centred matrix (ARPACK), which takes products with it and not the matrix."""
    import numpy as np
    from scipy.sparse.linalg import LinearOperator, svds

    centred = LinearOperator(
        scaled.shape,
        matvec=lambda v: scaled @ v - mean @ v,
        rmatvec=lambda u: scaled.T @ u - mean * u.sum(),
        dtype=np.float64,
    )
    start = np.random.default_rng(seed).uniform(-1, 1, min(scaled.shape))
    _, sizes, vectors = svds(centred, k=n_comps, v0=start, return_singular_vectors="vh")
    return np.ascontiguousarray(vectors[np.argsort(-sizes)].T)
