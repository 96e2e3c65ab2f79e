"""Chooses the cells that the report carries: few enough to mail, and some of every cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_CELLS = 10_000
FEWEST_OF_A_CLUSTER = 100
"""Cells that a cluster keeps, if it has them, however large the others are."""


def sample_cells(clusters: pd.Series[Any], most: int = MOST_CELLS) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Choose cells at random within each cluster.

    Parameters
    ----------
    clusters
        Of each cell, its cluster.
    most
        How many cells to choose; all, where there are no more.

    Returns
    -------
    numpy.ndarray
        Positions of the chosen cells, ascending; the same ones for the same clusters. A cluster has its share of the
        cells, but at least `FEWEST_OF_A_CLUSTER` (less where there are too many clusters for that).
    """
    import numpy as np

    if len(clusters) <= most:
        return np.arange(len(clusters))
    codes = clusters.astype("category").cat.codes.to_numpy()
    sizes = np.bincount(codes)
    least = np.minimum(sizes, max(1, min(FEWEST_OF_A_CLUSTER, most // (2 * len(sizes)))))
    rest = sizes - least
    quotas = least + np.floor((most - least.sum()) * rest / rest.sum()).astype(int)
    rng = np.random.default_rng(0)
    chosen = [
        rng.choice(np.flatnonzero(codes == code), quota, replace=False) for code, quota in enumerate(quotas.tolist())
    ]
    return np.sort(np.concatenate(chosen))
