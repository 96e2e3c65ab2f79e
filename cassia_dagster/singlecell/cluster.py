"""Cuts the neighbour graph into clusters at a resolution."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True, slots=True)
class Clustering:
    """Clusters of the cells at one resolution."""

    labels: pd.Series
    """Cell id → cluster id, both strings; "0" is the largest cluster."""
    modularity: float
    """Of the neighbour graph under these clusters, at resolution 1."""

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
    return {
        str(cluster): hashlib.sha256("\n".join(sorted(map(str, cells))).encode()).hexdigest()[:16]
        for cluster, cells in labels.groupby(labels).groups.items()
    }


def leiden(adata: AnnData, resolution: float, *, seed: int = 0) -> Clustering:
    """Cluster the neighbour graph with the Leiden algorithm (Traag et al. 2019, ``leidenalg``).

    Parameters
    ----------
    adata
        As `embed` returns it; only ``obsp["connectivities"]`` and the cells' names are used. Not changed.
    resolution
        The higher, the more clusters.
    seed
        Seed of the algorithm.
    """
    import anndata
    import scanpy as sc

    graph = anndata.AnnData(obs=adata.obs[[]].copy())
    sc.tl.leiden(
        graph,
        resolution=resolution,
        adjacency=adata.obsp["connectivities"],
        flavor="leidenalg",
        random_state=seed,
        key_added="leiden",
    )
    labels = graph.obs["leiden"].astype(str).astype("str").rename("cluster")
    labels.index.name = "cell_id"
    return Clustering(labels=labels, modularity=float(graph.uns["leiden"]["modularity"]))
