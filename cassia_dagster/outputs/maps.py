"""Maps of the cells for the report: small pictures, with keys and legends that stay text.

Cells are stamped straight onto a canvas of a few colours. Such a picture has the same bytes on every
machine and, for 50,000 cells, an eighth of the size of an anti-aliased one; shown at half its size, its
edges are smooth.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.outputs.colourings import Colouring, colourings
from cassia_dagster.outputs.result import ResolutionResult

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    type Numbers = np.ndarray[Any, np.dtype[Any]]

LONG_SIDE = 1200
MARGIN = 40


@dataclass(frozen=True)
class Key:
    """A short text on the map, in pixels of the picture."""

    text: str
    x: int
    y: int


@dataclass(frozen=True)
class Entry:
    """A line of a legend."""

    key: str
    name: str
    colour: str
    n_cells: int


@dataclass(frozen=True)
class CellMap:
    """One picture of all cells, coloured by one property."""

    title: str
    png: str
    """A ``data:`` URI."""
    width: int
    height: int
    keys: tuple[Key, ...]
    legend: tuple[Entry, ...]


def draw_maps(result: ResolutionResult, cells: pd.DataFrame, gold: pd.DataFrame | None = None) -> list[CellMap]:
    """Draw the cells coloured by cluster, by label, and by each gold label.

    Parameters
    ----------
    result
        A dataset at one resolution.
    cells
        Indexed by cell id: coordinates ``x`` and ``y``, ``cluster`` as strings.
    gold
        Indexed by cell id: labels that others gave, a column each.

    Returns
    -------
    list of CellMap
        A label has the colour of its first cluster, a gold label that of the label that most of its cells
        bear, so that equal colours mean agreement.

    Raises
    ------
    InputError
        Where a coordinate is not finite.
    """
    xy = _positions(cells)
    topmost = _topmost_cells(xy)
    return [_map(one, topmost, _keys(xy, *one.placed)) for one in colourings(result, cells, gold)]


def _positions(cells: pd.DataFrame) -> Numbers:
    """Scale coordinates to pixels, both axes alike, with y upwards."""
    import numpy as np

    xy = cells[["x", "y"]].to_numpy(dtype=float)
    if not np.isfinite(xy).all():
        raise InputError("The UMAP has coordinates that are not finite numbers; compute it anew.")
    span = max(float(np.ptp(xy, axis=0).max()), 1e-9)
    pixels = (xy - xy.min(axis=0)) * ((LONG_SIDE - 2 * MARGIN) / span) + MARGIN
    pixels[:, 1] = pixels[:, 1].max() + MARGIN - pixels[:, 1]
    rounded: Numbers = np.rint(pixels).astype(int)
    return rounded


def _topmost_cells(xy: Numbers) -> Numbers:
    """Tell for each pixel which cell is seen there (its row + 1), or 0."""
    import numpy as np

    radius = float(np.clip(150 / np.sqrt(len(xy)), 2, 5))
    width, height = xy.max(axis=0) + MARGIN
    canvas = np.zeros((height, width), dtype=np.int64)
    # In random order, else the last category would cover the others.
    depth = np.random.default_rng(0).permutation(len(xy)) + 1
    reach = range(-int(radius), int(radius) + 1)
    for dx, dy in product(reach, reach):
        if dx * dx + dy * dy <= radius * radius:
            np.maximum.at(canvas, (xy[:, 1] + dy, xy[:, 0] + dx), depth)
    row_at_depth = np.zeros(len(xy) + 1, dtype=np.int64)
    row_at_depth[depth] = np.arange(1, len(xy) + 1)
    topmost: Numbers = row_at_depth[canvas]
    return topmost


def _map(colouring: Colouring, topmost: Numbers, keys: tuple[Key, ...]) -> CellMap:
    import numpy as np

    shades = list(dict.fromkeys(colouring.colours.values()))
    shade = [0] + [shades.index(colouring.colours[value]) + 1 for value in colouring.of_cell]
    counts = colouring.of_cell.value_counts()
    legend = tuple(
        Entry(colouring.keys[value], colouring.lines[value], colour, int(counts.get(value, 0)))
        for value, colour in colouring.colours.items()
    )
    height, width = topmost.shape
    picture = np.asarray(shade, dtype=np.uint8)[topmost]
    return CellMap(colouring.title, _png(picture, shades), width, height, keys, legend)


def _png(picture: Numbers, shades: Sequence[str]) -> str:
    """Encode a picture of colour numbers; number 0 is transparent, so that the page's background shows."""
    from PIL import Image

    image = Image.fromarray(picture, mode="P")
    image.putpalette(bytes(3) + b"".join(bytes.fromhex(shade[1:]) for shade in shades))
    file = io.BytesIO()
    image.save(file, format="PNG", transparency=0, optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _keys(xy: Numbers, values: pd.Series[Any], key_of: Mapping[str, str]) -> tuple[Key, ...]:
    """Put each group's key on the member that is nearest to the group's median."""
    import numpy as np

    places = []
    for name, key in key_of.items():
        members = xy[(values == name).to_numpy()]
        if len(members):
            x, y = members[np.abs(members - np.median(members, axis=0)).sum(axis=1).argmin()]
            low, high = np.percentile(members, (20, 80), axis=0)
            if (high - low < MARGIN).all():
                # The key would hide a group as small as itself: it stands above.
                y = max(low[1] - MARGIN * 2 / 3, MARGIN / 2)
            places.append(Key(key, int(x), int(y)))
    return tuple(places)
