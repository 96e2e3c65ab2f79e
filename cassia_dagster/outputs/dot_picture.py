"""The dot plot as a small picture, which a database of events can keep several times over."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cassia_dagster.outputs.dotplot import DotPlot

STEP, RADIUS = 18, 7
"""Pixels from dot to dot, and of the largest dot's radius."""
SIDE, TOP, EDGE = 60, 76, 8
"""Room for the clusters' names, for the genes' names, and around."""
LETTERS, LETTERS_OF_LABEL = 9, 28
"""Of a gene's or a cluster's name, and of a label; the report has them whole."""
COLOURS = 32
LIGHT, DARK = (222, 235, 240), (11, 74, 94)


def draw_dots(plot: DotPlot, labels: Mapping[str, str] | None = None) -> str:
    """Draw clusters as rows and genes as columns: the larger a dot, the more cells; the darker, the higher.

    Parameters
    ----------
    plot
        As `cassia_dagster.outputs.dotplot.dot_plot` makes it.
    labels
        Cluster id → label, which stands beside the id.

    Returns
    -------
    str
        A ``data:`` URI of a PNG; its names are drawn, so that no text of the data is read as anything else.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(12)
    names = [_short(f"{_short(one)} {(labels or {}).get(one, '')}".strip(), LETTERS_OF_LABEL) for one in plot.clusters]
    side = max(SIDE, EDGE * 2 + int(max((font.getlength(name) for name in names), default=0)))
    width = side + STEP * len(plot.genes) + EDGE
    height = TOP + STEP * len(plot.clusters) + EDGE
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    for column, (gene, _) in enumerate(plot.genes):
        name = Image.new("RGB", (TOP - EDGE, STEP), "white")
        ImageDraw.Draw(name).text((2, 3), _short(gene), fill="black", font=font)
        picture.paste(name.rotate(90, expand=True), (side + STEP * column, EDGE))
    for row, (name_of_row, dots) in enumerate(zip(names, plot.dots, strict=True)):
        y = TOP + STEP * row + STEP // 2
        draw.text((side - EDGE, y), name_of_row, fill="black", font=font, anchor="rm")
        for column, dot in enumerate(dots):
            x, radius = side + STEP * column + STEP // 2, RADIUS * dot.share**0.5
            if radius >= 1:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_shade(dot.level))
    file = io.BytesIO()
    picture.quantize(COLOURS).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _short(name: str, letters: int = LETTERS) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1].rstrip()}…"


def _shade(level: float) -> tuple[int, int, int]:
    red, green, blue = (round(light + (dark - light) * level) for light, dark in zip(LIGHT, DARK, strict=True))
    return red, green, blue
