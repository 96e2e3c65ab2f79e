"""The picture of the flow: bars in columns, ribbons between them."""

from itertools import pairwise

import pandas as pd
import pytest

from cassia_dagster.evaluation.review import Level, NamedCluster, review_resolutions
from cassia_dagster.outputs import palette
from cassia_dagster.outputs.flow import CELLS_HEIGHT, LEAST_NODE, LEAST_SLOT, draw_flow


def level(resolution, **sizes):
    clusters = tuple(
        NamedCluster(cluster=cluster, n_cells=size, label=None if cluster == "nameless" else cluster)
        for cluster, size in sizes.items()
    )
    return Level(resolution=resolution, title=f"resolution {resolution}", clusters=clusters)


LEVELS = [level("0.4", a=600, b=399, nameless=1), level("0.8", a=400, c=200, b=399, nameless=1)]
CLUSTERS = {
    "0.4": pd.Series(["a"] * 600 + ["b"] * 399 + ["nameless"]),
    "0.8": pd.Series(["a"] * 400 + ["c"] * 200 + ["b"] * 398 + ["nameless", "b"]),
}


@pytest.fixture
def picture():
    return draw_flow(review_resolutions("d", LEVELS, CLUSTERS))


def test_a_bar_is_as_high_as_its_cluster_has_cells_and_never_invisible(picture):
    heights = {node.cluster.cluster: node.height for node in picture.nodes if node.resolution == "0.4"}
    assert heights["a"] == pytest.approx(0.6 * CELLS_HEIGHT)
    assert heights["nameless"] == LEAST_NODE


def test_no_two_names_of_a_column_are_written_over_each_other(picture):
    for resolution in ("0.4", "0.8"):
        middles = [node.y + node.height / 2 for node in picture.nodes if node.resolution == resolution]
        assert all(below - above >= LEAST_SLOT for above, below in pairwise(middles))


def test_a_name_has_one_colour_in_all_columns(picture):
    colours = {(node.cluster.label, node.colour) for node in picture.nodes}
    assert len(colours) == 4
    assert (None, palette.NEUTRAL) in colours


def test_children_stand_where_their_parents_stand(picture):
    order = [node.cluster.cluster for node in picture.nodes if node.resolution == "0.8"]
    assert order == ["a", "c", "nameless", "b"]


def test_thin_ribbons_are_counted_and_not_drawn(picture):
    assert picture.left_out == 0  # one cell is the whole of the smallest cluster
    more = {"0.4": CLUSTERS["0.4"], "0.8": CLUSTERS["0.8"].copy()}
    more["0.8"].iloc[0], more["0.8"].iloc[700] = "b", "a"
    assert draw_flow(review_resolutions("d", LEVELS, more)).left_out == 2
