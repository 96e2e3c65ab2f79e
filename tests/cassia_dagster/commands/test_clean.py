"""Tests of `cassia-dagster gc`: what it removes, what it only reports, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cassia_dagster.cli import app
from cassia_dagster.errors import InputError
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

VERSIONS = [f"earlier/merged/blood/0.4/2026010{day}T000000000000Z_ab_run.parquet" for day in (1, 2, 3)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    entry = DatasetEntry(name="blood", path=tmp_path / "blood.h5ad", tissue="blood", resolutions=("0.4",))
    Catalog().with_entry(entry).write(home.catalog)
    for name in (*VERSIONS, "merged/blood/0.4.parquet", "merged/blood/2.0.parquet", "merged/gone/0.4.parquet"):
        path = tmp_path / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 500_000)
    return home


@pytest.fixture
def gc(home: Home) -> Callable[..., Result]:
    def call(*options: str) -> Result:
        return CliRunner().invoke(app, ["gc", "--home", str(home.root), *options])

    return call


def files(home: Home) -> set[str]:
    root = home.root / "artifacts"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_dry_run_says_what_would_go_and_removes_nothing(gc: Callable[..., Result], home: Home) -> None:
    before = files(home)
    done = gc("--keep", "1", "--dry-run")
    assert "2 files (1.0 MB) of earlier versions would be removed; the newest 1 of each table stay." in done.output
    assert files(home) == before


def test_earlier_versions_go_and_what_lost_its_dataset_is_reported(gc: Callable[..., Result], home: Home) -> None:
    before = files(home)
    done = gc("--keep", "1")
    assert before - files(home) == set(VERSIONS[:2])
    assert "gone is not in the catalog, and 1 file (0.5 MB) are kept of it" in done.output
    assert "blood lists the resolutions 2.0 no more, and 1 file (0.5 MB) are kept of them" in done.output


def test_a_removed_dataset_goes_when_it_is_named(gc: Callable[..., Result], home: Home) -> None:
    before = files(home)
    assert "1 file (0.5 MB) of gone removed." in gc("--forget", "gone").output
    assert before - files(home) == {"merged/gone/0.4.parquet"}


@pytest.mark.parametrize(
    ("name", "said"), [("blood", "is in the catalog, so its artifacts are needed"), ("..", "Nothing is kept of")]
)
def test_what_is_listed_or_was_never_there_is_refused(
    gc: Callable[..., Result], home: Home, name: str, said: str
) -> None:
    before = files(home)
    failure = gc("--forget", name).exception
    assert isinstance(failure, InputError)
    assert said in str(failure)
    assert files(home) == before


def test_nothing_goes_of_a_dataset_whose_entry_is_broken(gc: Callable[..., Result], home: Home) -> None:
    home.catalog.write_text(home.catalog.read_text() + "- name: gone\n  path: 3\n")
    done = gc("--keep", "3")
    assert done.exit_code == 0, done.output
    assert "gone" not in done.output


def test_replies_are_forgotten_only_when_that_is_said(demo, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = CliRunner().invoke(app, ["gc", "--home", str(demo.home.root), "--replies-older-than", "0", "--dry-run"])
    assert "replies of models would be removed." in said.output
    assert not said.output.startswith("0 replies")
    silent = CliRunner().invoke(app, ["gc", "--home", str(demo.home.root), "--dry-run"])
    assert "replies" not in silent.output
