"""The map of the cells with its legend, as a small picture that a database of events can keep several times over."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    from cassia_dagster.outputs.maps import CellMap, Entry

SIDE = 420
"""Pixels of the longer side of the map."""
LINE, DOT, EDGE, GAP = 17, 8, 8, 5
"""Of the legend: height of a line, width of its dot; and room around, and between."""
LETTERS = 34
"""Of a name; the report has it whole."""
COLOURS = 64


def draw_map(drawn: CellMap) -> str:
    """Shrink a map, and put its keys on it and its legend beside it.

    Parameters
    ----------
    drawn
        One of those that `cassia_dagster.outputs.maps.draw_maps` returns.

    Returns
    -------
    str
        A ``data:`` URI of a PNG; its names are drawn, so that no text of the data is read as anything else. Of more
        names than fit beside the map, the first ones, and how many there are more.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(12)
    cells = Image.open(io.BytesIO(base64.b64decode(drawn.png.partition(",")[2]))).convert("RGBA")
    cells.thumbnail((SIDE, SIDE))
    height = max(cells.height, 2 * EDGE + 4 * LINE)
    lines = _lines(drawn, (height - 2 * EDGE) // LINE)
    indent = DOT + GAP + max((font.getlength(key) for key, _, _ in lines), default=0) + 2 * GAP
    width = cells.width + EDGE + int(indent + max((font.getlength(name) for _, name, _ in lines), default=0)) + EDGE
    picture = Image.new("RGBA", (width, height), "white")
    picture.alpha_composite(cells)
    draw = ImageDraw.Draw(picture)
    shrunk = cells.width / drawn.width
    for key in drawn.keys:
        place = (key.x * shrunk, key.y * shrunk)
        draw.text(place, key.text, fill="black", font=font, anchor="mm", stroke_width=2, stroke_fill="white")
    _write_legend(draw, font, lines, (cells.width + EDGE, indent))
    file = io.BytesIO()
    picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        file, "PNG", optimize=True
    )
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _write_legend(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    lines: list[tuple[str, str, str | None]],
    left: tuple[float, float],
) -> None:
    x, indent = left
    for position, (key, name, colour) in enumerate(lines):
        y = EDGE + LINE * position + LINE / 2
        if colour:
            draw.ellipse((x, y - DOT / 2, x + DOT, y + DOT / 2), fill=colour)
        draw.text((x + DOT + GAP, y), key, fill="black", font=font, anchor="lm")
        draw.text((x + indent, y), name, fill="#57606a", font=font, anchor="lm")


def _lines(drawn: CellMap, most: int) -> list[tuple[str, str, str | None]]:
    """Key, name and colour of what fits into so many lines."""
    shown = drawn.legend if len(drawn.legend) <= most else drawn.legend[: most - 1]
    more = len(drawn.legend) - len(shown)
    lines: list[tuple[str, str, str | None]] = [(_short(one.key, 8), _name(one), one.colour) for one in shown]
    return [*lines, ("", f"and {more} more", None)] if more else lines


def _name(entry: Entry) -> str:
    return f"{_short(entry.name, LETTERS)}  {entry.n_cells:,}"


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"
