"""Cuts the neighbour graph into clusters at a resolution."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from igraph import Graph


class LeidenEngine(StrEnum):
    """What runs the Leiden algorithm; both end in optima that are equally good and not the same."""

    igraph = "igraph"
    """Several times faster; the best of a few tries is kept."""
    leidenalg = "leidenalg"
    """Scanpy's reference; its first try is kept."""


MOST_BY_REFERENCE = 20_000
"""Of so many cells the reference makes quick work; of more, it takes minutes for what igraph finds in seconds."""

N_TRIES = 4
"""Seeds that the igraph engine tries, to keep the best clustering."""

MOST_ROUNDS = 5
"""Of a try with more cells than that: of 200,000, twenty more rounds take five times as long, and raise the modularity
by 0.0003, which is less than another seed does."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """Clusters of the cells at one resolution."""

    labels: pd.Series
    """Cell id → cluster id, both strings; "0" is the largest cluster."""
    modularity: float
    """Of the neighbour graph with its weights under these clusters, at resolution 1."""
    quality: float
    """The same at the resolution of the clustering: what the algorithm makes as large as it can."""
    engine: LeidenEngine
    """What found them."""

    @property
    def sizes(self) -> pd.Series:
        """Cluster id → number of cells, the largest first."""
        return self.labels.value_counts()


def digest_cells(labels: pd.Series) -> dict[str, str]:
    """Name the set of cells of every cluster, so that rows about another clustering can be told apart.

    Parameters
    ----------
    labels
        Cell id → cluster id.

    Returns
    -------
    dict
        Cluster id → digest of the sorted ids of its cells.
    """
    return {str(cluster): digest_of(cells.to_list()) for cluster, cells in labels.groupby(labels).groups.items()}


def digest_of(cells: Iterable[object]) -> str:
    """Name a set of cells by their ids, in whatever order."""
    return hashlib.sha256("\n".join(sorted(map(str, cells))).encode()).hexdigest()[:16]


def digest_clusters(table: pd.DataFrame) -> dict[str, str]:
    """Name what every cluster is made of: its cells or, where none is known, its markers.

    Parameters
    ----------
    table
        As the asset `leiden_clusters` holds it: ``cell_id, cluster``, and of a marker table ``markers``.

    Returns
    -------
    dict
        Cluster id → digest.
    """
    if "markers" in table:
        return dict(zip(table["cluster"], table["markers"], strict=True))
    return digest_cells(table.set_index("cell_id")["cluster"])


def neighbour_graph(adata: AnnData, *, directed: bool = False) -> Graph:
    """Make the graph of cells that Leiden algorithms work on; one serves any number of resolutions and seeds.

    Parameters
    ----------
    adata
        As `embed` returns it; only ``obsp["connectivities"]`` and the cells' names are used. Not changed.
    directed
        Whether each edge is there in both directions, as Scanpy gives it to ``leidenalg``, or once.

    Returns
    -------
    Graph
        With the cells' ids in the vertices' ``name``, and the edges' ``weight``.
    """
    import igraph
    import numpy as np
    from scipy import sparse

    held = adata.obsp["connectivities"]
    edges = sparse.coo_matrix(held if directed else sparse.triu(held, format="csr"))
    graph = igraph.Graph(n=adata.n_obs, edges=np.column_stack([edges.row, edges.col]), directed=directed)
    graph.vs["name"] = list(adata.obs_names)
    graph.es["weight"] = edges.data.astype(float)
    return graph


def leiden(
    graph: AnnData | Graph,
    resolution: float,
    *,
    seed: int = 0,
    engine: LeidenEngine | None = None,
    n_tries: int = N_TRIES,
) -> Clustering:
    """Cluster the neighbour graph with the Leiden algorithm (Traag et al. 2019).

    Parameters
    ----------
    graph
        As `neighbour_graph` makes it, or the cells to make it of.
    resolution
        The higher, the more clusters.
    seed
        Seed of the algorithm; further tries count on from it.
    engine
        What runs it, until nothing improves, or for `MOST_ROUNDS` of igraph where cells are many; if not given, the
        one that the graph was made for, or else `engine_for` the number of cells.
    n_tries
        Tries of the igraph engine.

    Raises
    ------
    ValueError
        If the graph was made for the other engine.
    """
    import igraph
    import pandas as pd

    if isinstance(graph, igraph.Graph):
        engine = engine or (LeidenEngine.leidenalg if graph.is_directed() else LeidenEngine.igraph)
    else:
        engine = engine or engine_for(graph.n_obs)
        graph = neighbour_graph(graph, directed=engine == LeidenEngine.leidenalg)
    if graph.is_directed() != (engine == LeidenEngine.leidenalg):
        raise ValueError(
            "The graph is for leidenalg if it was made by neighbour_graph(directed=True), else for igraph."
        )
    memberships = [ENGINES[engine](graph, resolution, one) for one in _tries(engine, seed, n_tries)]
    qualities = [_modularity(graph, membership, resolution) for membership in memberships]
    best = max(range(len(memberships)), key=lambda one: (qualities[one], -one))
    codes = pd.Series(memberships[best])
    # The largest first; among equally large ones, the engine's order.
    sizes = codes.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    ids = {code: str(position) for position, code in enumerate(sizes.index)}
    labels = pd.Series(
        codes.map(ids).to_numpy(), index=pd.Index(graph.vs["name"], name="cell_id"), name="cluster", dtype="str"
    )
    return Clustering(labels, _modularity(graph, memberships[best], 1), qualities[best], engine)


def engine_for(n_cells: int) -> LeidenEngine:
    """Return what clusters so many cells where nobody chose: Scanpy's reference, as long as that is quick."""
    return LeidenEngine.leidenalg if n_cells <= MOST_BY_REFERENCE else LeidenEngine.igraph


def _tries(engine: LeidenEngine, seed: int, n_tries: int) -> range:
    return range(seed, seed + (n_tries if engine == LeidenEngine.igraph else 1))


def _modularity(graph: Graph, membership: list[int], resolution: float) -> float:
    return float(graph.modularity(membership, weights="weight", resolution=resolution, directed=False))


def _by_igraph(graph: Graph, resolution: float, seed: int) -> list[int]:
    import random

    import igraph

    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - which optimum is found, not a secret
    rounds = -1 if graph.vcount() <= MOST_BY_REFERENCE else MOST_ROUNDS  # -1: until nothing improves
    try:
        found: Any = graph.community_leiden(
            objective_function="modularity", weights="weight", resolution=resolution, n_iterations=rounds
        )
    finally:
        igraph.set_random_number_generator(random)
    return list(found.membership)


def _by_leidenalg(graph: Graph, resolution: float, seed: int) -> list[int]:
    import leidenalg

    found: Any = leidenalg.find_partition(
        graph,
        leidenalg.RBConfigurationVertexPartition,
        weights="weight",
        seed=seed,
        n_iterations=-1,
        resolution_parameter=resolution,
    )
    return list(found.membership)


ENGINES = {LeidenEngine.igraph: _by_igraph, LeidenEngine.leidenalg: _by_leidenalg}
