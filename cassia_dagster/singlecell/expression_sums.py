"""Sums of the expression of every gene over the cells of each group, made in one go through the cells."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cassia_dagster.singlecell.blocks import row_blocks, spans

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.singlecell.stored import StoredCells

    type Floats = np.ndarray[Any, np.dtype[np.float64]]

_TINY = 1e-9
"""Keeps a fold change finite where one side does not express the gene; Scanpy's."""


@dataclass(frozen=True, slots=True)
class GroupSums:
    """What is known of a group of cells: how many, and for each gene three sums."""

    n: int
    total: Floats
    """Of the log-normalised values."""
    squares: Floats
    detected: Floats
    """Number of cells that express the gene."""

    def without(self, others: GroupSums) -> GroupSums:
        """Leave a group out of one that holds it."""
        return GroupSums(
            self.n - others.n,
            self.total - others.total,
            self.squares - others.squares,
            self.detected - others.detected,
        )

    def moments(self, gene: int) -> tuple[float, float]:
        """Return the mean, and the standard deviation with one degree of freedom less."""
        # A sum from which another was taken may miss nothing by a rounding.
        mean = max(float(self.total[gene]), 0.0) / self.n
        variance = (float(self.squares[gene]) - self.n * mean * mean) / (self.n - 1)
        return mean, math.sqrt(max(variance, 0.0))

    def pct(self, gene: int) -> float:
        """Return the fraction of the cells that express it."""
        return float(self.detected[gene]) / self.n


def sum_groups(adata: AnnData | StoredCells, labels: pd.Series) -> dict[str, GroupSums]:
    """Sum the expression of every gene over the cells of every group.

    Parameters
    ----------
    adata
        Log-normalised values of all genes in ``X``, cells × genes, in memory or on disk. Not changed.
    labels
        Cell id → group (strings); cells without one are left out.
    """
    import numpy as np
    import pandas as pd

    groups = pd.Categorical(labels.reindex(adata.obs_names))
    n_genes, n_groups = adata.n_vars, len(groups.categories)
    sums = np.zeros((3, n_groups * n_genes))
    for span, block in zip(spans(adata.n_obs), row_blocks(adata.X), strict=True):
        kept = groups.codes[span] >= 0
        cells = block if kept.all() else block[kept]
        place = np.repeat(groups.codes[span][kept].astype(np.int64) * n_genes, np.diff(cells.indptr)) + cells.indices
        values = cells.data.astype(np.float64)
        for number, part in enumerate((values, values**2, values > 0)):
            sums[number] += np.bincount(place, part, minlength=n_groups * n_genes)
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=n_groups)
    of_groups = sums.reshape(3, n_groups, n_genes)
    return {
        str(group): GroupSums(int(sizes[number]), *of_groups[:, number])
        for number, group in enumerate(groups.categories)
    }


def together(groups: Iterable[GroupSums]) -> GroupSums:
    """Join groups that share no cell; one at least."""
    first, *others = groups
    n, total, squares, detected = first.n, first.total.copy(), first.squares.copy(), first.detected.copy()
    for one in others:
        n += one.n
        total += one.total
        squares += one.squares
        detected += one.detected
    return GroupSums(n, total, squares, detected)


def log2_fold(mean: Any, other_mean: Any) -> Any:
    """Return the log2 fold change of means of log-normalised values, transformed back as Scanpy does.

    From nothing or to nothing it is only as large as its epsilon.
    """
    import numpy as np

    return np.log2((np.expm1(mean) + _TINY) / (np.expm1(other_mean) + _TINY))
