"""Matrices of cells × genes by blocks of cells: what is done block by block needs room for a block only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CELLS = 4096
"""Cells of a block. Sums over cells are summed in these steps, so their last bits depend on it."""


def spans(n_cells: int) -> Iterator[slice]:
    """Yield the cells of each block."""
    for first in range(0, n_cells, CELLS):
        yield slice(first, min(first + CELLS, n_cells))


def rows_of(matrix: Any, span: slice) -> csr_matrix:
    """Return the cells of a slice.

    Parameters
    ----------
    matrix
        Anything that gives rows for a slice, in memory or on disk.
    span
        Which; in steps of one.

    Returns
    -------
    csr_matrix
        Of compressed rows in memory a view, which must not be changed: to copy what is only read once took longer
        than many of the readers.
    """
    from scipy.sparse import csr_matrix

    if not isinstance(matrix, csr_matrix):
        return csr_matrix(matrix[span])
    first, last, _ = span.indices(matrix.shape[0])
    starts = matrix.indptr[first : last + 1]
    entries = slice(starts[0], starts[-1])
    rows = csr_matrix((last - first, matrix.shape[1]), dtype=matrix.dtype)
    # Given to the constructor, parts of arrays more than twice as long would be copied.
    rows.data, rows.indices, rows.indptr = matrix.data[entries], matrix.indices[entries], starts - starts[0]
    return rows


def row_blocks(matrix: Any) -> Iterator[csr_matrix]:
    """Yield a matrix by blocks of cells, as `rows_of` gives them."""
    for span in spans(matrix.shape[0]):
        yield rows_of(matrix, span)


class MatrixDigest:
    """A name for a matrix made from its content, however it is cut into blocks."""

    def __init__(self) -> None:
        self._parts = [hashlib.sha256() for _ in range(3)]

    def add(self, block: csr_matrix) -> None:
        """Take in some more cells."""
        import numpy as np

        stored = (block.data, block.indices.astype(np.int32, copy=False), np.diff(block.indptr).astype(np.int64))
        for part, array in zip(self._parts, stored, strict=True):
            part.update(np.ascontiguousarray(array))

    @property
    def value(self) -> bytes:
        """Of what was taken in so far."""
        return b"".join(part.digest() for part in self._parts)
