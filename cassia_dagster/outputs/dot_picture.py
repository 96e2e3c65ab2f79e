"""The dot plot as a small picture, which a database of events can keep several times over."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cassia_dagster.outputs.dotplot import DotPlot

STEP, RADIUS = 18, 7
"""Pixels from dot to dot, and of the largest dot's radius."""
SIDE, TOP, EDGE = 60, 76, 8
"""Room for the clusters' names, for the genes' names, and around."""
LETTERS = 9
"""Of a name; the report has it whole."""
COLOURS = 32
LIGHT, DARK = (222, 235, 240), (11, 74, 94)


def draw_dots(plot: DotPlot) -> str:
    """Draw clusters as rows and genes as columns: the larger a dot, the more cells; the darker, the higher.

    Parameters
    ----------
    plot
        As `cassia_dagster.outputs.dotplot.dot_plot` makes it.

    Returns
    -------
    str
        A ``data:`` URI of a PNG; its names are drawn, so that no text of the data is read as anything else.
    """
    from PIL import Image, ImageDraw, ImageFont

    width = SIDE + STEP * len(plot.genes) + EDGE
    height = TOP + STEP * len(plot.clusters) + EDGE
    picture = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for column, (gene, _) in enumerate(plot.genes):
        name = Image.new("RGB", (TOP - EDGE, STEP), "white")
        ImageDraw.Draw(name).text((2, 3), _short(gene), fill="black", font=font)
        picture.paste(name.rotate(90, expand=True), (SIDE + STEP * column, EDGE))
    for row, (cluster, dots) in enumerate(zip(plot.clusters, plot.dots, strict=True)):
        y = TOP + STEP * row + STEP // 2
        draw.text((SIDE - EDGE, y), _short(cluster), fill="black", font=font, anchor="rm")
        for column, dot in enumerate(dots):
            x, radius = SIDE + STEP * column + STEP // 2, RADIUS * dot.share**0.5
            if radius >= 1:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_shade(dot.level))
    file = io.BytesIO()
    picture.quantize(COLOURS).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def _shade(level: float) -> tuple[int, int, int]:
    red, green, blue = (round(light + (dark - light) * level) for light, dark in zip(LIGHT, DARK, strict=True))
    return red, green, blue
