"""The user interface in a real browser, on a copy of what the demo left behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from cassia_dagster.definitions import ASSETS
from resources.catalog import Catalog
from resources.home import Home
from tests.browser import browser, visit
from tests.cassia_dagster.test_server import wait_for

__all__ = ["browser", "visit"]

pytestmark = pytest.mark.browser

PATIENCE = 90_000
"""Milliseconds that the interface may take to show something on a busy machine."""


@pytest.fixture(scope="module")
def project(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interface")
    shutil.copytree(demo.home.root, folder / "home")
    shutil.copytree(demo.output, folder / "output")
    home = Home(folder / "home")
    entry = Catalog.read(home.catalog).entry("demo")
    Catalog().with_entry(entry.model_copy(update={"output": folder / "output"})).write(home.catalog)
    return home


@pytest.fixture(scope="module")
def address(project, tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path_factory.mktemp("interface-log") / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", str(port)],
            env=os.environ | {"CASSIA_HOME": str(project.root)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/server_info", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def test_the_graph_shows_every_asset_of_the_method_from_left_to_right(address, visit):
    page = visit(f"{address}/asset-groups").page
    places = {}
    for group in ("cells", "clusters", "annotation", "results"):
        box = page.locator("svg foreignObject, foreignObject").filter(has_text=group).first
        box.wait_for(timeout=PATIENCE)
        places[group] = box.bounding_box()["x"]
    assert sorted(places, key=places.get) == ["cells", "clusters", "annotation", "results"]
    page.goto(f"{address}/assets")
    for asset in ASSETS:
        page.goto(f"{address}/assets/{asset.key.to_user_string()}")
        page.get_by_text("Description", exact=True).first.wait_for(timeout=PATIENCE)
        assert page.get_by_text("No description").count() == 0


def test_the_map_of_the_cells_is_seen_in_the_metadata(address, visit):
    page = visit(f"{address}/assets/report?view=partitions&partition=demo%7C0.4").page
    page.get_by_text("[Show Markdown]").first.click(timeout=PATIENCE)
    picture = page.get_by_role("img", name="cells by label")
    picture.wait_for(timeout=PATIENCE)
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 200


def test_the_outcome_of_a_check_is_seen(address, visit):
    page = visit(f"{address}/assets/annotations?view=checks").page
    page.get_by_text("every_cell_has_a_row").first.wait_for(timeout=PATIENCE)
    page.get_by_text("Passed", exact=True).first.wait_for(timeout=PATIENCE)
    assert page.get_by_text("no cluster is lost, doubled or invented").count() > 0


def test_columns_are_explained_and_the_source_is_linked(address, visit):
    page = visit(f"{address}/assets/marker_table").page
    page.get_by_text("log2 fold change of mean expression against all other cells.").first.wait_for(timeout=PATIENCE)
    page.get_by_text("marker_table.py").first.wait_for(timeout=PATIENCE)


def test_one_partition_is_made_anew_by_a_click(address, visit, project):
    review = Catalog.read(project.catalog).entry("demo").folder / "demo_review.html"
    review.unlink()
    page = visit(f"{address}/assets/review?view=partitions&partition=demo").page
    page.get_by_role("button", name="Materialize").first.click(timeout=PATIENCE)
    page.get_by_role("button", name="Launch 1 run").click(timeout=PATIENCE)
    deadline = time.monotonic() + 240
    while not review.exists():
        assert time.monotonic() < deadline, "no review was made"
        time.sleep(1)
    page.goto(f"{address}/runs")
    page.get_by_text("Success").first.wait_for(timeout=PATIENCE)
