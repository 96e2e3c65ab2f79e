"""Reads a user's count matrix and refuses, in plain words, what cannot be analysed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.columns import column_of
from cassia_dagster.singlecell.formats import read

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

MIN_CELLS = 20
"""Fewer cells than this have no neighbour graph worth the name."""

MIN_GENES = 200
"""Fewer genes than this cannot tell cell types apart."""

MAX_LABELS = 200
"""More different values than this are measurements or ids, not cell types."""


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's content, or of a folder's names and contents: what data versions are made of."""
    if path.is_dir():
        whole = hashlib.sha256()
        for name in sorted(part.relative_to(path).as_posix() for part in path.rglob("*") if part.is_file()):
            whole.update(f"{name}\0{fingerprint(path / name)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in files if part.is_file())


def load_counts(path: Path, counts: str | None = None, symbols: str | None = None) -> AnnData:
    """Read raw counts from a file of any format that `formats.read` knows.

    Parameters
    ----------
    path
        The file or folder.
    counts
        Where the counts are: ``"X"``, ``"raw"`` or ``"layers/NAME"``. If not given, the first of ``X``,
        ``layers["counts"]`` and ``raw`` that holds whole numbers.
    symbols
        The column of ``var`` with the gene symbols; if not given, they are the ``var_names``.

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
    return checked_counts(read(path), path, counts, symbols)


def checked_counts(adata: AnnData, path: Path, counts: str | None = None, symbols: str | None = None) -> AnnData:
    """Do with data that was read from a path what `load_counts` does."""
    adata = take_counts(adata, path, find_counts(adata, path, counts))
    check_shape(adata, path)
    if symbols is not None:
        name_by_symbols(adata, symbols, path)
    check_names(adata, path)
    return adata


def find_counts(adata: AnnData, path: Path, counts: str | None = None) -> str:
    """Return where the raw counts are (``"X"``, ``"raw"`` or ``"layers/NAME"``), or raise `InputError`."""
    there = places(adata)
    check_place(counts, there, path)
    looked = []
    for place in (counts,) if counts else ("X", "layers/counts", "raw"):
        trouble = trouble_of(matrix_at(adata, place)) if place in there else "is not there"
        if trouble is None:
            return place
        looked.append(f"{place} {trouble}")
    others = ", ".join(place for place in there if place not in ("X", "layers/counts", "raw", counts))
    raise InputError(
        f"{path} has no raw counts where they were looked for: {'; '.join(looked)}. Store the raw counts in X, or say "
        f"where they are: X, raw or layers/NAME{f' (there is also {others})' if others else ''}."
    )


def check_place(counts: str | None, there: Sequence[str], path: Path) -> None:
    """Raise `InputError` if the matrix that counts are to be taken from is none of those that are there."""
    if counts is not None and counts not in there:
        raise InputError(
            f"{path} has no matrix {counts!r} to take counts from; it has: {', '.join(there) or 'none'}. "
            "Write X, raw or layers/NAME."
        )


def places(adata: AnnData) -> list[str]:
    """Name the matrices that a file has, as `load_counts` takes them."""
    layers = [f"layers/{name}" for name in adata.layers if name is not None]
    return [*(["X"] if adata.X is not None else []), *layers, *(["raw"] if adata.raw is not None else [])]


def matrix_at(adata: AnnData, place: str) -> csr_matrix:
    """Return one of the `places` as a float32 CSR matrix without stored zeros."""
    import numpy as np
    from scipy import sparse

    slots = {"X": lambda: adata.X, "raw": lambda: adata.raw.X}
    held = slots[place]() if place in slots else adata.layers[place.removeprefix("layers/")]
    matrix = sparse.csr_matrix(held if sparse.issparse(held) else np.asarray(held), dtype=np.float32, copy=True)
    # What counts cells with a gene counts entries, so a zero that is stored would pass for expression.
    matrix.eliminate_zeros()
    return matrix


def trouble_of(matrix: csr_matrix) -> str | None:
    """Say why a matrix does not hold raw counts; nothing if it does."""
    import numpy as np

    if 0 in matrix.shape:
        return f"has {matrix.shape[0]} cells and {matrix.shape[1]} genes"
    values = matrix.data
    if not np.isfinite(values).all():
        return "holds NaN or infinite values"
    if (values < 0).any():
        return "holds negative values, so it was scaled or centred"
    if (fractions := values != np.round(values)).any():
        return f"holds fractions (such as {values[fractions][0]:.3g}), so it was normalised"
    return None if len(values) else "holds nothing but zeros"


def take_counts(adata: AnnData, path: Path, place: str) -> AnnData:
    """Return the data with the matrix of a place as ``X``, and no second copy of it."""
    matrix = matrix_at(adata, place)
    if place == "raw":
        adata = adata.raw.to_adata()
    elif place != "X":
        del adata.layers[place.removeprefix("layers/")]
    if matrix.shape != adata.shape:
        raise InputError(f"{path}: {place} is {matrix.shape}, not {adata.shape}. Store the raw counts in X.")
    adata.X = matrix
    return adata


def name_by_symbols(adata: AnnData, symbols: str, path: Path) -> None:
    """Name the genes by a column of ``var``; one without a symbol keeps its name."""
    import pandas as pd

    if symbols not in adata.var:
        available = ", ".join(map(str, adata.var.columns)) or "none"
        raise InputError(f"{path} has no var column {symbols!r} with gene symbols; it has: {available}.")
    column = adata.var[symbols].astype(object)
    given = column.notna() & (column.astype(str).str.strip() != "")
    adata.var_names = pd.Index(column.where(given, adata.var_names.to_series()).astype(str).to_list())
    # Different genes may share a symbol in every annotation of a genome.
    adata.var_names_make_unique()


def ensembl_ids(names: Iterable[object]) -> list[str]:
    """Return those of the gene names that are Ensembl ids of human or mouse."""
    return [str(name) for name in names if str(name).startswith(("ENSG0", "ENSMUSG0"))]


def symbol_columns(adata: AnnData) -> list[str]:
    """Name the columns of ``var`` that look like gene symbols: mostly different text, and no Ensembl ids."""
    fitting = []
    for column in adata.var:
        values = adata.var[column].dropna()
        text = len(values) > 0 and all(isinstance(value, str) for value in values.head(100))
        if text and values.nunique() > adata.n_vars / 2 and len(ensembl_ids(values)) < len(values) / 2:
            fitting.append(str(column))
    return fitting


def check_column(adata: AnnData, column: str, path: Path) -> None:
    """Raise `InputError` unless ``obs`` has the column, and it can hold labels of cell types."""
    different = column_of(adata.obs, column, path).nunique()
    if not 0 < different <= MAX_LABELS:
        raise InputError(
            f"{path}: obs column {column!r} has {different} different values, so it does not hold known cell types "
            f"(1 to {MAX_LABELS} are expected)."
        )


def check_shape(adata: AnnData, path: Path) -> None:
    """Raise `InputError` if there are too few cells or genes to find clusters."""
    for name, number, least in (("cells", adata.n_obs, MIN_CELLS), ("genes", adata.n_vars, MIN_GENES)):
        if number < least:
            raise InputError(f"{path} has {number} {name}; at least {least} are needed to find clusters.")


def check_names(adata: AnnData, path: Path) -> None:
    """Raise `InputError` if names of cells or genes come twice, or genes go by Ensembl ids."""
    for axis, index in (("gene", adata.var_names), ("cell", adata.obs_names)):
        doubled = index[index.duplicated()]
        if len(doubled):
            raise InputError(
                f"{path} has {len(doubled)} {axis} names twice (the first is {str(doubled[0])!r}). "
                f"Make them unique, for example with adata.{'var' if axis == 'gene' else 'obs'}_names_make_unique()."
            )
    ensembl = ensembl_ids(adata.var_names)
    if len(ensembl) > adata.n_vars / 2:
        columns = symbol_columns(adata)
        hint = f" Or name the var column that has them; it may be {' or '.join(columns)}." if columns else ""
        raise InputError(
            f"{path} names its genes by Ensembl ids (such as {ensembl[0]}). "
            f"Put gene symbols into var_names; models and marker knowledge speak in symbols.{hint}"
        )
