"""Finds in a user's file the matrix that an analysis begins with, and refuses in plain words what cannot be used."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.columns import column_of
from cassia_dagster.singlecell.formats import read
from cassia_dagster.singlecell.names import Rename, keep_names, name_by_symbols, settle_names
from cassia_dagster.singlecell.normalize import canonical
from cassia_dagster.singlecell.values import KINDS, USUAL_TOTAL, Values, tell_values

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

MIN_CELLS = 20
"""Fewer cells than this have no neighbour graph worth the name."""

MIN_GENES = 200
"""Fewer genes than this cannot tell cell types apart."""

NUMBERS = "iuf"
"""Kinds of NumPy types that can hold counts: whole numbers and floats, not complex ones, truth values or text."""

INPUT = "cassia_input"
"""Key of ``uns`` under which it is kept what a file held."""

MAX_LABELS = 200
"""More different values than this are measurements or ids, not cell types."""

SETTLED_AFTER = 2.0
"""Seconds after a file's last change from which on another one has another time, however coarse a clock it is by."""


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's content, or of a folder's names and contents: what data versions are made of."""
    if path.is_dir():
        whole = hashlib.sha256()
        for name in sorted(part.relative_to(path).as_posix() for part in path.rglob("*") if part.is_file()):
            whole.update(f"{name}\0{fingerprint(path / name)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settled_state(path: Path) -> str | None:
    """Name the state of a file, or of all files of a folder, without reading them; ``None`` if it changed just now.

    As long as the name is the same, so is the content: it is made of names, sizes, inodes and times, one of which (that
    of the last change of anything) no program can set.
    """
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    words, last = [], 0.0
    for part in files:
        with part.open("rb") as file:  # a file of another machine is looked at anew when it is opened
            look = os.fstat(file.fileno())
        name = part.relative_to(path).as_posix()
        words.append(f"{name}\0{look.st_size}:{look.st_mtime_ns}:{look.st_ctime_ns}:{look.st_ino}\n")
        last = max(last, look.st_ctime)
    return None if time.time() - last < SETTLED_AFTER else hashlib.sha256("".join(words).encode()).hexdigest()[:16]


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in files if part.is_file())


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a file, with the matrix that an analysis begins with."""

    adata: AnnData
    """``X`` is that matrix, float32 CSR; ``uns["cassia_input"]`` says what it is, for whoever opens the results."""
    place: str
    """Where it was: ``X``, ``raw`` or ``layers/NAME``."""
    holds: Values
    notes: tuple[str, ...]
    """What is not as expected, and what was done about it; empty for raw counts under unique names."""


def load_cells(path: Path, place: str | None = None, symbols: str | None = None, rename: Rename | None = None) -> Cells:
    """Read the cells of a file of any format that `formats.read` knows: raw counts, or else normalised values.

    Parameters
    ----------
    path
        The file or folder.
    place
        The matrix to take: ``"X"``, ``"raw"`` or ``"layers/NAME"``. If not given, the first of ``X``,
        ``layers["counts"]`` and ``raw`` that holds counts; where none does, the one with the most genes that holds
        normalised values or their logarithms.
    symbols
        The column of ``var`` with the gene symbols; if not given, they are the ``var_names``.
    rename
        Gives genes their present symbols; without it they keep their names, and Ensembl ids are refused.

    Returns
    -------
    Cells
        Cell and gene names are strings and unique; all-zero cells and genes are kept.

    Raises
    ------
    InputError
        With the file, what is wrong with it, and the way out.
    """
    return checked_cells(read(path), path, place, symbols, rename)


def load_counts(path: Path, counts: str | None = None, symbols: str | None = None) -> AnnData:
    """Read raw counts as `load_cells` does, and refuse everything else."""
    adata = read(path)
    place, _ = find_counts(adata, path, counts)
    return checked_cells(adata, path, place, symbols).adata


def checked_cells(
    adata: AnnData, path: Path, place: str | None = None, symbols: str | None = None, rename: Rename | None = None
) -> Cells:
    """Do with data that was read from a path what `load_cells` does."""
    place, values = find_matrix(adata, path, place)
    adata = take_matrix(adata, path, place)
    check_shape(adata, path)
    before = adata.var_names
    if symbols is not None:
        name_by_symbols(adata, symbols, path)
    notes = (*_note_values(place, values), *settle_names(adata, path, rename))
    keep_names(adata, before)
    adata.uns[INPUT] = {"matrix": place, "values": KINDS[values.kind], "notes": "\n".join(notes)}
    return Cells(adata, place, values, notes)


