"""Tests of where a project keeps its state."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.home import Home


def test_a_home_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CASSIA_HOME", str(tmp_path / "project"))
    assert Home.from_environment().root == tmp_path / "project"


@pytest.mark.parametrize("value", [None, ""])
def test_a_home_is_in_the_current_folder_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CASSIA_HOME")
    if value is not None:
        monkeypatch.setenv("CASSIA_HOME", value)
    assert Home.from_environment().root == tmp_path / ".cassia"


def test_a_home_stays_where_it_is_when_the_current_folder_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASSIA_HOME", "project")
    assert Home.from_environment().root == tmp_path / "project"


def test_a_home_under_the_users_own_folder_may_be_written_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CASSIA_HOME", "~/project")
    assert Home.from_environment().root == tmp_path / "project"


def test_everything_lies_in_the_home_and_nothing_twice(tmp_path: Path) -> None:
    home = Home(tmp_path)
    places = {home.dagster, home.artifacts, home.downloads, home.model_store, home.catalog}
    assert len(places) == 5
    assert {place.parent for place in places} == {tmp_path}
    assert not list(tmp_path.iterdir()), "to name a home makes nothing"
