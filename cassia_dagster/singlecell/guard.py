"""Looks at a file before any library reads it: it must lead nowhere else, and fit into memory.

A link of the user's own that leads to a file is followed, for large data are linked everywhere in a lab. What comes
with a file or a folder that others made is not the user's word: a link in there could lead to any file of the
machine, whose content would end up in a message, a table or a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.memory import memory_of_machine

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

MAX_PARTS, MAX_DEPTH = 20_000, 32
"""More parts, or deeper ones, has no file of cells; one whose groups hold each other has no end of them."""


def check_hdf5(path: Path, *, kept: float = 1.0, unread: tuple[str, ...] = ()) -> None:
    """Raise `InputError` if an HDF5 file leads to others, or declares more than the memory holds.

    Parameters
    ----------
    path
        The file.
    kept
        The share of the declared values that will be in memory at a time.
    unread
        Parts of the file that will not be read as a whole.
    """
    import h5py

    with h5py.File(path, "r") as file:
        out = tuple(f"/{name}/" for name in unread)
        parts = (part for part in _datasets(file, path) if not f"{part.name}/".startswith(out))
        sizes = (math.prod(part.shape or ()) * part.dtype.itemsize for part in parts)
        _check_size(path, (kept * size for size in sizes))


def check_zarr(path: Path) -> None:
    """Raise `InputError` if a zarr store leads out of its folder, or declares more than the memory holds."""
    import zarr

    for part in path.rglob("*"):
        if part.is_symlink():
            check_within(part, path)
    members = zarr.open_group(path, mode="r").members(max_depth=None)
    _check_size(path, (math.prod(part.shape) * _item_size(part) for _, part in members if isinstance(part, zarr.Array)))


def check_within(part: Path, folder: Path) -> None:
    """Raise `InputError` if a part of a folder is a link that leads out of it."""
    target = part.resolve()
    if not target.is_relative_to(folder.resolve()):
        raise InputError(
            f"{part} is a link to {target}, outside of the folder {folder}. Put the file itself into the folder."
        )


def check_sparse(adata: AnnData, path: Path) -> None:
    """Raise `InputError` if a sparse matrix points outside of itself, which would crash what computes with it."""
    from scipy import sparse

    for name, matrix in _matrices(adata):
        if sparse.issparse(matrix):
            try:
                matrix.check_format(full_check=True)
            except ValueError as error:
                raise InputError(
                    f"{path}: the sparse matrix {name} is damaged ({error}). Was the download complete?"
                ) from error


def _matrices(adata: AnnData) -> Iterator[tuple[str, Any]]:
    yield "X", adata.X
    if adata.raw is not None:
        yield "raw", adata.raw.X
    for slot in ("layers", "obsm", "varm", "obsp", "varp"):
        for name, matrix in getattr(adata, slot).items():
            yield f"{slot}/{name}", matrix


def _datasets(file: h5py.File, path: Path) -> Iterator[h5py.Dataset]:
    """Walk over all datasets by the links that hold them; soft links lead to nothing that has no other."""
    import h5py

    groups: list[tuple[h5py.Group, int]] = [(file, 0)]
    parts = 0
    while groups:
        group, depth = groups.pop()
        for name in group:
            parts += 1
            if parts > MAX_PARTS or depth > MAX_DEPTH:
                raise InputError(
                    f"{path} has more than {MAX_PARTS:,} parts, or parts that hold each other. Write what is needed "
                    "of it (X, obs, var) into a new file."
                )
            link = group.get(name, getlink=True)
            part = group[name] if isinstance(link, h5py.HardLink) else None
            if isinstance(part, h5py.Group):
                groups.append((part, depth + 1))
            elif isinstance(part, h5py.Dataset):
                # What a virtual dataset shows, and the bytes of an external one, are in other files.
                if part.is_virtual or part.external:
                    raise _leads_out(path, part.name)
                yield part
            elif isinstance(link, h5py.ExternalLink):
                raise _leads_out(path, f"{group.name.rstrip('/')}/{name}", link.filename)


def _leads_out(path: Path, part: str, target: str = "other files") -> InputError:
    return InputError(
        f"{path}: its part {part} leads to {target}, which is not read. Write the data into one file: "
        "anndata.read_h5ad(FILE).write_h5ad('cells.h5ad')."
    )


def _check_size(path: Path, sizes: Iterable[float]) -> None:
    """Raise if the parts cannot fit: a small file may declare any number of values, which all would be allocated."""
    declared, there = sum(sizes), memory_of_machine()
    if declared > there:
        raise InputError(
            f"{path} declares {declared / 1e9:,.0f} GB of values, more than the {there / 1e9:,.0f} GB of memory that "
            "this machine has. Store the matrix sparse, take fewer cells, or use a larger machine."
        )


def _item_size(array: Any) -> int:
    return int(getattr(array.dtype, "itemsize", 0) or 16)
