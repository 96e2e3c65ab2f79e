"""What Dagster would do by itself, tick by tick: what it registers, what it requests, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.execution.api import create_execution_plan
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from assets.manual_labels import manual_labels
from assets.raw_adata import observe
from cassia_dagster.definitions import build_defs
from cassia_dagster.launcher import WHOLE_TAG
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

LAUNCHED = RemoteJobOrigin(
    RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", 3030), "__repository__"), "__ASSET_JOB"
)
"""What Dagster notes of a run that it launches."""
LAST = ("annotated_adata", "review")
CHAIN = ["leiden_clusters", "marker_table", "annotations", "scores", "boosted", "reviewed", "merged", "report"]
CELLS = {"normalized_adata", "umap"}


class Project:
    """A project with automation switched on, whose runs are played by the test."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.home = Home(root / "home")
        self.files = root
        self.instance = instance
        self.definitions = build_defs(self.home)
        self.cursor: str | None = None
        self.evaluations = None
        self.versions: dict[tuple[str, str], int] = {}

    def write(self, *entries: DatasetEntry) -> None:
        Catalog(datasets=entries).write(self.home.catalog)

    def entry(self, name: str, **said: object) -> DatasetEntry:
        path = self.files / f"{name}.h5ad"
        path.write_bytes(name.encode())
        return DatasetEntry.model_validate({"name": name, "path": path, "tissue": "pancreas"} | said)

    def watch(self) -> dg.SensorResult:
        sensor = self.definitions.resolve_sensor_def("watch_catalog")
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.definitions
        ) as context:
            result = sensor(context)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.labelled = [event.partition for event in result.asset_events if event.asset_key == manual_labels.key]
        of_files = [event for event in result.asset_events if event.asset_key != manual_labels.key]
        return result._replace(asset_events=of_files)

    def settle(self) -> None:
        """Look twice, as a file must stand still between two looks."""
        self.watch()
        self.watch()

    def requested(self) -> dict[str, set[str]]:
        """Evaluate all conditions once; return the partitions that they request, by asset."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.evaluations)
        self.evaluations = result.cursor
        keys = [dg.AssetKey(name) for name in [*CELLS, *CHAIN, *LAST]]
        wanted = {key.to_user_string(): set(result.get_requested_partitions(key)) for key in keys}
        return {name: partitions for name, partitions in wanted.items() if partitions}

    def make(self, requested: dict[str, set[str]], *, anew: bool = True) -> None:
        """Play the runs: every request succeeds, with a new data version or the old one."""
        for name, partitions in requested.items():
            for partition in partitions:
                version = self.versions.get((name, partition), 0) + anew
                self.versions[name, partition] = version
                self.instance.report_runless_asset_event(
                    dg.AssetMaterialization(name, partition=partition, tags={"dagster/data_version": str(version)})
                )

    def make_in_runs(self, requested: dict[str, set[str]]) -> None:
        """Play the runs as the daemon launches them: one a partition, with all that is requested of it."""
        for partition in set().union(*requested.values()):
            keys = [dg.AssetKey(name) for name, partitions in requested.items() if partition in partitions]
            run = self.instance.create_run_for_job(
                self.definitions.resolve_implicit_global_asset_job_def(),
                asset_selection=frozenset(keys),
                tags={"dagster/partition": partition},
            )
            for key in keys:
                made = dg.AssetMaterialization(key, partition=partition, tags={"dagster/data_version": run.run_id})
                data = StepMaterializationData(made, [])
                event = dg.DagsterEvent("ASSET_MATERIALIZATION", run.job_name, event_specific_data=data)
                self.instance.report_dagster_event(event, run.run_id)

    def walk(self, *, anew: bool = True) -> list[dict[str, set[str]]]:
        """Evaluate and play the runs until nothing more is requested."""
        ticks = []
        while requested := self.requested():
            ticks.append(requested)
            self.make(requested, anew=anew)
            assert len(ticks) < 30, ticks
        return ticks


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path, instance)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Project]:
    """A project with its instance on disk, as Dagster wants it for schedules."""
    with dg.instance_for_test() as instance:
        yield Project(tmp_path, instance)


@pytest.fixture
def finished(project: Project) -> Project:
    """A project in which all of one dataset was made, and nothing is left to do."""
    project.requested()
    project.write(project.entry("islets", resolutions=["0.4", "1.2"]))
    project.settle()
    project.walk()
    return project


def skip_message(result: dg.SensorResult) -> str:
    return (result.skip_reason.skip_message if result.skip_reason else None) or ""


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


def test_a_dataset_without_its_file_yet_is_not_asked_for(project):
    project.write(project.entry("islets"))
    project.watch()
    assert project.requested() == {}


def test_a_new_dataset_is_made_level_by_level_for_the_resolutions_that_it_lists(project):
    project.requested()
    project.write(project.entry("islets", resolutions=["0.4", "1.2"]))
    project.settle()
    pairs = {"islets|0.4", "islets|1.2"}
    assert project.walk() == [
        {name: {"islets"} for name in CELLS},
        dict.fromkeys(CHAIN, pairs),
        {name: {"islets"} for name in LAST},
    ]


def test_a_run_that_takes_longer_than_a_look_is_not_requested_again(project):
    project.requested()
    project.write(project.entry("islets", resolutions=["0.4", "1.2"]))
    project.settle()
    for level in (CELLS, set(CHAIN), set(LAST)):
        requested = project.requested()
        assert set(requested) == level
        assert project.requested() == {}
        project.make_in_runs(requested)
    assert project.requested() == {}


def test_what_the_run_of_a_whole_job_makes_is_no_news_to_what_it_makes_itself(finished):
    # As the launchpad and schedules do, which choose none of a job's assets.
    job, partition = finished.definitions.resolve_job_def("prepare_cells"), {"dagster/partition": "islets"}
    plan = create_execution_plan(job, tags=partition)
    run = finished.instance.create_run_for_job(job, execution_plan=plan, tags=partition)
    assert not run.asset_selection
    for key in CELLS:
        made = dg.AssetMaterialization(key, partition="islets", tags={"dagster/data_version": run.run_id})
        data = StepMaterializationData(made, [])
        event = dg.DagsterEvent("ASSET_MATERIALIZATION", run.job_name, event_specific_data=data)
        finished.instance.report_dagster_event(event, run.run_id)
    requested = finished.requested()
    assert "leiden_clusters" in requested
    assert "umap" not in requested


def test_of_a_marker_table_no_cells_are_asked_for(project):
    project.requested()
    project.write(project.entry("lists", kind="markers"))
    project.settle()
    asked = {asset for tick in project.walk() for asset in tick}
    assert not asked & {"normalized_adata", "umap", "annotated_adata"}


def test_what_was_there_before_automation_was_switched_on_is_made_too(project):
    project.write(project.entry("islets", resolutions=["0.8"]))
    project.settle()
    assert [set(tick) for tick in project.walk()][-1] == set(LAST)


def test_nothing_changes_and_nothing_is_requested(finished):
    result = finished.watch()
    assert not result.asset_events
    assert finished.requested() == {}


def test_a_changed_file_has_only_its_own_dataset_made_anew_each_asset_once(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets, finished.entry("liver", resolutions=["0.8"]))
    finished.settle()
    finished.walk()
    islets.path.write_bytes(b"other counts")
    finished.settle()
    ticks = finished.walk()
    assert ticks[0] == {"normalized_adata": {"islets"}}
    assert len(ticks) == 4  # the cells; what they decide; what a person's labels would bear on; the file of all
    assert sorted(name for tick in ticks for name in tick) == sorted([*CELLS, *CHAIN, *LAST])
    assert {key.partition("|")[0] for tick in ticks for keys in tick.values() for key in keys} == {"islets"}


def test_a_label_that_a_person_gave_has_what_shows_it_made_anew_and_nothing_above(finished):
    said = "- {dataset: islets, resolution: 0.4, cluster: 3, label: beta cell, who: ana, why: INS, date: 2026-11-26}"
    finished.home.manual_labels.write_text(said)
    finished.watch()
    assert finished.labelled == ["islets"]
    assert {name for tick in finished.walk() for name in tick} == {"reviewed", "merged", "report", *LAST}
    finished.watch()
    assert finished.labelled == []
    finished.home.manual_labels.write_text("words")
    assert "must be a list of rows" in skip_message(finished.watch())
    assert finished.walk() == []


def test_what_comes_out_the_same_starts_nothing_below_it(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets.model_copy(update={"tissue": "liver"}))
    finished.settle()
    redone = {name for tick in finished.walk(anew=False) for name in tick}
    # What the entry says of models and thresholds bears on all roles; clusters and markers have nothing to do with it.
    assert redone == {"normalized_adata", "annotations", "scores", "boosted", "merged", "report", *LAST}


def test_what_the_launchpad_made_stays_until_an_input_changes(finished):
    finished.make({"annotations": {"islets|0.4"}})  # by hand, with another model
    redone = finished.walk()
    assert {name for tick in redone for name in tick} == {"scores", "boosted", "reviewed", "merged", "report", *LAST}
    assert finished.walk() == []
    (finished.files / "islets.h5ad").write_bytes(b"other cells")
    finished.settle()
    assert any("annotations" in tick for tick in finished.walk())


def test_a_resolution_that_is_listed_later_is_made_later(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets.model_copy(update={"resolutions": ("0.4", "0.8", "1.2")}))
    finished.settle()
    ticks = finished.walk(anew=False)
    assert [tick["leiden_clusters"] for tick in ticks if "leiden_clusters" in tick] == [{"islets|0.8"}]
    assert "annotated_adata" in ticks[-1]


def test_a_failure_is_tried_once_more_and_stops_what_is_below(project):
    project.requested()
    project.write(project.entry("islets", resolutions=["0.8"]))  # no AnnData file
    project.settle()
    job = project.definitions.resolve_job_def("prepare_cells")
    requests = 0
    for _ in range(5):
        requested = project.requested()
        assert set(requested) in (set(), CELLS)
        if requested:
            requests += 1
            run = job.execute_in_process(
                partition_key="islets",
                instance=project.instance,
                asset_selection=[dg.AssetKey(name) for name in requested],
                raise_on_error=False,
            )
            assert not run.success
    assert requests == 2


def test_what_run_retries_launch_again_is_left_to_them(tmp_path):
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 3}}) as instance:
        project = Project(tmp_path, instance)
        project.requested()
        project.write(project.entry("islets", resolutions=["0.8"]))
        project.settle()
        requested = project.requested()
        run = instance.create_run_for_job(
            project.definitions.resolve_implicit_global_asset_job_def(),
            asset_selection=frozenset(map(dg.AssetKey, requested)),
            tags={"dagster/partition": "islets"},
            remote_job_origin=LAUNCHED,
        )
        instance.report_run_failed(run)  # as run monitoring does when its worker is gone
        assert instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == "true"
        assert project.requested() == {}
        # When it has failed as often as it may, automation tries once, as it does where nobody retries.
        instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
        assert project.requested() == requested
        assert project.requested() == {}


@pytest.mark.parametrize("is_level", [False, True], ids=["of the command line", "a level of a job"])
def test_what_nobody_launched_no_run_retries_launch_again(tmp_path, is_level):
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 3}}) as instance:
        project = Project(tmp_path, instance)
        project.requested()
        project.write(project.entry("islets", resolutions=["0.8"]))
        project.settle()
        requested = project.requested()
        whole = instance.create_run_for_job(
            project.definitions.resolve_job_def("annotate_dataset"),
            run_config={"ops": {"run_levels": {"config": {"dataset": "islets"}}}},
            remote_job_origin=LAUNCHED,
        )
        run = instance.create_run_for_job(
            project.definitions.resolve_implicit_global_asset_job_def(),
            asset_selection=frozenset(map(dg.AssetKey, requested)),
            tags={"dagster/partition": "islets"} | ({WHOLE_TAG: whole.run_id} if is_level else {}),
        )
        instance.report_run_failed(run)
        if is_level:
            assert project.requested() == {}, "the job may be launched again"
            instance.add_run_tags(whole.run_id, {"dagster/will_retry": "false"})
        assert project.requested() == requested


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


def test_a_broken_entry_does_not_keep_the_others_from_being_made(project):
    project.requested()
    project.write(project.entry("there", resolutions=["0.8"]))
    project.home.catalog.write_text(project.home.catalog.read_text() + "- name: broken\n  path: x.h5ad\n")
    project.settle()
    assert project.walk()[0] == {name: {"there"} for name in CELLS}


def test_new_notes_are_shown_and_start_nothing(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets.model_copy(update={"notes": "asked the authors"}))
    (event,) = finished.watch().asset_events
    assert event.metadata["notes"].value == "asked the authors"
    assert finished.requested() == {}


def test_runs_wait_until_a_broken_catalog_is_mended_and_then_go_on(project):
    project.requested()
    project.write(project.entry("there", resolutions=["0.8"]))
    project.settle()
    good = project.home.catalog.read_text()
    project.home.catalog.write_text("datasets: [")
    assert "not valid YAML" in skip_message(project.watch())
    assert project.requested() == {}
    project.home.catalog.write_text(good)
    assert project.requested() == {name: {"there"} for name in CELLS}


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


def test_every_asset_but_the_users_file_has_the_condition(project):
    specs = {spec.key.to_user_string(): spec for spec in project.definitions.resolve_all_asset_specs()}
    assert specs.pop("raw_adata").automation_condition is None
    assert specs.pop("manual_labels").automation_condition is None
    made = [spec for spec in specs.values() if spec.group_name != "analyses"]  # those wait for a user
    assert all(spec.automation_condition.get_label() == "on_change" for spec in made)


def test_a_folder_of_files_is_watched_like_a_file(project):
    folder = project.files / "filtered"
    folder.mkdir()
    (folder / "matrix.mtx").write_bytes(b"counts")
    project.write(project.entry("tenx", path=folder))
    project.settle()
    (folder / "genes.tsv").write_bytes(b"INS")
    assert not project.watch().asset_events
    assert len(project.watch().asset_events) == 1
