"""Figures of the demo, as files."""

import re
import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.errors import InputError


def draw(demo, *words):
    return CliRunner().invoke(app, ["figures", "demo", "--home", str(demo.home.root), *words])


@pytest.fixture(scope="module")
def folder(demo):
    done = draw(demo, "--resolution", "0.4", "--format", "png", "--format", "svg")
    assert done.exit_code == 0, done.output
    yield demo.output / "demo" / "leiden_res_0.4" / "figures"
    shutil.rmtree(demo.output / "demo" / "leiden_res_0.4" / "figures")


def test_clusters_labels_and_known_labels_are_mapped_and_markers_dotted(folder):
    names = {"umap_leiden_res_0.4", "umap_CASSIA_annotation_res_0.4", "umap_cell_type", "markers"}
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}


def test_a_picture_is_no_blank_page(folder):
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(2**24)) > 50


def test_words_in_an_svg_are_words_and_the_cells_one_picture(folder):
    drawn = (folder / "umap_CASSIA_annotation_res_0.4.svg").read_text(encoding="utf-8")
    assert "endothelial cell" in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert drawn.count("<image") == 1


def test_a_resolution_that_was_not_made_is_an_error(demo):
    failed = draw(demo, "--resolution", "7.0")
    assert isinstance(failed.exception, InputError)
    assert "the catalog lists 0.4, 0.8" in str(failed.exception)
