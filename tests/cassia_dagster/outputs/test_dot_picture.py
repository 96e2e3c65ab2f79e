"""The dot plot as a picture small enough for Dagster's events."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cassia_dagster.outputs.dot_picture import SIDE, STEP, TOP, draw_dots
from cassia_dagster.outputs.dotplot import MOST_COLUMNS, Dot, DotPlot

MOST_BYTES = 60_000


def plot(n_clusters, n_genes, level=1.0):
    dots = tuple(
        tuple(Dot(share=float(row == column % n_clusters), mean=1.0, level=level) for column in range(n_genes))
        for row in range(n_clusters)
    )
    genes = tuple((f"GENE{number}", str(number % n_clusters)) for number in range(n_genes))
    return DotPlot(clusters=tuple(map(str, range(n_clusters))), genes=genes, dots=dots)


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_a_dot_is_where_the_gene_is_found_and_nowhere_else():
    seen = pixels(draw_dots(plot(2, 2)))
    at = [
        [tuple(seen[TOP + STEP * row + STEP // 2, SIDE + STEP * column + STEP // 2]) for column in (0, 1)]
        for row in (0, 1)
    ]
    assert at[0][0] == at[1][1] != (255, 255, 255)
    assert at[0][1] == at[1][0] == (255, 255, 255)


def test_what_is_higher_is_darker():
    low, high = (pixels(draw_dots(plot(1, 1, level)))[TOP + STEP // 2, SIDE + STEP // 2].sum() for level in (0.1, 1.0))
    assert high < low


def test_labels_stand_beside_the_clusters_and_make_room_for_themselves():
    bare, named = (pixels(draw_dots(plot(2, 2), labels)) for labels in (None, {"0": "pancreatic stellate cell"}))
    assert named.shape[1] > bare.shape[1]
    assert (named[TOP : TOP + STEP, : named.shape[1] - 2 * STEP - 8] < 128).any()


@pytest.mark.parametrize("n_clusters", [12, 40])
def test_the_largest_plot_is_small_enough(n_clusters):
    labels = {str(number): f"{number} a long name of a cell type" for number in range(n_clusters)}
    assert len(draw_dots(plot(n_clusters, MOST_COLUMNS), labels)) < MOST_BYTES
