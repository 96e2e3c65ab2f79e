"""Reads a user's count matrix and refuses, in plain words, what cannot be analysed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

MIN_CELLS = 20
"""Fewer cells than this have no neighbour graph worth the name."""

MIN_GENES = 200
"""Fewer genes than this cannot tell cell types apart."""

MAX_LABELS = 200
"""More different values than this are measurements or ids, not cell types."""


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's content, which is what its data version is made of."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_counts(path: Path) -> AnnData:
    """Read an ``.h5ad`` file that holds raw counts.

    Parameters
    ----------
    path
        An AnnData file; ``X`` holds non-negative whole numbers, ``var_names`` gene symbols.

    Returns
    -------
    AnnData, shape (n_cells, n_genes)
        ``X`` is a float32 CSR matrix of counts. Cell and gene names are strings and unique; all-zero
        cells and genes are kept.

    Raises
    ------
    InputError
        With the file, what is wrong with it, and the way out.
    """
    adata = _read(path)
    _check_shape(adata, path)
    _check_names(adata, path)
    _check_counts(adata, path)
    return adata


def check_column(adata: AnnData, column: str, path: Path) -> None:
    """Raise `InputError` unless ``obs`` has the column, and it can hold labels of cell types."""
    if column not in adata.obs:
        available = ", ".join(map(str, adata.obs.columns)) or "none"
        raise InputError(f"{path} has no obs column {column!r}; it has: {available}.")
    different = adata.obs[column].nunique()
    if not 0 < different <= MAX_LABELS:
        raise InputError(
            f"{path}: obs column {column!r} has {different} different values, so it does not hold known cell types "
            f"(1 to {MAX_LABELS} are expected)."
        )


def _read(path: Path) -> AnnData:
    import anndata
    import numpy as np
    from scipy import sparse

    if not path.exists():
        raise InputError(f"There is no file {path}. Give the path of an .h5ad file.")
    if path.is_dir() or path.suffix != ".h5ad":
        raise InputError(f"{path} is not an .h5ad file, the one format that can be read so far.")
    try:
        adata = anndata.read_h5ad(path)
    except Exception as error:  # h5py and anndata raise many types for files that are not theirs
        raise InputError(
            f"{path} cannot be read as an .h5ad file ({type(error).__name__}: {_first_line(error)}). "
            "Was the download complete?"
        ) from error
    if adata.X is None:
        raise InputError(f"{path} has no matrix X. Store the raw counts in X.")
    matrix = adata.X if sparse.issparse(adata.X) else sparse.csr_matrix(np.asarray(adata.X))
    adata.X = sparse.csr_matrix(matrix, dtype=np.float32)
    # What counts cells with a gene counts entries, so a zero that is stored would pass for expression.
    adata.X.eliminate_zeros()
    return adata


def _check_shape(adata: AnnData, path: Path) -> None:
    for name, number, least in (("cells", adata.n_obs, MIN_CELLS), ("genes", adata.n_vars, MIN_GENES)):
        if number < least:
            raise InputError(f"{path} has {number} {name}; at least {least} are needed to find clusters.")


def _check_names(adata: AnnData, path: Path) -> None:
    for axis, index in (("gene", adata.var_names), ("cell", adata.obs_names)):
        doubled = index[index.duplicated()]
        if len(doubled):
            raise InputError(
                f"{path} has {len(doubled)} {axis} names twice (the first is {str(doubled[0])!r}). "
                f"Make them unique, for example with adata.{'var' if axis == 'gene' else 'obs'}_names_make_unique()."
            )
    ensembl = [name for name in adata.var_names if str(name).startswith(("ENSG0", "ENSMUSG0"))]
    if len(ensembl) > adata.n_vars / 2:
        raise InputError(
            f"{path} names its genes by Ensembl ids (such as {ensembl[0]}). "
            "Put gene symbols into var_names; models and marker knowledge speak in symbols."
        )


def _check_counts(adata: AnnData, path: Path) -> None:
    import numpy as np

    values = adata.X.data
    if not np.isfinite(values).all():
        raise InputError(f"{path}: X holds NaN or infinite values. Store the raw counts in X.")
    if (values < 0).any():
        raise InputError(
            f"{path}: X holds negative values, so it was scaled or centred. Store the raw counts in X "
            "(they are often kept in adata.raw or adata.layers['counts'])."
        )
    if (values != np.round(values)).any():
        raise InputError(
            f"{path}: X holds fractions (such as {values[values != np.round(values)][0]:.3g}), so it was normalised. "
            "Store the raw counts in X (they are often kept in adata.raw or adata.layers['counts'])."
        )
    if not len(values) or values.max() == 0:
        raise InputError(f"{path}: X holds nothing but zeros.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
