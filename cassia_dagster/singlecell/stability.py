"""Says which resolutions are stable: whether the Leiden algorithm finds the same clusters from other seeds."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from cassia_dagster.records import Record
from cassia_dagster.singlecell.cluster import N_TRIES, LeidenEngine, engine_for, leiden, neighbour_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from anndata import AnnData
    from igraph import Graph

    from cassia_dagster.singlecell.cluster import Clustering

N_SEEDS = N_TRIES
"""Clusterings that are compared with each other: the tries of the igraph engine, which has made them already."""

STABLE = 0.9
"""Mean adjusted Rand index between seeds, from which on a resolution is called stable."""


class Level(Record):
    """What clusters at one resolution are worth."""

    resolution: float
    clusters: int
    """Of the best clustering."""
    modularity: float
    """Of the best clustering, at resolution 1."""
    stability: float
    """Mean adjusted Rand index between the clusterings of the seeds: 1 if all are the same."""

    @property
    def is_stable(self) -> bool:
        """Whether another seed finds much the same."""
        return self.stability >= STABLE


def sweep(cells: AnnData, resolutions: Iterable[float], *, seed: int = 0, n_seeds: int = N_SEEDS) -> Iterator[Level]:
    """Cluster at each resolution from several seeds, and compare what comes out.

    Parameters
    ----------
    cells
        As `embed` returns them; only the graph is used. Not changed.
    resolutions
        The higher, the more clusters.
    seed, n_seeds
        The first of the seeds, and how many there are.

    Yields
    ------
    Level
        In the order of the resolutions.

    Notes
    -----
    One igraph object serves all resolutions and seeds.
    """
    graph = neighbour_graph(cells)
    for resolution in resolutions:
        found = [_from_seed(graph, resolution, one) for one in range(seed, seed + n_seeds)]
        best = max(found, key=lambda one: one.quality)
        yield Level(
            resolution=resolution,
            clusters=len(best.sizes),
            modularity=best.modularity,
            stability=agreement_between([one.labels.to_list() for one in found]),
        )


def leiden_with_stability(
    cells: AnnData, resolution: float, *, seed: int = 0, engine: LeidenEngine | None = None
) -> tuple[Clustering, float]:
    """Cluster as `leiden` does, and say what `sweep` says of the resolution.

    Parameters
    ----------
    cells, resolution, seed, engine
        As for `leiden`, whose clusters these are.

    Returns
    -------
    clustering : Clustering
    stability : float
        Mean adjusted Rand index between what igraph finds from `N_SEEDS` seeds.

    Notes
    -----
    The tries of which the igraph engine keeps the best are those that the stability compares, so they are made once.
    """
    engine = engine or engine_for(cells.n_obs)
    graph = neighbour_graph(cells)
    found = [_from_seed(graph, resolution, one) for one in range(seed, seed + N_SEEDS)]
    same = agreement_between([one.labels.to_list() for one in found])
    if engine is LeidenEngine.igraph:
        return max(found, key=lambda one: one.quality), same
    return leiden(cells, resolution, seed=seed, engine=engine), same


def agreement_between(clusterings: Sequence[Sequence[str]]) -> float:
    """Return the mean adjusted Rand index between all pairs of clusterings of the same cells.

    Examples
    --------
    >>> agreement_between([["a", "a", "b"], ["1", "1", "0"]])
    1.0
    """
    from sklearn.metrics import adjusted_rand_score

    indices = [adjusted_rand_score(one, other) for one, other in combinations(clusterings, 2)]
    return float(sum(indices) / len(indices))


def _from_seed(graph: Graph, resolution: float, seed: int) -> Clustering:
    return leiden(graph, resolution, seed=seed, engine=LeidenEngine.igraph, n_tries=1)