def find_matrix(adata: AnnData, path: Path, place: str | None = None) -> tuple[str, Values]:
    """Return where the matrix is that an analysis begins with, and what it holds, or raise `InputError`."""
    try:
        return find_counts(adata, path, place)
    except InputError:
        held = {one: values_at(adata, one) for one in places(adata) if place in (None, one)}
        kinds = {one: values.kind for one, values in held.items()}
        usable = [one for one, kind in kinds.items() if kind in ("log", "normalised")]
        # Where a layer has counts that nobody pointed at, the user has to say whether they are meant.
        if not usable or "counts" in kinds.values():
            raise
        found = max(usable, key=lambda one: (_n_genes(adata, one), one in ("X", "raw")))
        return found, held[found]


def _n_genes(adata: AnnData, place: str) -> int:
    return int(adata.raw.n_vars if place == "raw" else adata.n_vars)


def find_counts(adata: AnnData, path: Path, counts: str | None = None) -> tuple[str, Values]:
    """Return where the raw counts are (``"X"``, ``"raw"`` or ``"layers/NAME"``), or raise `InputError`."""
    there = places(adata)
    check_place(counts, there, path)
    looked = []
    for place in (counts,) if counts else ("X", "layers/counts", "raw"):
        if place not in there:
            looked.append(f"{place} is not there")
        elif (held := values_at(adata, place)).kind == "counts":
            return place, held
        else:
            looked.append(f"{place} holds {KINDS[held.kind]} ({held.signs})")
    others = ", ".join(place for place in there if place not in ("X", "layers/counts", "raw", counts))
    raise InputError(
        f"{path} has no raw counts where they were looked for: {'; '.join(looked)}. Store the raw counts in X "
        "(normalised values will do, scaled ones will not), or say where they are: X, raw or layers/NAME"
        f"{f' (there is also {others})' if others else ''}."
    )


def check_place(counts: str | None, there: Sequence[str], path: Path) -> None:
    """Raise `InputError` if the matrix that counts are to be taken from is none of those that are there."""
    if counts is not None and counts not in there:
        raise InputError(
            f"{path} has no matrix {counts!r} to take counts from; it has: {', '.join(there) or 'none'}. "
            "Write X, raw or layers/NAME."
        )


def places(adata: AnnData) -> list[str]:
    """Name the matrices that a file has, as `load_cells` takes them."""
    layers = [f"layers/{name}" for name in adata.layers if name is not None]
    return [*(["X"] if adata.X is not None else []), *layers, *(["raw"] if adata.raw is not None else [])]


def count_values(adata: AnnData, place: str) -> int:
    """Count the values of one of the `places` that are not zero."""
    import numpy as np
    from scipy import sparse

    held = _held(adata, place)
    return int(np.count_nonzero(held.data if sparse.issparse(held) else held))


def values_at(adata: AnnData, place: str) -> Values:
    """Tell what one of the `places` holds."""
    held = _held(adata, place)
    if held.dtype.kind not in NUMBERS:
        return Values(kind="damaged", signs=f"values of the type {held.dtype}")
    return tell_values(matrix_at(adata, place))


def matrix_at(adata: AnnData, place: str) -> csr_matrix:
    """Return one of the `places` as a float32 CSR matrix, the one that is held where it is such a matrix.

    It has no stored zeros: what counts cells with a gene counts entries, so a zero would pass for expression.
    """
    import numpy as np
    from scipy import sparse

    return canonical(sparse.csr_matrix(_held(adata, place), dtype=np.float32))


def _held(adata: AnnData, place: str) -> Any:
    import numpy as np
    from scipy import sparse

    slots = {"X": lambda: adata.X, "raw": lambda: adata.raw.X}
    held = slots[place]() if place in slots else adata.layers[place.removeprefix("layers/")]
    return held if sparse.issparse(held) else np.asarray(held)


def take_matrix(adata: AnnData, path: Path, place: str) -> AnnData:
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
            noun = name.removesuffix("s") if number == 1 else name
            raise InputError(f"{path} has {number} {noun}; at least {least} are needed to find clusters.")


def _note_values(place: str, values: Values) -> list[str]:
    """Say what a matrix without counts holds, and what is made of it."""
    if values.kind == "counts":
        return []
    total = f"sum to {values.total:,.0f} in every cell" if values.total else "have other totals in every cell"
    if values.kind == "log":
        done = "They are not normalised again"
        converted = values.base != "e" or (values.total and round(values.total) != USUAL_TOTAL)
        done += (
            f", only brought to natural logarithms of {USUAL_TOTAL:,.0f} a cell." if converted and values.total else "."
        )
        base = f"base {values.base}" if values.total else "natural ones, as it seems"
        what = f"logarithms ({base}) of values that {total}"
    else:
        what, done = (
            f"values that {total}",
            f"They are brought to {USUAL_TOTAL:,.0f} a cell, and their logarithms taken.",
        )
    return [f"{place} holds no counts but {what}. {done} How many molecules a cell had is not known from them."]
