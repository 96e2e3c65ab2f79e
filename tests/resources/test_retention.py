"""Tests of what is superfluous among the artifacts, in a folder and in a bucket alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.places import artifact_root
from resources.retention import artifacts, orphans, superfluous

FILES = [
    "normalized_adata/blood.h5ad",
    "umap/blood.parquet",
    "merged/blood/0.4.parquet",
    "merged/blood/0.8.parquet",
    "merged/gone/0.4.parquet",
    *(f"earlier/merged/blood/0.4/2026010{day}T000000000000Z_ab_run.parquet" for day in (1, 2, 3)),
    "earlier/merged/gone/0.4/20260101T000000000000Z_ab_run.parquet",
]


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    where = str(tmp_path) if request.param == "folder" else f"{request.getfixturevalue('bucket')}/atlas"
    for name in [*FILES, "notes.txt", "merged/blood/.writing-x.parquet", "earlier/mine.parquet"]:
        path = artifact_root(where).joinpath(*name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return where


def test_all_that_was_made_is_found_and_nothing_else(root: str) -> None:
    found = list(artifacts(artifact_root(root)))
    assert sorted(str(one.path).removeprefix(root + "/") for one in found) == sorted(FILES)
    assert {one.bytes for one in found} == {5}
    assert {(one.dataset, one.resolution) for one in found} == {
        ("blood", None),
        ("blood", "0.4"),
        ("blood", "0.8"),
        ("gone", "0.4"),
    }


def test_the_newest_versions_stay(root: str) -> None:
    found = list(artifacts(artifact_root(root)))
    assert [one.path.name[:8] for one in superfluous(found, keep=1)] == ["20260102", "20260101"]
    assert superfluous(found, keep=0) == superfluous(found, keep=1), "the present one is never superfluous"
    assert superfluous(found, keep=3) == []


def test_what_the_catalog_does_not_list_is_an_orphan(root: str) -> None:
    left = orphans(list(artifacts(artifact_root(root))), {"blood": ("0.4",)})
    assert {(one.asset, one.dataset, one.resolution) for one in left} == {
        ("merged", "blood", "0.8"),
        ("merged", "gone", "0.4"),
    }


def test_a_project_without_artifacts_has_none(tmp_path: Path) -> None:
    assert list(artifacts(tmp_path / "none")) == []
