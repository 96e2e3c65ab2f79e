"""From genes to geometry: principal components, the neighbour graph, and UMAP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.compiled import keeping_compiled
from cassia_dagster.singlecell.components import principal_components, scale_implicitly
from cassia_dagster.singlecell.integrate import integrate
from cassia_dagster.singlecell.neighbors import fuzzy_graph, nearest_cells

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from scipy.sparse import csr_matrix

MIN_VARIABLE_GENES = 20
"""Fewer highly variable genes than this span no useful space."""

INTEGRATED = "X_pca_harmony"
"""The name that Scanpy gives to components that Harmony has aligned."""


def embed(
    adata: AnnData,
    *,
    n_neighbors: int = 10,
    n_pcs: int = 25,
    n_comps: int = 50,
    seed: int = 0,
    batch_key: str | None = None,
) -> AnnData:
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
    batch_key
        Column of ``obs`` with the batch of each cell; if given, neighbours are sought where batches are aligned.

    Returns
    -------
    AnnData
        With ``obsm["X_pca"]`` (n_cells, n_comps), ``uns["pca"]["variance_ratio"]``, ``obsp["distances"]``,
        ``obsp["connectivities"]`` and ``uns["neighbors"]``; of batches, also ``obsm["X_pca_harmony"]`` and
        ``uns["integration"]``, as `integrate` measures it.

    Notes
    -----
    Highly variable genes are scaled to unit variance and clipped at 10 for the components only, and nowhere as a dense
    matrix. One BLAS thread, because the number of threads changes the last bits of the result.
    """
    return embed_values(
        adata,
        adata.X[:, adata.var["highly_variable"].to_numpy()],
        n_neighbors=n_neighbors,
        n_pcs=n_pcs,
        n_comps=n_comps,
        seed=seed,
        batch_key=batch_key,
    )


def embed_values(
    adata: AnnData,
    values: csr_matrix,
    *,
    n_neighbors: int = 10,
    n_pcs: int = 25,
    n_comps: int = 50,
    seed: int = 0,
    batch_key: str | None = None,
) -> AnnData:
    """Do what `embed` does for cells whose matrix is elsewhere.

    Parameters
    ----------
    adata
        The cells, with or without a matrix. Changed in place, and returned.
    values
        Log-normalised values of the highly variable genes, cells × genes. Not changed.
    n_neighbors, n_pcs, n_comps, seed, batch_key
        As for `embed`.
    """
    from threadpoolctl import threadpool_limits

    n_variable = values.shape[1]
    if n_variable < MIN_VARIABLE_GENES:
        raise InputError(
            f"Only {n_variable} genes vary between the cells; at least {MIN_VARIABLE_GENES} are needed. "
            "Are the cells of one kind, or was the matrix filtered before?"
        )
    n_comps = min(n_comps, adata.n_obs - 1, n_variable - 1)
    with threadpool_limits(1):
        components, share = principal_components(scale_implicitly(values), n_comps, seed=seed)
        adata.obsm["X_pca"] = components
        adata.uns["pca"] = {"variance_ratio": share}
        if batch_key is None:
            return connect(adata, n_neighbors=n_neighbors, n_pcs=n_pcs, seed=seed)
        aligned = integrate(components, adata.obs[batch_key], seed=seed)
        adata.obsm[INTEGRATED] = aligned.components
        adata.uns["integration"] = {"method": "harmony", "batch_key": batch_key, **aligned.mixing}
        return connect(adata, n_neighbors=n_neighbors, n_pcs=n_pcs, seed=seed, use_rep=INTEGRATED)


def connect(
    adata: AnnData, *, n_neighbors: int = 10, n_pcs: int = 25, seed: int = 0, use_rep: str = "X_pca"
) -> AnnData:
    """Add the neighbour graph of the cells in a space that was found before.

    Parameters
    ----------
    adata
        With the space in ``obsm``. Changed in place, and returned.
    n_neighbors, n_pcs, seed
        As for `embed`; a cell counts as a neighbour of itself.
    use_rep
        Name of the space in ``obsm``.
    """
    import numpy as np
    from scipy import sparse

    points = np.asarray(adata.obsm[use_rep])[:, :n_pcs]
    n_others = min(n_neighbors, adata.n_obs) - 1
    indices, distances = nearest_cells(points, n_others, seed=seed)
    indptr = np.arange(0, indices.size + 1, n_others)
    adata.obsp["distances"] = sparse.csr_matrix((distances.ravel(), indices.ravel(), indptr), shape=(adata.n_obs,) * 2)
    adata.obsp["connectivities"] = fuzzy_graph(indices, distances)
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {
            "method": "umap",
            "metric": "euclidean",
            "n_neighbors": n_neighbors,
            "n_pcs": points.shape[1],
            "random_state": seed,
            "use_rep": use_rep,
        },
    }
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
    # The layout needs the graph alone, wherever the neighbours were found.
    neighbors = adata.uns["neighbors"]
    graph.uns["neighbors"] = {**neighbors, "params": {**neighbors["params"], "use_rep": "X_pca"}}
    graph.obsp["connectivities"] = adata.obsp["connectivities"]
    with keeping_compiled(("umap-learn", "pynndescent")):
        import umap  # noqa: F401 - before Scanpy does
    with threadpool_limits(1):
        sc.tl.umap(graph, random_state=seed)
    return np.asarray(graph.obsm["X_umap"], dtype=np.float32)
