"""Reads the normalised values of some genes out of stored cells, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.blocks import row_blocks
from cassia_dagster.singlecell.stored import open_cells

if TYPE_CHECKING:
    from anndata import AnnData


def read_genes(path: Path, genes: Sequence[str]) -> AnnData:
    """Read all cells of some genes.

    Parameters
    ----------
    path
        A file that `write_cells` made.
    genes
        Names as in ``var_names``; the columns come in this order.

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
    import numpy as np
    import pandas as pd
    from scipy import sparse

    with open_cells(path) as cells:
        columns = cells.var_names.get_indexer(pd.Index(genes))
        if (columns < 0).any():
            raise InputError(f"{path} has no gene {genes[int(np.argmin(columns))]!r}.")
        parts = [block[:, columns] for block in row_blocks(cells.X)]
        values = sparse.vstack(parts, format="csc") if parts else sparse.csc_matrix((0, len(columns)), dtype="float32")
        names = cells.obs_names, cells.var_names[columns]
    obs, var = (pd.DataFrame(index=index) for index in names)
    return anndata.AnnData(X=values, obs=obs, var=var)
