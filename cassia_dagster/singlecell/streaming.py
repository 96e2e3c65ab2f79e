"""Prepares cells whose matrix does not fit into memory: by blocks from the file, and the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.blocks import MatrixDigest, spans
from cassia_dagster.singlecell.embed import embed_values
from cassia_dagster.singlecell.normalize import (
    canonical,
    describe_genes,
    log_values,
    measure_quality,
    set_aside,
    share_of_depth,
)
from cassia_dagster.singlecell.stored import QUICK, Packing, StoredMatrix, write_cells
from cassia_dagster.singlecell.values import KINDS, tell_values
from cassia_dagster.singlecell.variable_genes import GeneMoments

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData
    from scipy.sparse import csr_matrix

WHERE_COUNTS_ARE = ("X", "layers/counts", "raw")
"""Where counts are looked for if nobody says where they are, in this order."""

_NAMED = 12
"""Parts of a file that a note names."""


def count_stored(path: Path, place: str | None) -> int | None:
    """Count the values of a file's matrix without reading them.

    Parameters
    ----------
    path
        Any file of cells.
    place
        The matrix to take, ``"X"``, ``"raw"`` or ``"layers/NAME"``; if not given, the largest of those that may be.

    Returns
    -------
    int or None
        None where the format is not one that can be streamed.
    """
    import h5py

    if path.suffix.lower() != ".h5ad" or not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            sizes = [_stored(_matrix(file, one)) for one in ((place,) if place else WHERE_COUNTS_ARE)]
    except OSError:
        return None  # whoever loads it says what is wrong with it
    known = [size for size in sizes if size is not None]
    return max(known, default=None)


def _matrix(file: h5py.File, place: str) -> Any:
    inside = "raw/X" if place == "raw" else place
    return file.get(inside)


def _stored(matrix: Any) -> int | None:
    if matrix is None:
        return None
    if hasattr(matrix, "shape"):
        return int(matrix.size)
    return int(matrix["data"].size) if "data" in matrix else None


def what_stays_behind(path: Path, place: str) -> list[str]:
    """Say what a file holds beside the cells, the genes and the matrix that is streamed: the results lack it.

    Parameters
    ----------
    path
        An h5ad file.
    place
        The matrix that is taken.

    Returns
    -------
    list of str
        A note, or none where there is nothing else.
    """
    import h5py

    with h5py.File(path, "r") as file:
        matrices = [one for one in ("X", "raw") if one in file]
        inside = [
            f"{slot}/{name}" for slot in ("layers", "obsm", "varm", "obsp", "varp", "uns") for name in _in(file, slot)
        ]
    others = [one for one in (*matrices, *inside) if one != place]
    if not others:
        return []
    more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
    note = (
        f"Read by blocks of cells, only {place} and the tables of cells and genes go on into the results. What else "
        f"the file holds stays there: {', '.join(others[:_NAMED])}{more}."
    )
    return [note]


def _in(file: h5py.File, slot: str) -> Iterator[str]:
    held = file.get(slot)
    yield from (held if hasattr(held, "keys") else ())


class CountsFile:
    """The counts of an h5ad file, read by blocks of cells; every reading gives the same."""

    def __init__(self, path: Path, place: str | None) -> None:
        self.path = path
        self.place = place or self._find()

    def _find(self) -> str:
        """Return the first place that begins with counts."""
        import h5py

        looked = []
        with h5py.File(self.path, "r") as file:
            for place in WHERE_COUNTS_ARE:
                matrix = _matrix(file, place)
                if matrix is None:
                    looked.append(f"{place} is not there")
                    continue
                reader = _reader(matrix, self.path)
                held = tell_values(_block(reader, next(spans(reader.shape[0])), self.path))
                if held.kind == "counts":
                    return place
                looked.append(f"{place} holds {KINDS[held.kind]} ({held.signs})")
        raise InputError(
            f"{self.path} does not fit into memory, and what is streamed from a file must be raw counts, which it does "
            f"not have where they were looked for: {'; '.join(looked)}. Store them in X, or use a larger machine."
        )

    def blocks(self) -> Iterator[csr_matrix]:
        """Read the counts by blocks of cells, as float32 without stored zeros."""
        import h5py

        with h5py.File(self.path, "r") as file:
            reader = _reader(_matrix(file, self.place), self.path)
            for span in spans(reader.shape[0]):
                block = _block(reader, span, self.path)
                held = tell_values(block)
                if held.kind not in ("counts", "empty"):
                    raise InputError(
                        f"{self.path}: {self.place} holds {KINDS[held.kind]} ({held.signs}) in the cells from number "
                        f"{span.start + 1:,} on, and counts before. Store raw counts of all cells."
                    )
                yield block


def _reader(matrix: Any, path: Path) -> Any:
    """Return what gives the cells of a slice."""
    if hasattr(matrix, "shape"):
        return matrix
    kind = str(matrix.attrs.get("encoding-type", matrix.attrs.get("h5sparse_format", "")))
    if "csr" not in kind:
        raise InputError(
            f"{path} does not fit into memory, and its matrix is stored by gene ({kind}), so that no block of cells "
            "can be read. Store it by cell, adata.X = adata.X.tocsr(), on a larger machine."
        )
    return StoredMatrix(matrix)


def _block(reader: Any, span: slice, path: Path) -> csr_matrix:
    """Read some cells, and check that they are what a sparse matrix must be."""
    import numpy as np
    from scipy import sparse

    try:
        block = sparse.csr_matrix(reader[span], dtype=np.float32)
        block.check_format(full_check=True)
    except ValueError as error:
        raise InputError(f"{path}: the sparse matrix is damaged ({error}). Was the download complete?") from error
    return canonical(block)


@dataclass(frozen=True, slots=True)
class PreparedCells:
    """Cells that are normalised and embedded, with a matrix that is made when it is written."""

    tables: AnnData
    """All but the matrices."""
    counts: CountsFile
    target_sum: float
    digest: bytes
    """Of the normalised values."""

    def blocks(self) -> Iterator[tuple[csr_matrix, csr_matrix]]:
        """Make the log-normalised values by blocks of cells, each with its counts."""
        depth, first = self.tables.obs["n_counts"].to_numpy() / self.target_sum, 0
        for counts in self.counts.blocks():
            last = first + counts.shape[0]
            if last > len(depth) or counts.shape[1] != self.tables.n_vars:
                raise self._changed()
            values = share_of_depth(counts, depth[first:last])
            values.data = log_values(values)
            yield values, counts
            first = last

    def write(self, path: Path, packing: Packing = QUICK) -> None:
        """Write them as an h5ad file; parameters as for `write_cells`.

        Raises
        ------
        InputError
            If the counts are no longer those that the tables were made from.
        """
        digest = MatrixDigest()

        def written() -> Iterator[tuple[csr_matrix, csr_matrix]]:
            for values, counts in self.blocks():
                digest.add(values)
                yield values, counts

        write_cells(self.tables, written(), path, packing=packing)
        if digest.value != self.digest:
            raise self._changed()

    def _changed(self) -> InputError:
        return InputError(
            f"{self.counts.path} was replaced or written to while it was read, so what was read is not kept. When the "
            "file is complete, run this again."
        )


def prepare_by_blocks(
    tables: AnnData, counts: CountsFile, bounds: dict[str, float], *, target_sum: float = 1e4, **parameters: Any
) -> PreparedCells:
    """Do what `normalize` and `embed` do, with one block of cells and the highly variable genes in memory.

    Parameters
    ----------
    tables
        ``obs`` and ``var``, checked; changed in place.
    counts
        The matrix.
    bounds
        ``min_mean``, ``max_mean`` and ``min_disp``, as for `normalize`.
    target_sum
        As for `normalize`.
    parameters
        As for `embed`.

    Notes
    -----
    The file is read three times: for depths and the moments of genes, for the highly variable ones, and to be written.
    """
    import numpy as np
    from scipy import sparse

    set_aside(tables)
    moments, quality = GeneMoments(tables.n_vars), []
    for block in counts.blocks():
        quality.append(measure_quality(block, tables.var_names))
        moments.add(share_of_depth(block, quality[-1]["n_counts"] / target_sum))
    for column in quality[0]:
        tables.obs[column] = np.concatenate([part[column] for part in quality])
    describe_genes(tables, moments, **bounds)
    digest, variable = MatrixDigest(), tables.var["highly_variable"].to_numpy()
    prepared = PreparedCells(tables, counts, target_sum, b"")
    parts = []
    for values, _ in prepared.blocks():
        digest.add(values)
        parts.append(values[:, variable])
    embed_values(tables, sparse.vstack(parts, format="csr"), **parameters)
    return PreparedCells(tables, counts, target_sum, digest.value)
