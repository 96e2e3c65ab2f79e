"""The map with its legend as a picture small enough for Dagster's events."""

import base64
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cassia_dagster.outputs.map_picture import SIDE, draw_map
from cassia_dagster.outputs.maps import Entry, draw_maps

MOST_BYTES = 60_000

NEAR = 40
"""Of red, green and blue together: no eye parts such colours; those of two clusters differ by more than 100."""


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


@pytest.fixture
def many(blood):
    """Draw many cells by cluster."""
    rng = np.random.default_rng(0)
    ids = [row.cluster for row in blood.clusters]
    xy = rng.normal(size=(50_000, 2))
    cells = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "cluster": rng.choice(ids, 50_000)})
    return draw_maps(blood, cells)[0]


def test_the_map_of_many_cells_is_small_and_keeps_the_colours(many):
    drawn = draw_map(many)
    assert len(drawn) < MOST_BYTES
    picture = opened(drawn)
    assert picture.height <= SIDE < picture.width
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    assert len(picture.getcolors(maxcolors=10_000)) > len(many.legend)


def test_the_legend_stands_beside_the_map_in_the_colours_of_the_cells(many):
    picture = np.asarray(opened(draw_map(many)))
    legend = picture[:, SIDE + 1 :].reshape(-1, 3).astype(int)
    for entry in many.legend:
        colour = np.array(tuple(bytes.fromhex(entry.colour[1:])))
        assert np.abs(legend - colour).sum(axis=1).min() < NEAR, entry


def test_of_a_hundred_labels_as_many_are_named_as_fit(many):
    entry = Entry(key="1", name="a very long name of a cell type that nobody would read", colour="#0072b2", n_cells=7)
    drawn = draw_map(dataclasses.replace(many, legend=(entry,) * 100))
    assert opened(drawn).height <= SIDE
    assert len(drawn) < MOST_BYTES


def test_a_single_row_of_cells_leaves_room_for_the_legend(blood, blood_cells):
    drawn = draw_maps(blood, blood_cells.assign(y=1.0))[1]
    assert opened(draw_map(drawn)).height >= 4 * 17
