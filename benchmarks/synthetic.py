"""Makes counts of any size that look real, with planted truth: from the demo's cells, chunk by chunk onto the disk."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.files import replacing

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

TRUTH = "cell_type"
"""Column of ``obs`` with the type that a cell was made from."""

N_GENES = 20_000
CHUNK = 5_000
"""Cells that are in memory at once."""


class Profiles(NamedTuple):
    """What cells are made from."""

    counts: csr_matrix
    """Shape (n_profiles, n_genes)."""
    types: np.ndarray
    """The type of each."""
    genes: list[str]


def islet_profiles(n_genes: int = N_GENES) -> Profiles:
    """Take the demo's cells; genes beyond its own are rare ones, shuffled among the cells of each type.

    The demo lacks the genes that are found in fewer than three of its cells. What stands in for them is as rare as
    the rarest that it has, so it adds columns and hardly any counts, as such genes do.

    Parameters
    ----------
    n_genes
        If fewer than the demo has, those with most counts are kept.
    """
    import anndata
    import numpy as np
    from scipy import sparse

    with as_file(files("cassia_dagster") / "data" / "islets.h5ad") as path:
        adata = anndata.read_h5ad(path)
    counts, genes = sparse.csc_matrix(adata.X), [str(gene) for gene in adata.var_names]
    types = adata.obs[TRUTH].astype(str).to_numpy()
    by_rarity = np.argsort(np.diff(counts.indptr), kind="stable")
    missing = n_genes - len(genes)
    if missing <= 0:
        kept = np.sort(by_rarity[-n_genes:])
        return Profiles(sparse.csr_matrix(counts[:, kept]), types, [genes[gene] for gene in kept])
    rng, of_type = np.random.default_rng(0), np.unique(types, return_inverse=True)[1]
    in_order, extra = np.argsort(of_type, kind="stable"), []
    for number in range(missing):
        column = counts[:, [by_rarity[number % len(genes)]]]
        moved = np.empty_like(in_order)
        moved[in_order] = np.lexsort((rng.random(len(types)), of_type))
        extra.append(sparse.csc_matrix((column.data, moved[column.indices], column.indptr), shape=column.shape))
    names = [f"RARE{number + 1:05d}" for number in range(missing)]
    return Profiles(sparse.csr_matrix(sparse.hstack([counts, *extra])), types, [*genes, *names])


def made_cells(profiles: Profiles, n_cells: int, rng: np.random.Generator) -> tuple[csr_matrix, np.ndarray]:
    """Make cells: add two of one type, and thin the sum binomially to the depth of a third.

    Parameters
    ----------
    profiles
        Real cells.
    n_cells
        How many to make; the types are as frequent as among the profiles.
    rng
        Decides everything.

    Returns
    -------
    counts : csr_matrix of float32, shape (n_cells, n_genes)
    types : ndarray of str, shape (n_cells,)
    """
    import numpy as np
    from scipy import sparse

    first = rng.integers(len(profiles.types), size=n_cells)
    members = {one: np.flatnonzero(profiles.types == one) for one in np.unique(profiles.types)}
    second, third = np.empty_like(first), np.empty_like(first)
    for one, cells in members.items():
        chosen = np.flatnonzero(profiles.types[first] == one)
        second[chosen] = rng.choice(cells, size=len(chosen))
        third[chosen] = rng.choice(cells, size=len(chosen))
    both = (profiles.counts[first] + profiles.counts[second]).tocsr()
    depth = np.asarray(profiles.counts.sum(axis=1)).ravel()
    share = np.minimum(1, depth[third] / (depth[first] + depth[second]))
    shares = np.repeat(share, np.diff(both.indptr))
    thinned = (rng.random(both.nnz) < shares).astype(np.float32)  # most counts are 1, and these are drawn fast
    several = both.data > 1
    thinned[several] = rng.binomial(both.data[several].astype(np.int64), shares[several])
    counts = sparse.csr_matrix((thinned, both.indices, both.indptr), shape=both.shape)
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts, profiles.types[first]


def write_cells(path: Path, n_cells: int, *, n_genes: int = N_GENES, chunk: int = CHUNK, seed: int = 0) -> None:
    """Write an h5ad file of made cells, in memory for one chunk only; the same arguments make the same cells.

    Parameters
    ----------
    path
        The file.
    n_cells, n_genes
        Its shape.
    chunk
        Cells that are in memory at once; it decides which cells are made, as the seed does.
    seed
        Of the random choices.
    """
    import h5py
    import numpy as np
    import pandas as pd
    from anndata.io import sparse_dataset, write_elem

    profiles, rng = islet_profiles(n_genes), np.random.default_rng(seed)
    types: list[np.ndarray] = []
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for begin in range(0, n_cells, chunk):
            counts, of_type = made_cells(profiles, min(chunk, n_cells - begin), rng)
            types.append(of_type)
            if begin == 0:
                write_elem(file, "X", counts, dataset_kwargs={"compression": "lzf"})
            else:
                sparse_dataset(file["X"]).append(counts)
        cells = pd.Index([f"cell{number}" for number in range(n_cells)])
        write_elem(file, "obs", pd.DataFrame({TRUTH: pd.Categorical(np.concatenate(types))}, index=cells))
        write_elem(file, "var", pd.DataFrame(index=pd.Index(profiles.genes)))
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
