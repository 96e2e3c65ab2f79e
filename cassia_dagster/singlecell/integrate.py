"""Takes the differences between batches out of the principal components, and measures how mixed the batches are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PERPLEXITY = 30
"""Cells that count as the neighbourhood in which mixing is measured."""

MOST_MEASURED = 5_000
"""Cells that mixing is measured among, drawn by chance from larger data."""


@dataclass(frozen=True, slots=True)
class Integration:
    """Components without the differences between batches, and what that changed."""

    components: np.ndarray
    """float32, shape (n_cells, n_comps)."""
    lisi_before: float
    lisi_after: float
    lisi_mixed: float
    """What it would be if each neighbourhood had all batches in their shares of the data; this is the most that
    integration should reach."""

    @property
    def mixing(self) -> dict[str, float]:
        """The three measures, by name."""
        return {"lisi_before": self.lisi_before, "lisi_after": self.lisi_after, "lisi_mixed": self.lisi_mixed}


def integrate(components: np.ndarray, batches: pd.Series, *, seed: int = 0) -> Integration:
    """Align batches by Harmony (Korsunsky et al. 2019).

    Parameters
    ----------
    components
        Principal components, shape (n_cells, n_comps). Not changed.
    batches
        Batch of each cell, in the order of the cells.
    seed
        Of the clustering that Harmony starts from, and of the sample that mixing is measured in.

    Raises
    ------
    InputError
        If no finite components come out.

    Notes
    -----
    The result does not depend on the number of threads. Mixing is the median local inverse Simpson index (LISI): the
    number of batches that a cell finds among its some 30 nearest neighbours, from 1 up.
    """
    import numpy as np
    from harmonypy import run_harmony

    table = {"batch": np.asarray(batches.astype(str), dtype=object)}
    n_clusters = max(2, min(round(len(batches) / 30), 100))
    found = run_harmony(
        np.asarray(components, dtype=np.float64), table, "batch", nclust=n_clusters, random_state=seed, verbose=False
    )
    corrected = np.asarray(found.Z_corr, dtype=np.float32)
    if not np.isfinite(corrected).all():
        sizes = ", ".join(f"{batch} ({cells:,})" for batch, cells in batches.value_counts().tail(3).items())
        raise InputError(
            f"Harmony found no finite components for these batches, of which the smallest are {sizes} cells. "
            "Integrate no batches (integrate: false in the catalog), or leave these cells out of the file."
        )
    shares = batches.value_counts(normalize=True).to_numpy()
    return Integration(
        components=corrected,
        lisi_before=mixing(components, batches, seed=seed),
        lisi_after=mixing(corrected, batches, seed=seed),
        lisi_mixed=float(1 / np.square(shares).sum()),
    )


def mixing(points: np.ndarray, batches: pd.Series, *, seed: int = 0) -> float:
    """Measure how many batches a cell finds around it: the median local inverse Simpson index.

    Parameters
    ----------
    points
        Places of the cells, shape (n_cells, n_dimensions).
    batches
        Batch of each cell, in the order of the cells.
    seed
        Of the sample that larger data are measured in.
    """
    import numpy as np
    from harmonypy import compute_lisi

    rng = np.random.default_rng(seed)
    measured = np.sort(rng.choice(len(points), min(len(points), MOST_MEASURED), replace=False))
    table = {"batch": np.asarray(batches.astype(str), dtype=object)[measured]}
    perplexity = min(PERPLEXITY, (len(measured) - 1) // 3)
    return float(np.median(compute_lisi(np.asarray(points)[measured], table, ["batch"], perplexity)))
