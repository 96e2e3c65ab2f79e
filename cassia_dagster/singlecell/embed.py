"""From genes to geometry: principal components, the neighbour graph, and UMAP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

MIN_VARIABLE_GENES = 20
"""Fewer highly variable genes than this span no useful space."""


def embed(adata: AnnData, *, n_neighbors: int = 10, n_pcs: int = 25, n_comps: int = 50, seed: int = 0) -> AnnData:
    """Add principal components and the neighbour graph.

    Parameters
    ----------
    adata
        As `normalize` returns it. Changed in place, and returned.
    n_neighbors
        Neighbours of a cell in the graph.
    n_pcs
        Components that distances are measured in.
    n_comps
        Components that are computed and kept.
    seed
        Seed of the random start vectors.

    Returns
    -------
    AnnData
        With ``obsm["X_pca"]`` (n_cells, n_comps), ``uns["pca"]["variance_ratio"]``, ``obsp["distances"]``,
        ``obsp["connectivities"]`` and ``uns["neighbors"]``.

    Notes
    -----
    Highly variable genes are scaled to unit variance and clipped at 10 for the components only; the scaled
    matrix is not kept. One BLAS thread, because the number of threads changes the last bits of the result.
    """
    import anndata
    import numpy as np
    import scanpy as sc
    from threadpoolctl import threadpool_limits

    n_variable = int(adata.var["highly_variable"].sum())
    if n_variable < MIN_VARIABLE_GENES:
        raise InputError(
            f"Only {n_variable} genes vary between the cells; at least {MIN_VARIABLE_GENES} are needed. "
            "Are the cells of one kind, or was the matrix filtered before?"
        )
    n_comps = min(n_comps, adata.n_obs - 1, n_variable - 1)
    with threadpool_limits(1):
        variable = anndata.AnnData(adata.X[:, adata.var["highly_variable"].to_numpy()])
        sc.pp.scale(variable, max_value=10)
        sc.tl.pca(variable, n_comps=n_comps, svd_solver="arpack", random_state=seed)
        sc.pp.neighbors(variable, n_neighbors=n_neighbors, n_pcs=min(n_pcs, n_comps), random_state=seed)
    adata.obsm["X_pca"] = np.asarray(variable.obsm["X_pca"], dtype=np.float32)
    adata.uns["pca"] = {"variance_ratio": variable.uns["pca"]["variance_ratio"]}
    adata.uns["neighbors"] = variable.uns["neighbors"]
    adata.obsp["distances"] = variable.obsp["distances"]
    adata.obsp["connectivities"] = variable.obsp["connectivities"]
    return adata


def umap_coordinates(adata: AnnData, *, seed: int = 0) -> np.ndarray:
    """Lay the neighbour graph out in the plane.

    Parameters
    ----------
    adata
        As `embed` returns it. Not changed.
    seed
        Seed of the layout.

    Returns
    -------
    ndarray of float32, shape (n_cells, 2)
    """
    import anndata
    import numpy as np
    import scanpy as sc
    from threadpoolctl import threadpool_limits

    graph = anndata.AnnData(obs=adata.obs[[]], obsm={"X_pca": adata.obsm["X_pca"]})
    graph.uns["neighbors"] = adata.uns["neighbors"]
    graph.obsp["connectivities"] = adata.obsp["connectivities"]
    graph.obsp["distances"] = adata.obsp["distances"]
    with threadpool_limits(1):
        sc.tl.umap(graph, random_state=seed)
    return np.asarray(graph.obsm["X_umap"], dtype=np.float32)
