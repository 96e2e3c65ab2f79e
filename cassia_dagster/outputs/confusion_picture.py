"""Draws how known labels and ours cross: a heat map, as a picture that a database of events can keep.

Known labels are rows and ours columns. The darker a field, the larger the share of the known label's cells that got
our label; the number in it is that share in percent.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cassia_dagster.evaluation.agreement import Crossing

MOST_ROWS, MOST_COLUMNS = 24, 18
"""Labels with fewest cells beyond these are put together."""

STEP, SIDE, TOP, EDGE = 24, 190, 190, 6
LETTERS = 30
COLOURS = 32
LIGHT, DARK = (247, 247, 250), (27, 68, 128)
READABLE = 0.55
"""Share from which on a number is white on dark."""


def draw_confusion(crossings: Sequence[Crossing]) -> str:
    """Draw known labels against ours.

    Parameters
    ----------
    crossings
        As `cassia_dagster.evaluation.agreement.compare_with_gold` counts them; at least one.

    Returns
    -------
    str
        A ``data:`` URI of a PNG; its names are drawn, so that no text of the data is read as anything else.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows = _foremost(((one.gold_label, one.n_cells) for one in crossings), MOST_ROWS)
    columns = _foremost(((one.label, one.n_cells) for one in crossings), MOST_COLUMNS)
    counts = Counter[tuple[str, str]]()
    for one in crossings:
        counts[rows[one.gold_label], columns[one.label]] += one.n_cells
    golds = list(dict.fromkeys(rows.values()))
    totals = {gold: sum(cells for (own, _), cells in counts.items() if own == gold) for gold in golds}
    # Each of ours stands where the known label is that has most of its cells, so that agreement is a diagonal.
    labels = sorted(
        dict.fromkeys(columns.values()),
        key=lambda label: min(range(len(golds)), key=lambda place: -counts[golds[place], label]),
    )
    picture = Image.new("RGB", (SIDE + STEP * len(labels) + EDGE, TOP + STEP * len(golds) + EDGE), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for place, label in enumerate(labels):
        name = Image.new("RGB", (TOP - EDGE, STEP), "white")
        ImageDraw.Draw(name).text((2, 5), _short(label), fill="black", font=font)
        picture.paste(name.rotate(90, expand=True), (SIDE + STEP * place, EDGE))
    for row, gold in enumerate(golds):
        y = TOP + STEP * row
        draw.text((SIDE - EDGE, y + STEP // 2), _short(gold), fill="black", font=font, anchor="rm")
        for place, label in enumerate(labels):
            share, x = counts[gold, label] / totals[gold], SIDE + STEP * place
            draw.rectangle((x, y, x + STEP - 2, y + STEP - 2), fill=_shade(share))
            if counts[gold, label]:
                ink = "white" if share > READABLE else "black"
                draw.text((x + STEP // 2, y + STEP // 2), f"{100 * share:.0f}", fill=ink, font=font, anchor="mm")
    file = io.BytesIO()
    picture.quantize(COLOURS).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _foremost(counted: Iterable[tuple[str, int]], most: int) -> dict[str, str]:
    """Give each label the name of its row or column, those with most cells first; the last may hold several."""
    cells = Counter[str]()
    for name, number in counted:
        cells[name] += number
    ranked = sorted(cells, key=lambda name: (-cells[name], name))
    if len(ranked) <= most:
        return {name: name for name in ranked}
    shown, rest = ranked[: most - 1], ranked[most - 1 :]
    return {name: name for name in shown} | dict.fromkeys(rest, f"{len(rest)} others")


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def _shade(share: float) -> tuple[int, int, int]:
    red, green, blue = (round(light + (dark - light) * share) for light, dark in zip(LIGHT, DARK, strict=True))
    return red, green, blue
