"""The review across resolutions as files."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from cassia_dagster.evaluation.review import Level, NamedCluster, Review, review_resolutions
from cassia_dagster.outputs.review import flow_table, render_review, write_review

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def review():
    return review_resolutions(
        "blood",
        [
            level("0.4", NamedCluster(cluster="0", n_cells=3, label="T cell", cl_id="CL:0000084")),
            level(
                "0.8",
                NamedCluster(cluster="=1", n_cells=2, label=EVIL),
                NamedCluster(cluster="2", n_cells=1, label=None),
            ),
        ],
        {"0.4": pd.Series(["0", "0", "0"]), "0.8": pd.Series(["=1", "=1", "2"])},
    )


def level(resolution, *clusters):
    return Level(resolution=resolution, title=f"resolution {resolution}", clusters=clusters, agreement={EVIL: 0.5})


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))


def test_the_page_runs_nothing_and_loads_nothing(review):
    page = render_review(review)
    parser = Tags()
    parser.feed(page)
    assert {"script", "img", "link", "iframe"}.isdisjoint(tag for tag, _ in parser.seen)
    assert not [
        name for _, attributes in parser.seen for name in attributes if name == "style" or name.startswith("on")
    ]
    policy = next(attributes["content"] for tag, attributes in parser.seen if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "&lt;script&gt;" in page


def test_the_page_says_which_resolution_is_recommended_and_why(review):
    page = render_review(review)
    assert review.recommendation.reason in page
    assert "one of the two no ontology term" in page


def test_the_files_hold_the_whole_review(review, tmp_path):
    paths = write_review(review, tmp_path)
    assert [path.name for path in paths.values()] == ["blood_review.html", "blood_review.csv", "blood_review.json"]
    assert Review.model_validate_json(paths["json"].read_text()) == review
    table = pd.read_csv(paths["csv"], dtype=str)
    assert table["next_cluster"].tolist() == ["'=1", "2"]
    assert table["next_label"].tolist() == [EVIL, "unresolved"]


def test_one_clustering_has_a_review_too(tmp_path):
    alone = level("0.4", NamedCluster(cluster="0", n_cells=3, label="T cell"))
    review = review_resolutions("blood", [alone], {"0.4": pd.Series(["0", "0", "0"])})
    assert "is the only one to choose" in render_review(review)
    assert flow_table(review).empty
    assert "relation" in flow_table(review)


def test_the_demo_is_reviewed_and_the_links_lead_to_its_reports(demo):
    folder = Path(demo.output / "demo")
    page = (folder / "demo_review.html").read_text(encoding="utf-8")
    links = [link for link in re.findall(r'href="([^"#]+)"', page) if not link.startswith("https:")]
    assert len(links) == 2
    assert all((folder / link).exists() for link in links)
    review = json.loads((folder / "demo_review.json").read_text())
    assert review["recommendation"]["resolution"] in {"0.4", "0.8"}
    assert sum(flow["n_cells"] for flow in review["flows"]) == 1065
