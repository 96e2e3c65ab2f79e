"""Tests of the heat map of known labels against ours."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from cassia_dagster.evaluation.agreement import Crossing, compare_with_gold
from cassia_dagster.outputs.confusion_picture import (
    DARK,
    LIGHT,
    MOST_COLUMNS,
    MOST_ROWS,
    SIDE,
    STEP,
    TOP,
    draw_confusion,
)

B_CELL, T_CELL = "CL:0000236", "CL:0000084"


def _picture(crossings: Any) -> Image.Image:
    uri = draw_confusion(crossings)
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))).convert("RGB")


def _fields(picture: Image.Image, n_rows: int, n_columns: int) -> list[list[tuple[int, ...]]]:
    """Colours of the corners of the fields, where no number is."""
    return [
        [picture.getpixel((SIDE + STEP * column + 2, TOP + STEP * row + 2)) for column in range(n_columns)]
        for row in range(n_rows)
    ]


def _near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 25 for a, b in zip(one, other, strict=True))


def test_agreement_is_a_dark_diagonal_and_what_was_mistaken_is_beside_it() -> None:
    clusters, gold = ["0"] * 6 + ["1"] * 4, ["B"] * 6 + ["T"] * 3 + ["B"]
    agreement = compare_with_gold({"0": B_CELL, "1": T_CELL}, clusters, gold, {"B": B_CELL, "T": T_CELL})
    assert {(one.gold_label, one.label): one.n_cells for one in agreement.crossings} == {
        ("B", "B cell"): 6,
        ("T", "T cell"): 3,
        ("B", "T cell"): 1,
    }
    (b_right, b_wrong), (t_wrong, t_right) = _fields(_picture(agreement.crossings), 2, 2)
    assert _near(t_right, DARK)
    assert _near(t_wrong, LIGHT)
    assert sum(DARK) < sum(b_right) < sum(b_wrong) < sum(LIGHT)


def test_cells_without_a_known_label_are_left_out_and_unresolved_ones_are_not() -> None:
    agreement = compare_with_gold({"0": None}, ["0", "0"], ["B", None], {"B": B_CELL})
    assert agreement.crossings == (Crossing(gold_label="B", label="unresolved", n_cells=1),)


@pytest.mark.parametrize("n", [1, 200])
def test_however_many_labels_there_are_the_picture_fits_into_the_database_of_events(n: int) -> None:
    name = "an unusually long name of a cell type, <b>bold</b>"
    crossings = [
        Crossing(gold_label=f"{i} {name}", label=f"{j} {name}", n_cells=i + j + 1) for i in range(n) for j in range(n)
    ]
    picture = _picture(crossings)
    assert picture.size[0] <= SIDE + STEP * MOST_COLUMNS + 10
    assert picture.size[1] <= TOP + STEP * MOST_ROWS + 10
    assert len(draw_confusion(crossings)) < 60_000
