"""Reads the normalised values of some genes out of a stored matrix, without ever holding the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

BLOCK = 8192
"""Cells that are read at once: of 3,000 detected genes each, 200 MB."""


def read_genes(path: Path, genes: Sequence[str], block: int = BLOCK) -> AnnData:
    """Read all cells of some genes.

    Parameters
    ----------
    path
        An h5ad whose ``X`` lies by cells, dense or compressed sparse rows.
    genes
        Names as in ``var_names``; the columns come in this order.
    block
        Cells to read at once, which bounds the memory.

    Returns
    -------
    AnnData
        ``X`` (cells × these genes, compressed sparse columns, 32 bit), names, and nothing else.

    Raises
    ------
    InputError
        Where the file has no gene of a name.
    """
    import anndata
    import h5py
    import numpy as np
    import scipy.sparse

    with h5py.File(path, "r") as file:
        obs, var = (anndata.io.read_elem(file[part]) for part in ("obs", "var"))
        columns = var.index.get_indexer(list(genes))
        if (columns < 0).any():
            raise InputError(f"{path} has no gene {genes[int(np.argmin(columns))]!r}.")
        values = file["X"]
        stored = anndata.io.sparse_dataset(values) if isinstance(values, h5py.Group) else values
        parts = [
            scipy.sparse.csr_matrix(stored[start : start + block])[:, columns].astype("float32")
            for start in range(0, len(obs), block)
        ]
    matrix = scipy.sparse.vstack(parts, format="csc") if parts else scipy.sparse.csc_matrix((0, len(genes)))
    return anndata.AnnData(X=matrix, obs=obs[[]], var=var[[]].iloc[columns])
