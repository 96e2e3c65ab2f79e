"""Joins each cell to those most like it: exactly where cells are few, by lists of nearby ones where they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from scipy.sparse import csr_matrix

MOST_EXACT = 20_000
"""Of so many cells all pairs are measured; of more, those in lists that lie close to each other."""

_SEARCHED = 24
"""Lists that the neighbours of a cell are sought in."""

_TRAINED = 64
"""Cells a list from which the lists' centres are learned."""

_VALUES = 1 << 18
"""Distances that are measured at a time: few enough for the processor's cache."""

_SAMPLED = 8
"""Of so many candidates, one is looked at first, to know how near a neighbour is at most."""


def nearest_cells(points: np.ndarray, n_neighbors: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest other cells of each cell.

    Parameters
    ----------
    points
        Cells × dimensions; distances are Euclidean.
    n_neighbors
        Neighbours to find, the cell itself not among them.
    seed
        Of the lists' centres, where there are many cells.

    Returns
    -------
    indices : ndarray of int64, shape (n_cells, n_neighbors)
        The nearest first; of equally near ones, the first.
    distances : ndarray of float64, shape (n_cells, n_neighbors)

    Notes
    -----
    Up to 20,000 cells the neighbours are exact. Of more, about 2 √n lists are made by k-means, and a cell's
    neighbours are sought in its own list and the 23 whose centres are nearest to it: some 99.8 % are found.
    """
    import numpy as np

    points = np.ascontiguousarray(points, dtype=np.float64)
    found = np.empty((len(points), n_neighbors), dtype=np.int64)
    whole = np.arange(len(points))
    lists = [(whole, whole)] if len(points) <= MOST_EXACT else _lists(points, n_neighbors, seed)
    for cells, candidates in lists:
        found[cells] = _nearest(points, cells, candidates, n_neighbors)
    distances = np.sqrt(np.stack([np.square(points - points[column]).sum(axis=1) for column in found.T], axis=1))
    order = np.lexsort((found, distances), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _lists(points: np.ndarray, n_neighbors: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the cells of each list with those among which their neighbours are sought."""
    import numpy as np
    from sklearn.cluster import KMeans

    n_lists = int(2 * np.sqrt(len(points)))
    sample = np.random.default_rng(seed).choice(len(points), min(len(points), _TRAINED * n_lists), replace=False)
    model = KMeans(n_lists, n_init=1, max_iter=10, random_state=seed).fit(points[np.sort(sample)])
    list_of = model.predict(points)
    centres = model.cluster_centers_
    members = np.split(np.argsort(list_of, kind="stable"), np.cumsum(np.bincount(list_of, minlength=n_lists))[:-1])
    sizes = np.array([len(held) for held in members])
    away = np.square(centres).sum(axis=1) - 2 * centres @ centres.T
    for held, by_distance in zip(members, np.argsort(away, axis=1, kind="stable"), strict=True):
        # Where many cells are the same, most lists are empty, and more of them are searched.
        enough = int(np.searchsorted(np.cumsum(sizes[by_distance]), n_neighbors, side="right")) + 1
        yield held, np.sort(np.concatenate([members[one] for one in by_distance[: max(_SEARCHED, enough)]]))


def _nearest(points: np.ndarray, cells: np.ndarray, candidates: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return the nearest of the candidates for each of the cells; both are sorted, and the cells are candidates."""
    import numpy as np

    others, own = points[candidates], np.searchsorted(candidates, cells)
    squares, back = np.square(others).sum(axis=1), np.ascontiguousarray(-2 * others.T)
    step = max(min(_SAMPLED, len(candidates) // (2 * n_neighbors)), 1)
    n_rows = max(_VALUES // len(candidates), 16)
    found = np.empty((len(cells), n_neighbors), dtype=np.int64)
    for first in range(0, len(cells), n_rows):
        rows = slice(first, first + n_rows)
        away = points[cells[rows]] @ back
        away += squares
        away[np.arange(len(away)), own[rows]] = np.inf
        # No neighbour is farther than the last one among some of the candidates: few are left to be put in order.
        farthest = np.partition(away[:, ::step], n_neighbors - 1, axis=1)[:, n_neighbors - 1]
        cell, candidate = np.nonzero(away <= farthest[:, None])
        by_distance = np.lexsort((away[cell, candidate], cell))
        begins = np.searchsorted(cell, np.arange(len(away)))
        found[rows] = candidates[candidate[by_distance[begins[:, None] + np.arange(n_neighbors)]]]
    return found


def fuzzy_graph(indices: np.ndarray, distances: np.ndarray) -> csr_matrix:
    """Weigh the edges of a neighbour graph by how sure two cells are of each other (McInnes et al. 2018).

    Parameters
    ----------
    indices, distances
        As `nearest_cells` returns them.

    Returns
    -------
    csr_matrix of float32, shape (n_cells, n_cells)
        Symmetric, with weights from 0 to 1.

    Notes
    -----
    The weight of a neighbour at the distance d is exp(-(d - r) / w), with r the distance of the nearest one and w such
    that the weights of a cell sum to log2(k), k being the neighbours and the cell itself. Weights a and b of the two
    directions are joined to a + b - ab.
    """
    import numpy as np
    from scipy import sparse

    n_cells, n_others = indices.shape
    weights = _weights(distances, np.log2(n_others + 1)).astype(np.float32)
    indptr = np.arange(0, n_cells * n_others + 1, n_others)
    directed = sparse.csr_matrix((weights.ravel(), indices.ravel(), indptr), shape=(n_cells, n_cells))
    back = directed.T.tocsr()
    graph = (directed + back - directed.multiply(back)).tocsr()
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def _weights(distances: np.ndarray, total: float) -> np.ndarray:
    import numpy as np

    apart = np.where(distances > 0, distances, np.inf).min(axis=1)
    nearest = np.where(np.isfinite(apart), apart, 0)
    beyond = np.maximum(distances - nearest[:, None], 0)
    low, high, width = np.zeros(len(distances)), np.full(len(distances), np.inf), np.ones(len(distances))
    for _ in range(64):
        surplus = np.exp(-beyond / width[:, None]).sum(axis=1) - total
        off = np.abs(surplus) >= 1e-5
        if not off.any():
            break
        high = np.where(surplus > 0, width, high)
        low = np.where(surplus > 0, low, width)
        width = np.where(off, np.where(np.isfinite(high), (low + high) / 2, width * 2), width)
    # Where all neighbours are equally far, no width is right; it must not vanish.
    own = distances.sum(axis=1) / (distances.shape[1] + 1)
    least = 1e-3 * np.where(nearest > 0, own, own.mean())
    width = np.maximum(width, least)
    weights: np.ndarray = np.exp(-beyond / np.where(width > 0, width, 1)[:, None])
    return weights
