"""A project with automation switched on, whose runs are played by the test."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self
from unittest.mock import patch

import dagster as dg
from dagster._core.events import StepMaterializationData

from assets.manual_labels import manual_labels
from cassia_dagster.definitions import build_defs
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        # Dagster's daemon remembers the partitions within a tick; this function asks for them hundreds of times.
        once = cache(self.instance.get_dynamic_partitions)
        with patch.object(self.instance, "get_dynamic_partitions", once):
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


@dataclass(frozen=True, slots=True)
class Finished:
    """A project that others begin with, as it was when it was made: conditions and cursors know its place."""

    project: Project
    copy: Path

    @classmethod
    def made_in(cls, folder: Path, instance: dg.DagsterInstance) -> Self:
        """Make all of one dataset, until nothing is left to do."""
        project = Project(folder / "project", instance)
        project.files.mkdir()
        project.requested()
        project.write(project.entry("islets", resolutions=["0.4", "1.2"]))
        project.settle()
        project.walk()
        return cls(project, shutil.copytree(project.files, folder / "copy"))

    @contextmanager
    def again(self) -> Iterator[Project]:
        """Give the project as it was, whatever has been made of it since."""
        before = self.project
        shutil.rmtree(before.files)
        shutil.copytree(self.copy, before.files)
        with copied(before.instance) as instance:
            project = Project(before.files, instance)
            project.cursor, project.evaluations = before.cursor, before.evaluations
            project.versions |= before.versions
            project.settle()  # the files are others, with the same content
            yield project


def copied(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """Copy an instance that is held in memory, with its runs and events."""
    copy = dg.DagsterInstance.ephemeral()
    for storage in ("run_storage", "event_log_storage"):
        held, empty = (getattr(one, storage)._held_conn.connection.dbapi_connection for one in (instance, copy))
        held.backup(empty)
    return copy


def skip_message(result: dg.SensorResult) -> str:
    return (result.skip_reason.skip_message if result.skip_reason else None) or ""
