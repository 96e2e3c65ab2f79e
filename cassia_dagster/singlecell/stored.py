"""Prepared cells in a file: written block by block, and read the same way by whoever needs the values of all genes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cassia_dagster.singlecell.blocks import row_blocks, rows_of, spans
from cassia_dagster.singlecell.held import find_cells, hold_cells

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

type _Packing = Mapping[str, Any]


class Packing(NamedTuple):
    """How a file is packed: its tables and counts, and the normalised values, which are read most often."""

    tables: _Packing
    values: _Packing


_LZF: _Packing = {"compression": "lzf"}
_GZIP: _Packing = {"compression": "gzip", "compression_opts": 1}

QUICK = Packing(_LZF, {})
"""For a disk of this machine: of what seven readers ask for nothing has to be unpacked."""
SMALL = Packing(_LZF, _LZF)
"""For what goes over a network."""
COMMON = Packing(_GZIP, _GZIP)
"""What programs in other languages can read, too."""

_CHUNK = 1 << 18
_SLOTS = ("obs", "var", "uns", "obsm", "varm", "obsp", "varp")


class StoredMatrix:
    """A sparse matrix of cells × genes in an HDF5 file, of which a slice of cells is read at a time."""

    def __init__(self, group: h5py.Group) -> None:
        self._group = group
        self._starts = group["indptr"][:]
        n_cells, n_genes = (int(length) for length in group.attrs.get("shape", group.attrs.get("h5sparse_shape")))
        self.shape = (n_cells, n_genes)

    @property
    def nnz(self) -> int:
        """Number of stored values."""
        return int(self._starts[-1])

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes in memory, where SciPy gives all indices the width that the number of values needs."""
        an_index = max(self._group["indices"].dtype.itemsize, 8 if self.nnz > 2**31 - 1 else 4)
        return int(self.nnz * (self._group["data"].dtype.itemsize + an_index) + self._starts.nbytes)

    def __getitem__(self, span: slice) -> csr_matrix:
        """Read the cells of a slice."""
        import numpy as np
        from scipy import sparse

        first, last, _ = span.indices(self.shape[0])
        entries = slice(int(self._starts[first]), int(self._starts[last]))
        parts = (self._group["data"][entries], self._group["indices"][entries], np.diff(self._starts[first : last + 1]))
        indptr = np.concatenate([[0], np.cumsum(parts[2])])
        return sparse.csr_matrix((parts[0], parts[1], indptr), shape=(last - first, self.shape[1]))

    def genes_of(self, span: slice) -> np.ndarray:
        """Read the genes of the values of a slice, and not the values."""
        first, last, _ = span.indices(self.shape[0])
        genes: np.ndarray = self._group["indices"][int(self._starts[first]) : int(self._starts[last])]
        return genes


@dataclass(frozen=True, slots=True)
class StoredCells:
    """Log-normalised values that stay on disk, or are held in memory, with the names of cells and genes."""

    X: StoredMatrix | csr_matrix
    obs_names: pd.Index
    var_names: pd.Index

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return len(self.obs_names)

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return len(self.var_names)


@contextmanager
def open_cells(path: Path) -> Iterator[StoredCells]:
    """Open the values of a file that `write_cells` made, for as long as the block lasts; see `holding_cells`."""
    import h5py

    with h5py.File(path, "r") as file:
        yield _cells_of(file)


def _cells_of(file: h5py.File) -> StoredCells:
    """Return the cells of an open file: those that are held, or may be from now on, or else as they lie in it."""
    import anndata

    state = os.fstat(file.id.get_vfd_handle())
    if (held := find_cells(state)) is not None:
        return held
    names = [anndata.io.read_elem(file[table]).index for table in ("obs", "var")]
    values = StoredMatrix(file["X"])
    held = hold_cells(state, values.n_bytes, lambda: StoredCells(values[:], *names))
    return held or StoredCells(values, *names)


def hold_written(path: Path, adata: AnnData) -> None:
    """Let the values of cells that were written to a file just now be those that it is read for; see `holding_cells`.

    Parameters
    ----------
    path
        What `write_cells` made; it may get its name later.
    adata
        What it was given; the values are shared, and nobody changes them from now on.
    """
    from scipy.sparse import csr_matrix

    values: Any = adata.X
    if isinstance(values, csr_matrix):
        n_bytes = sum(part.nbytes for part in (values.data, values.indices, values.indptr))
        hold_cells(path.stat(), n_bytes, lambda: StoredCells(values, adata.obs_names, adata.var_names))


