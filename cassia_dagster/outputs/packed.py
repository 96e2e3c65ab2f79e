"""Packs places, properties and expression of cells into JSON that a script of the report unpacks.

Numbers are little-endian integers in base64. Of a gene's values, one bit a cell says whether it is detected, and one
byte for each cell where it is, how high, in 255ths of the gene's maximum.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cassia_dagster.errors import InputError
from cassia_dagster.outputs.colourings import Colouring
from cassia_dagster.outputs.sample import sample_cells

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    type Numbers = np.ndarray[Any, np.dtype[Any]]

STEPS = 65_535
"""Places are kept as parts of the longer side of the map."""

LEVELS = 255
"""Values of a gene are kept as parts of its maximum."""


def pack_cells(
    cells: pd.DataFrame, found: Sequence[Colouring], expression: AnnData | None = None
) -> Mapping[str, object]:
    """Pack a sample of the cells.

    Parameters
    ----------
    cells
        Indexed by cell id: coordinates ``x`` and ``y``, ``cluster`` as strings.
    found
        What the cells can be coloured by.
    expression
        Log-normalised values, cells × genes, of the same cells in the same order; none where ``None``.

    Returns
    -------
    Mapping
        For `as_json`: ``n_cells`` of all, ``n`` of the sample, ``x`` and ``y``, ``colourings`` and ``genes``.

    Raises
    ------
    InputError
        Where the expression is of other cells, or a coordinate is not finite.
    """
    import numpy as np

    if expression is not None and not cells.index.equals(expression.obs_names):
        raise InputError("The expression values are of other cells than the UMAP; materialize both anew.")
    xy = cells[["x", "y"]].to_numpy(dtype=float)
    if not np.isfinite(xy).all():
        raise InputError("The UMAP has coordinates that are not finite numbers; compute it anew.")
    rows = sample_cells(cells["cluster"])
    span = max(float(np.ptp(xy, axis=0).max()), 1e-9)
    places = np.rint((xy[rows] - xy.min(axis=0)) * (STEPS / span)).astype("<u2")
    return {
        "n_cells": len(cells),
        "n": len(rows),
        "x": _base64(places[:, 0]),
        "y": _base64(places[:, 1]),
        "colourings": [_colouring(one, rows) for one in found],
        "genes": {} if expression is None else _genes(expression, rows),
    }


def as_json(value: object) -> Markup:
    """Write JSON that is safe inside of a ``script`` element, whatever text is in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # Without these no tag, comment or entity can begin or end in it.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _colouring(one: Colouring, rows: Numbers) -> Mapping[str, object]:
    import numpy as np

    position = {value: place for place, value in enumerate(one.colours)}
    counts = one.of_cell.value_counts()
    codes = one.of_cell.iloc[rows].map(position).to_numpy()
    return {
        "name": one.name,
        "codes": _base64(np.asarray(codes, dtype="<u2")),
        "values": [
            {
                "name": value,
                "key": one.keys[value],
                "line": one.lines[value],
                "colour": colour,
                "n": int(counts.get(value, 0)),
            }
            for value, colour in one.colours.items()
        ],
    }


def _genes(expression: AnnData, rows: Numbers) -> Mapping[str, object]:
    import numpy as np
    import scipy.sparse

    chosen = scipy.sparse.csc_matrix(expression.X[rows])
    chosen.sort_indices()
    packed: dict[str, object] = {}
    for column, gene in enumerate(expression.var_names):
        span = slice(chosen.indptr[column], chosen.indptr[column + 1])
        where, values = chosen.indices[span], chosen.data[span]
        highest = float(values.max(initial=0))
        # A detected gene keeps at least one level, or it would pass for an absent one.
        levels = np.maximum(np.rint(values * (LEVELS / highest)), 1) if highest > 0 else values
        detected = np.zeros(len(rows), dtype=bool)
        detected[where] = values > 0
        packed[str(gene)] = {
            "highest": float(f"{highest:.3g}"),
            "detected": _base64(np.packbits(detected, bitorder="little")),
            "levels": _base64(np.asarray(levels[values > 0], dtype="u1")),
        }
    return packed


def _base64(numbers: Numbers) -> str:
    return base64.b64encode(numbers.tobytes()).decode("ascii")
