"""Reads `.loom` files: a matrix of genes × cells, and attributes of its rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

GENE_NAMES = ("Gene", "Name", "gene_names", "var_names", "Accession")
CELL_NAMES = ("CellID", "obs_names", "cell_names")
"""Attributes that name genes and cells, as loompy, velocyto, SCope and scanpy write them; the first that is there."""

_BLOCK = 2**26
"""Values of the dense matrix that are in memory at a time."""


def read_loom(path: Path) -> AnnData:
    """Read a loom file (format versions 1 to 3; http://linnarssonlab.org/loompy/format).

    Returns
    -------
    AnnData, shape (n_cells, n_genes)
        With the layers, and with the attributes that have one value for each gene or cell.
    """
    import anndata
    import h5py

    with h5py.File(path, "r") as file:
        if "matrix" not in file:
            raise InputError(f"{path} has no dataset 'matrix', so it is no loom file; it has: {', '.join(file)}.")
        n_genes, n_cells = file["matrix"].shape
        obs = _table(file, "col_attrs", n_cells, CELL_NAMES, path)
        var = _table(file, "row_attrs", n_genes, GENE_NAMES, path)
        return anndata.AnnData(
            X=_by_cell(file["matrix"]),
            obs=obs,
            var=var,
            layers={name: _by_cell(layer) for name, layer in file.get("layers", {}).items()},
        )


def _table(file: h5py.File, group: str, length: int, names: tuple[str, ...], path: Path) -> pd.DataFrame:
    import h5py
    import pandas as pd

    columns = {
        name: held.asstr()[:] if h5py.check_string_dtype(held.dtype) else held[:]
        for name, held in file.get(group, {}).items()
        if held.shape == (length,)
    }
    naming = next((name for name in names if name in columns), None)
    if naming is None:
        raise InputError(
            f"{path} has none of {', '.join(names)} with {length:,} names in {group}; it has: "
            f"{', '.join(columns) or 'nothing'}. Give the names in one of these."
        )
    return pd.DataFrame(columns, index=pd.Index(columns.pop(naming)).astype(str))


def _by_cell(matrix: h5py.Dataset) -> csr_matrix:
    """Read genes × cells as sparse cells × genes, block by block: the format stores every zero."""
    from scipy import sparse

    n_genes, n_cells = matrix.shape
    step = max(1, _BLOCK // max(1, n_genes))
    blocks = [sparse.csr_matrix(matrix[:, start : start + step].T) for start in range(0, n_cells, step)]
    return sparse.vstack(blocks, format="csr") if blocks else sparse.csr_matrix((n_cells, n_genes))