def read_tables(path: Path) -> AnnData:
    """Read all of a file that `write_cells` made but ``X`` and ``layers["counts"]``."""
    import anndata
    import h5py

    with h5py.File(path, "r") as file:
        slots: dict[str, Any] = {slot: anndata.io.read_elem(file[slot]) for slot in _SLOTS}
        layers = {name: anndata.io.read_elem(part) for name, part in file["layers"].items() if name != "counts"}
        adata = anndata.AnnData(**slots, layers=layers)
        if "raw" in file:
            adata.raw = anndata.AnnData(**{slot: anndata.io.read_elem(part) for slot, part in file["raw"].items()})
    return adata


def stored_blocks(path: Path) -> Iterator[tuple[csr_matrix, csr_matrix | None]]:
    """Yield the values and the counts of a file that `write_cells` made, as that takes them."""
    import h5py
    from scipy.sparse import csr_matrix

    with h5py.File(path, "r") as file:
        cells = _cells_of(file)
        counts, last = file["layers/counts/data"] if "layers/counts" in file else None, 0
        for values in row_blocks(cells.X):
            first, last = last, last + values.nnz
            raw = None
            if counts is not None:  # their indices are those of the values
                raw = csr_matrix((counts[first:last], values.indices, values.indptr), shape=values.shape)
            yield values, raw


def write_cells(
    tables: AnnData,
    blocks: Iterable[tuple[csr_matrix, csr_matrix | None]],
    path: Path,
    *,
    packing: Packing = QUICK,
) -> None:
    """Write an h5ad file of cells whose matrices come block by block.

    Parameters
    ----------
    tables
        Everything but ``X`` and ``layers["counts"]``; of these nothing is read.
    blocks
        Log-normalised values of some cells and their counts, if there are any, which have the same zeros.
    path
        The file to make.
    packing
        `QUICK`, `SMALL` or `COMMON`.

    Notes
    -----
    The two matrices share their indices in the file, as hard links. Where they are packed, values are as they are, and
    indices after shuffling their bytes, which makes them a third as large.
    """
    import anndata
    import h5py

    with h5py.File(path, "w") as file:
        for name, value in {"encoding-type": "anndata", "encoding-version": "0.1.0"}.items():
            file.attrs[name] = value
        held = {slot: getattr(tables, slot) for slot in _SLOTS}
        # Iterating over layers also yields the key None, which is X.
        held["layers"] = {name: tables.layers[name] for name in tables.layers if name not in (None, "counts")}
        if tables.raw is not None:
            held["raw"] = tables.raw
        for slot, value in held.items():
            kept = value if slot in ("obs", "var", "raw") else dict(value)
            anndata.io.write_elem(file, slot, kept, dataset_kwargs=packing.tables)
        _write_matrices(file, blocks, tables.shape, packing)


def _write_matrices(
    file: h5py.File,
    blocks: Iterable[tuple[csr_matrix, csr_matrix | None]],
    shape: tuple[int, int],
    packing: Packing,
) -> None:
    import numpy as np

    group, starts = _make_matrix(file, "X", shape), [0]
    columns = {"data": "f4", "indices": "i4"}
    parts = {
        name: group.create_dataset(
            name,
            (0,),
            kind,
            maxshape=(None,),
            chunks=(_CHUNK,),
            shuffle=name == "indices" and bool(packing.values),
            **packing.values,
        )
        for name, kind in columns.items()
    }
    counts: h5py.Dataset | None = None
    for values, raw in blocks:
        last = starts[-1] + values.nnz
        if raw is not None and counts is None:
            layer = _make_matrix(file, "layers/counts", shape)
            counts = layer.create_dataset("data", (0,), "f4", maxshape=(None,), chunks=(_CHUNK,), **packing.tables)
            layer["indices"] = parts["indices"]
        for part, array in (
            (parts["data"], values.data),
            (parts["indices"], values.indices),
            (counts, None if raw is None else raw.data),
        ):
            if part is not None:
                part.resize((last,))
                part[starts[-1] :] = array
        starts.extend((starts[-1] + values.indptr[1:]).tolist())
    group.create_dataset("indptr", data=np.asarray(starts, dtype=np.int64))
    if counts is not None:
        file["layers/counts/indptr"] = group["indptr"]


def _make_matrix(file: h5py.File, place: str, shape: tuple[int, int]) -> h5py.Group:
    group = file.create_group(place)
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
    return group


def blocks_of(adata: Any) -> Iterator[tuple[csr_matrix, csr_matrix | None]]:
    """Yield what `write_cells` takes of cells that are in memory."""
    counts = adata.layers.get("counts")
    for span in spans(adata.n_obs):
        yield rows_of(adata.X, span), None if counts is None else rows_of(counts, span)
