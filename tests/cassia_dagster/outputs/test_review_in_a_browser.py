"""The review across resolutions as its readers meet it: a file, opened in a browser."""

from pathlib import Path

import pandas as pd
import pytest

from cassia_dagster.evaluation.review import Level, NamedCluster, review_resolutions
from cassia_dagster.outputs.review import write_review
from tests.browser import PHONE, browser, visit

__all__ = ["browser", "visit"]

EVIL = "<script>document.title = 'broken'</script>"
T_CELL, MONOCYTE, B_CELL = "CL:0000084", "CL:0000576", "CL:0000236"


def level(resolution, *named):
    clusters = tuple(
        NamedCluster(cluster=str(place), n_cells=size, label=label, cl_id=cl_id, score=90, is_sound=cl_id is not None)
        for place, (label, cl_id, size) in enumerate(named)
    )
    return Level(resolution=resolution, title=f"resolution {resolution}", clusters=clusters, agreement={EVIL: 0.5})


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    levels = [
        level("0.4", ("T cell", T_CELL, 6), ("monocyte", MONOCYTE, 4)),
        level("0.8", ("T cell", T_CELL, 4), ("B cell", B_CELL, 4), (EVIL, None, 2)),
    ]
    clusters = {"0.4": pd.Series(list("0000001111")), "0.8": pd.Series(list("0000221111"))}
    return write_review(review_resolutions("blood", levels, clusters), tmp_path_factory.mktemp("review"))["html"]


def test_it_opens_without_an_error_and_asks_for_nothing_else(page, visit):
    seen = visit(page)
    assert seen.page.title() == "blood · review across resolutions"
    assert seen.errors == []
    assert seen.requests == [page.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(page, visit, scheme):
    assert visit(page, color_scheme=scheme).barriers() == []


def test_a_phone_scrolls_down_only(page, visit):
    assert visit(page, width=PHONE).overflow() == 0


def test_every_cluster_has_a_bar_and_another_lineage_is_told(page, visit):
    seen = visit(page).page
    assert seen.locator("rect.node").count() == 5
    assert seen.locator("path.contradiction").count() == 1
    assert seen.get_by_text("another lineage").count() >= 2
