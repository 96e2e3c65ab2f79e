"""Tests of keeping what has not changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cassia_dagster import unchanged
from cassia_dagster.singlecell import libraries
from cassia_dagster.unchanged import kept_artifacts
from cassia_dagster.walk import open_instance

if TYPE_CHECKING:
    from tests.conftest import Demo

ALL = [("demo", None, {"normalized_adata", "umap"}), ("demo", "0.4", {"leiden_clusters", "marker_table"})]


def kept(demo: Demo, root: Path, resolution: str | None) -> set[str]:
    with open_instance(demo.home) as instance:
        return set(kept_artifacts(instance, root, "demo", resolution))


@pytest.mark.parametrize(("dataset", "resolution", "assets"), ALL)
def test_what_was_made_of_the_same_file_is_kept(
    demo: Demo, dataset: str, resolution: str | None, assets: set[str]
) -> None:
    with open_instance(demo.home) as instance:
        found = kept_artifacts(instance, demo.home.artifacts, dataset, resolution)
    assert set(found) == assets
    assert all(metadata for metadata in found.values()), "with what was said of it"


def test_what_is_not_there_is_made(demo: Demo, tmp_path: Path) -> None:
    assert kept(demo, tmp_path, None) == set()


def test_a_file_that_is_younger_than_its_record_is_made_again(demo: Demo, tmp_path: Path) -> None:
    same, younger = tmp_path / "same", tmp_path / "younger"
    shutil.copytree(demo.home.artifacts, same)
    shutil.copytree(demo.home.artifacts, younger, copy_function=shutil.copy)
    assert kept(demo, same, "0.4") == {"leiden_clusters", "marker_table"}
    assert kept(demo, younger, "0.4") == set()


def test_other_code_or_other_usual_parameters_make_it_again(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherConfig(unchanged.LeidenConfig):
        seed: int = 7

    usual = unchanged.CELLS
    monkeypatch.setattr(unchanged, "CELLS", usual | {"leiden_clusters": OtherConfig})
    assert kept(demo, demo.home.artifacts, "0.4") == set(), "the markers are of the clusters that will be"
    codes = unchanged._code_versions() | {"marker_table": "another"}
    monkeypatch.setattr(unchanged, "_code_versions", lambda: codes)
    monkeypatch.setattr(unchanged, "CELLS", usual)
    assert kept(demo, demo.home.artifacts, "0.4") == {"leiden_clusters"}


@pytest.mark.parametrize(
    ("library", "resolution", "still_kept"),
    [
        ("igraph", "0.4", set()),
        ("leidenalg", "0.4", set()),
        ("scanpy", "0.4", {"leiden_clusters"}),
        ("scanpy", None, {"normalized_adata"}),
        ("scikit-learn", None, set()),
        ("dagster", "0.4", {"leiden_clusters", "marker_table"}),
    ],
)
def test_another_version_of_a_library_makes_again_what_it_computes(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, library: str, resolution: str | None, still_kept: set[str]
) -> None:
    installed = libraries.version
    monkeypatch.setattr(libraries, "version", lambda name: "999.0" if name == library else installed(name))
    assert kept(demo, demo.home.artifacts, resolution) == still_kept


def test_another_version_of_the_file_makes_it_again(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = unchanged._last

    def with_another_file(instance, asset, dataset, resolution):
        return None if asset == "raw_adata" else whole(instance, asset, dataset, resolution)

    monkeypatch.setattr(unchanged, "_last", with_another_file)
    assert kept(demo, demo.home.artifacts, None) == set()
