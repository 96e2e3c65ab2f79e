"""What sensors and schedules see and say: new, changed, broken, missing files; and all are off at first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets.raw_adata import observe
from resources.catalog import Catalog
from tests.automated import Project, skip_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Project]:
    """A project with its instance on disk, as Dagster wants it for schedules."""
    with dg.instance_for_test() as instance:
        yield Project(tmp_path, instance)


def test_an_empty_catalog_asks_for_nothing(project):
    result = project.watch()
    assert not result.asset_events
    assert not result.dynamic_partitions_requests
    assert skip_message(result) == "Nothing has changed."
    assert project.requested() == {}


def test_a_new_dataset_is_registered_at_once_and_reported_when_its_file_stands_still(project):
    entry = project.entry("islets")
    project.write(entry)
    first = project.watch()
    assert first.dynamic_partitions_requests[0].partition_keys == ["islets"]
    assert not first.asset_events
    assert project.labelled == ["islets"]
    assert "islets" in skip_message(first)
    second = project.watch()
    (event,) = second.asset_events
    assert (event.asset_key, event.partition, event.tags) == (
        observe(entry).asset_key,
        "islets",
        observe(entry).tags,
    )
    third = project.watch()
    assert not third.asset_events
    assert not third.dynamic_partitions_requests


def test_nothing_changes_and_nothing_is_requested(finished):
    result = finished.watch()
    assert not result.asset_events
    assert finished.requested() == {}


def test_a_file_that_is_still_written_waits(finished):
    path = Catalog.read(finished.home.catalog).entry("islets").path
    for content in (b"half", b"half of", b"half of it"):
        path.write_bytes(content)
        result = finished.watch()
        assert not result.asset_events
        assert "being written" in skip_message(result)
    assert len(finished.watch().asset_events) == 1


def test_a_file_that_was_only_touched_is_not_reported(finished):
    path = Catalog.read(finished.home.catalog).entry("islets").path
    os.utime(path, (1, 1))
    assert not finished.watch().asset_events
    assert not finished.watch().asset_events
    assert finished.requested() == {}


def test_a_file_that_stays_the_same_is_read_once(finished, monkeypatch):
    monkeypatch.setattr("cassia_dagster.watching.fingerprint", lambda path: pytest.fail(f"read {path}"))
    finished.watch()


def test_a_missing_file_is_named_and_stops_no_other(project):
    gone, there = project.entry("gone"), project.entry("there")
    gone.path.unlink()
    project.write(gone, there)
    project.watch()
    result = project.watch()
    assert [event.partition for event in result.asset_events] == ["there"]
    assert f"gone: There is no file {gone.path}" in skip_message(result)


def test_a_broken_entry_is_named_and_stops_no_other(project):
    there = project.entry("there")
    project.write(there)
    text = project.home.catalog.read_text()
    project.home.catalog.write_text(text + "- name: broken\n  path: x.h5ad\n  tissue: liver\n  species: yeti\n")
    first = project.watch()
    assert first.dynamic_partitions_requests[0].partition_keys == ["there"]
    result = project.watch()
    assert [event.partition for event in result.asset_events] == ["there"]
    assert "broken" in skip_message(result)
    assert "species" in skip_message(result)


def test_new_notes_are_shown_and_start_nothing(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets.model_copy(update={"notes": "asked the authors"}))
    (event,) = finished.watch().asset_events
    assert event.metadata["notes"].value == "asked the authors"
    assert finished.requested() == {}


def test_a_dataset_that_left_the_catalog_is_told_and_kept(finished):
    finished.write()
    result = finished.watch()
    assert not result.dynamic_partitions_requests
    assert "islets: no longer in the catalog" in skip_message(result)
    assert finished.instance.get_dynamic_partitions("dataset") == ["islets"]
    assert finished.requested() == {}


def prepared_tonight(project):
    schedule = project.definitions.resolve_schedule_def("prepare_changed_cells")
    with dg.build_schedule_context(
        instance=project.instance, repository_def=project.definitions.get_repository_def()
    ) as context:
        tick = schedule.evaluate_tick(context)
    return [request.partition_key for request in tick.run_requests], tick.skip_message


@pytest.mark.long
def test_by_night_the_cells_of_new_and_changed_files_are_prepared_and_no_others(recorded, islets_path):
    project = recorded
    assert prepared_tonight(project)[0] == []
    entry = project.entry("islets")
    entry.path.write_bytes(islets_path.read_bytes())
    project.write(entry)
    assert prepared_tonight(project)[0] == []  # nobody has seen the file yet
    project.settle()
    assert prepared_tonight(project)[0] == ["islets"]
    run = project.definitions.resolve_job_def("prepare_cells").execute_in_process(
        partition_key="islets", instance=project.instance
    )
    assert run.success
    assert prepared_tonight(project) == ([], "The cells of every file that was reported are prepared.")
    project.write(entry.model_copy(update={"context": "donor 2"}))
    project.settle()
    assert prepared_tonight(project)[0] == ["islets"]
    project.write()
    assert prepared_tonight(project)[0] == []


def test_all_automation_is_stopped_until_someone_starts_it(project):
    repository = project.definitions.get_repository_def()
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert set(sensors) == {"watch_catalog", "request_changes"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.STOPPED for sensor in sensors.values())
    assert all(len(sensor.description or "") > 100 for sensor in sensors.values())
    assert {schedule.name for schedule in repository.schedule_defs} == {"prepare_changed_cells", "weekly_canary"}
    assert all(one.default_status is dg.DefaultScheduleStatus.STOPPED for one in repository.schedule_defs)
    assert all(len(one.description or "") > 100 for one in repository.schedule_defs)


def test_a_folder_of_files_is_watched_like_a_file(project):
    folder = project.files / "filtered"
    folder.mkdir()
    (folder / "matrix.mtx").write_bytes(b"counts")
    project.write(project.entry("tenx", path=folder))
    project.settle()
    (folder / "genes.tsv").write_bytes(b"INS")
    assert not project.watch().asset_events
    assert len(project.watch().asset_events) == 1
