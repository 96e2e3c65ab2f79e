"""Tests of making a project's home."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg
import pytest

from cassia_dagster import project
from cassia_dagster.errors import ConfigurationError

HOMES = 3
AT_ONCE = 3


def first_starts(folder: Path, together: Barrier) -> None:
    """Do in each of some new homes what a command does, at the same moment as the other processes."""
    for number in range(HOMES):
        together.wait(timeout=100)
        project.prepare_home(folder / str(number))
        with dg.DagsterInstance.get() as instance:
            instance.get_runs_count()
            instance.all_asset_keys()
            instance.all_instigator_state()


@pytest.mark.long
def test_commands_may_make_a_home_at_the_same_moment(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")  # a fork would share what SQLite must not
    together = spawn.Barrier(AT_ONCE)
    commands = [spawn.Process(target=first_starts, args=(tmp_path, together), daemon=True) for _ in range(AT_ONCE)]
    for command in commands:
        command.start()
    for command in commands:
        command.join(timeout=300)
    assert [command.exitcode for command in commands] == [0] * AT_ONCE
    assert not list(tmp_path.glob("*/dagster/*.new"))


def test_a_home_that_another_command_never_finishes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(project, "SECONDS_TO_MAKE", 0.1)
    monkeypatch.setenv("CASSIA_HOME", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    (tmp_path / "dagster").mkdir()
    with FileLock(tmp_path / "dagster" / "making.lock"), pytest.raises(ConfigurationError, match="Another command"):
        project.prepare_home(tmp_path)


def test_places_that_are_named_from_this_folder_are_the_same_from_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    for variable in ("CASSIA_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("CASSIA_ARTIFACTS", "atlas")
    monkeypatch.setenv("CASSIA_MODEL_STORE", "replies.sqlite")
    monkeypatch.setenv("CASSIA_MANUAL_LABELS", "labels.yaml")
    home = project.prepare_home(None)
    monkeypatch.chdir(elsewhere)  # as the web server and the daemon do
    places = [str(place) for place in (home.artifacts, home.model_store, home.manual_labels)]
    assert places == [str(here / name) for name in ("atlas", "replies.sqlite", "labels.yaml")]


def test_addresses_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CASSIA_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("CASSIA_MODEL_STORE", "postgresql://cassia@db.lab/cassia")
    assert project.prepare_home(tmp_path).model_store == "postgresql://cassia@db.lab/cassia"
