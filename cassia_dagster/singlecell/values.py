"""Tells by its values what was done to a matrix: counts, normalised values, their logarithms, or worse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from cassia_dagster.records import Record

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

MAX_LOGARITHM = 17.0
"""No natural logarithm of a count that a sequencer can give is larger than this (2.4e7)."""

MAX_COUNT = 2**24
"""float32 holds every whole number up to here, and no cell has so many molecules of a gene."""

USUAL_TOTAL = 1e4
"""What the values of a cell sum to, as Scanpy and Seurat normalise them."""

_BASES = {"e": math.e, "2": 2.0, "10": 10.0}

_SAME = 0.01
"""Totals whose standard deviation is less than this share of their mean are one number."""

type Kind = Literal["counts", "log", "normalised", "scaled", "damaged", "empty"]

KINDS: dict[Kind, str] = {
    "counts": "raw counts",
    "log": "logarithms of normalised counts",
    "normalised": "normalised counts",
    "scaled": "scaled or centred values",
    "damaged": "damaged values",
    "empty": "nothing",
}


class Values(Record):
    """What the values of a matrix are."""

    kind: Kind
    signs: str
    """What it was told by."""
    base: str = "e"
    """Of logarithms; ``e`` also where it cannot be told."""
    total: float | None = None
    """What the normalised values of every cell sum to, where that is one number."""

    @property
    def logarithm(self) -> float:
        """The natural logarithm of the base."""
        return math.log(_BASES[self.base])


def tell_values(matrix: csr_matrix) -> Values:
    """Tell what was done to a matrix, cells × genes, without stored zeros."""
    import numpy as np

    values = matrix.data
    if not len(values):
        n_cells, n_genes = matrix.shape
        shape = f"{n_cells:,} cells × {n_genes:,} genes"
        return Values(kind="empty", signs="nothing but zeros" if n_cells and n_genes else shape)
    if not np.isfinite(values).all():
        return Values(kind="damaged", signs=f"NaN or infinite values: {np.count_nonzero(~np.isfinite(values)):,}")
    least, largest = float(values.min()), float(values.max())
    if least < 0:
        return Values(kind="scaled", signs=f"values from {least:.3g} to {largest:.3g}")
    zeros = f"{1 - len(values) / np.prod(matrix.shape, dtype=float):.0%} zeros"
    whole = int(np.count_nonzero(values == np.round(values)))
    if whole == len(values):
        if largest >= MAX_COUNT:
            return Values(kind="damaged", signs=f"whole numbers up to {largest:.3g}, more than a cell can have")
        return Values(kind="counts", signs=f"whole numbers up to {largest:,.0f}, {zeros}")
    return _tell_fractions(matrix, largest, zeros, mostly_whole=whole > len(values) / 2)


def _tell_fractions(matrix: csr_matrix, largest: float, zeros: str, *, mostly_whole: bool) -> Values:
    """Tell logarithms from normalised values by the totals of the cells, which one of them has in common."""
    import numpy as np

    if total := _common_total(matrix, matrix.data.astype(np.float64)):
        signs = f"fractions up to {largest:,.3g} that sum to {total:,.6g} in every cell, {zeros}"
        return Values(kind="normalised", signs=signs, total=total)
    for base, number in _BASES.items():
        exponents = matrix.data.astype(np.float64) * math.log(number)
        if exponents.max() < MAX_LOGARITHM and (total := _common_total(matrix, np.expm1(exponents))):
            signs = (
                f"fractions up to {largest:.3g}, to the base {base} of totals of {total:,.6g} in every cell, {zeros}"
            )
            return Values(kind="log", signs=signs, base=base, total=total)
    if largest < MAX_LOGARITHM and not mostly_whole:
        return Values(kind="log", signs=f"fractions up to {largest:.3g}, {zeros}")
    why = "mostly whole numbers" if mostly_whole else "too large for logarithms"
    return Values(kind="normalised", signs=f"fractions up to {largest:,.0f}, {why}, {zeros}")


def _common_total(matrix: csr_matrix, values: np.ndarray) -> float | None:
    """Return the total that all cells have, up to rounding, if they have one."""
    import numpy as np
    from scipy import sparse

    held = sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)
    totals = np.asarray(held.sum(axis=1)).ravel()
    totals = totals[totals > 0]
    mean = float(totals.mean())
    return mean if len(totals) > 1 and float(totals.std()) < _SAME * mean else None
