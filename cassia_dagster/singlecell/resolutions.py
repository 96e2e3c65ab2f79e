"""Names the clusterings of a dataset: Leiden's by their resolution, those that the user brings by ``given``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from cassia_dagster.errors import ConfigurationError

MAX_RESOLUTION = 100.0
GIVEN = "given"

MARKER_TABLE = "the marker table"
"""Stands for the column of a clustering that is known by its marker genes only."""

_PLAIN = re.compile(r"[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
_GIVEN_KEY = re.compile(rf"{GIVEN}(-{_PLAIN.pattern})?")
_LONGEST = 60


def canonical_resolution(resolution: float | str) -> str:
    """Spell a resolution in the one way that partitions, files and columns use.

    Raises
    ------
    ConfigurationError
        If it is not a number above 0 and at most 100.

    Examples
    --------
    >>> canonical_resolution(1), canonical_resolution("0.40")
    ('1.0', '0.4')
    """
    try:
        value = float(resolution)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 < value <= MAX_RESOLUTION:
        raise ConfigurationError(
            f"Resolution {resolution!r} is not a number above 0 and at most {MAX_RESOLUTION:g}; common are 0.4 to 2.0."
        )
    return repr(value)


def is_given(key: object) -> bool:
    """Tell whether a key stands for a clustering that the user brings."""
    return isinstance(key, str) and bool(_GIVEN_KEY.fullmatch(key))


def given_keys(columns: Sequence[str]) -> dict[str, str]:
    """Give a key to each column of ``obs`` that holds a clustering of the user's own.

    The first column has the key ``given``. The key of every further one is made of its name alone, so it stays what
    it is whatever stands before or behind it: to add a column, put it last, and nothing that was made moves. Only
    when the first column is taken away the next one becomes ``given``, and is made anew under that key.

    Parameters
    ----------
    columns
        In the order of the catalog.

    Returns
    -------
    dict
        Key to column. A key is fit for a partition, a folder and a column; where a name had to be changed for that,
        a piece of its hash tells it from others that are changed to the same.

    Examples
    --------
    >>> list(given_keys(["cell_type", "seurat_clusters", "Cell type (fine)"]))
    ['given', 'given-seurat_clusters', 'given-Cell_type_fine-6f5e1c']
    """
    return {GIVEN if position == 0 else f"{GIVEN}-{_slug(column)}": column for position, column in enumerate(columns)}


def in_order(keys: Iterable[str]) -> list[str]:
    """Sort keys: resolutions rising, then what was given.

    Examples
    --------
    >>> in_order(["given", "10.0", "given-batch", "0.4"])
    ['0.4', '10.0', 'given', 'given-batch']
    """
    return sorted(keys, key=lambda key: (is_given(key), 0.0 if is_given(key) else float(key), key))


def folder_of(key: str) -> str:
    """Return the name of the folder for what was made of a clustering."""
    return key if is_given(key) else f"leiden_res_{key}"


def suffix_of(key: str) -> str:
    """Return how the columns of a clustering end."""
    return key if is_given(key) else f"res_{key}"


def title_of(key: str, column: str | None) -> str:
    """Say in words which clustering it is.

    Examples
    --------
    >>> title_of("0.4", None), title_of("given", "cell_type")
    ('resolution 0.4', 'clusters given by cell_type')
    """
    return f"resolution {key}" if column is None else f"clusters given by {column}"


def _slug(column: str) -> str:
    """Spell a column's name so that it can stand in a partition key and in a path."""
    if len(column) <= _LONGEST and _PLAIN.fullmatch(column):
        return column
    letters = re.sub(r"[^A-Za-z0-9]+", "_", column)[:_LONGEST].strip("_")
    return "-".join(filter(None, (letters, hashlib.sha256(column.encode()).hexdigest()[:6])))
