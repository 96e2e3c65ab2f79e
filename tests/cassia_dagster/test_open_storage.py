"""Tests of databases that stay open: others see what is written at once, and few stay open."""

from __future__ import annotations

import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef

from cassia_dagster.open_storage import MOST_RUNS, OpenStorage, left_open
from cassia_dagster.project import prepare_home
from cassia_dagster.walk import open_instance
from resources.home import Home


@dg.asset
def cells() -> int:
    return 1


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return prepare_home(tmp_path / "home")


def open_databases(home: Home) -> list[str]:
    found = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sorted({path.name for path in found if path.suffix == ".db" and home.dagster in path.parents})


def made_in(instance: dg.DagsterInstance) -> int:
    wanted = dg.AssetRecordsFilter(cells.key)
    return len(instance.fetch_materializations(wanted, limit=100).records)


def test_others_see_what_is_written_while_the_databases_are_open_and_write_to_them_too(home: Home) -> None:
    with open_instance(home) as instance, dg.DagsterInstance.from_config(str(home.dagster)) as other:
        assert instance.get_ref().storage_data.class_name == OpenStorage.__name__
        dg.materialize([cells], instance=instance)
        assert made_in(other) == 1
        assert [run.status for run in other.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
        dg.materialize([cells], instance=other)
        assert made_in(instance) == 2
        assert len(instance.get_runs()) == 2
        instance.add_dynamic_partitions("dataset", ["blood"])
        assert other.has_dynamic_partition("dataset", "blood")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs a system that tells which files are open")
def test_few_databases_stay_open_and_none_when_the_instance_is_closed(home: Home) -> None:
    with open_instance(home) as instance:
        runs = [dg.materialize([cells], instance=instance).run_id for _ in range(MOST_RUNS + 2)]
        last = {f"{run}.db" for run in runs[-MOST_RUNS:]}
        assert set(open_databases(home)) == last | {"index.db", "runs.db"}
        assert made_in(instance) == len(runs)
        for run in runs:
            assert instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert open_databases(home) == []


def test_who_watches_a_run_hears_of_its_events_while_its_database_is_open(home: Home) -> None:
    with open_instance(home) as instance, dg.DagsterInstance.from_config(str(home.dagster)) as other:
        run = dg.materialize([cells], instance=instance).dagster_run
        heard, told = list[str](), threading.Event()

        def hear(event: dg.EventLogEntry, _: str) -> None:
            heard.append(event.message)
            if event.message == "later":
                told.set()

        other.watch_event_logs(run.run_id, None, hear)
        instance.report_engine_event("later", run)
        assert told.wait(20), heard
        other.end_watch_event_logs(run.run_id, hear)


def test_what_was_wiped_is_written_anew(home: Home) -> None:
    with open_instance(home) as instance:
        run = dg.materialize([cells], instance=instance).dagster_run
        instance.wipe()
        assert made_in(instance) == 0
        instance.report_engine_event("later", run)  # its database was open, and is gone
        dg.materialize([cells], instance=instance)
        with dg.DagsterInstance.from_config(str(home.dagster)) as other:
            assert made_in(other) == 1
            assert [event.message for event in other.all_logs(run.run_id)] == ["later"]


def test_an_instance_that_keeps_its_records_elsewhere_is_left_as_it_is(home: Home) -> None:
    elsewhere = {"storage": {"postgres": {"postgres_url": "postgresql://lab/dagster"}}}
    assert left_open(InstanceRef.from_dir(str(home.dagster), overrides=elsewhere)) == {}
    own = {"storage": {"sqlite": {"base_dir": str(home.dagster / "own")}}}
    settings = left_open(InstanceRef.from_dir(str(home.dagster), overrides=own))
    assert settings["storage"]["custom"]["config"] == {"base_dir": str(home.dagster / "own")}


def test_records_that_the_user_keeps_in_another_folder_are_found_there(home: Home) -> None:
    own = home.dagster / "own"
    with (home.dagster / "dagster.yaml").open("a", encoding="utf-8") as settings:
        settings.write(f"\nstorage:\n  sqlite:\n    base_dir: {own}\n")
    with open_instance(home) as instance:
        dg.materialize([cells], instance=instance)
    with dg.DagsterInstance.from_config(str(home.dagster)) as other:
        assert made_in(other) == 1
    assert list(own.rglob("index.db"))
