"""Takes what a user says of the cells from columns of ``obs``, and refuses columns that cannot mean it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MAX_CLUSTERS = 200
"""More groups than this are no clusters that anyone would name one by one."""

MAX_BATCHES = 1000
MAX_TISSUES = 100

MAIN_SHARE = 0.25
"""A tissue that this part of the cells is from is named beside the most frequent one."""


def column_of(obs: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """Return a column of ``obs``, or raise `InputError` with those that there are."""
    if column not in obs:
        available = ", ".join(map(str, obs.columns)) or "none"
        raise InputError(f"{path} has no obs column {column!r}; it has: {available}.")
    return obs[column]


def given_clusters(obs: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """Take the clusters that a column of the file holds.

    Parameters
    ----------
    obs
        The cells' table, indexed by cell id.
    column
        Text, categories, whole or other numbers, or yes and no.
    path
        The file, for messages.

    Returns
    -------
    Series of str
        Cell id → cluster id, named ``cluster``: the values as text, as ``astype(str)`` gives them.

    Raises
    ------
    InputError
        If there is no such column, cells have no value in it (they are neither dropped nor guessed), or it has more
        values than clusters that can be told apart.
    """
    labels = _text(obs, column, path, "cluster")
    _refuse_too_many(labels, column, path, MAX_CLUSTERS, "clusters")
    labels.index = labels.index.astype(str)
    return labels.rename("cluster").rename_axis("cell_id")


def tissue_of_cells(obs: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """Return the tissue of every cell as text; raise `InputError` where a column cannot hold that."""
    tissues = _text(obs, column, path, "tissue")
    _refuse_too_many(tissues, column, path, MAX_TISSUES, "tissues")
    return tissues


def cells_per_batch(obs: pd.DataFrame, column: str, path: Path) -> dict[str, int]:
    """Count the cells of every batch, the largest first; raise `InputError` where a column cannot hold batches."""
    batches = _text(obs, column, path, "batch")
    _refuse_too_many(batches, column, path, MAX_BATCHES, "batches")
    return {str(batch): int(cells) for batch, cells in batches.value_counts().items()}


def main_tissues(cells: Mapping[str, int]) -> str:
    """Say where cells are from: the most frequent tissue, and each that at least a quarter of them is from.

    Parameters
    ----------
    cells
        Tissue to number of cells.

    Examples
    --------
    >>> main_tissues({"lung": 60, "lymph node": 35, "blood": 5})
    'lung, lymph node'
    """
    total = sum(cells.values())
    ranked = sorted(cells, key=lambda tissue: (-cells[tissue], tissue))
    return ", ".join([*ranked[:1], *(tissue for tissue in ranked[1:] if cells[tissue] >= MAIN_SHARE * total)])


def _text(obs: pd.DataFrame, column: str, path: Path, what: str) -> pd.Series:
    values = column_of(obs, column, path)
    text = values.astype(str)
    empty = int((values.isna() | (text.str.strip() == "")).sum())
    if empty:
        raise InputError(
            f"{path}: obs column {column!r} says nothing of {empty:,} of {len(values):,} cells, so their {what} is not "
            "known. Give these cells a value of their own, such as 'unassigned', or take them out of the file."
        )
    return text.astype("str")


def _refuse_too_many(values: pd.Series, column: str, path: Path, most: int, what: str) -> None:
    most, different = min(most, len(values) // 2), values.nunique()
    if different > most:
        raise InputError(
            f"{path}: obs column {column!r} has {different:,} different values in {len(values):,} cells, so it does "
            f"not hold {what} (at most {most:,} are expected). Name another column."
        )
