"""What runs by name, and what Dagster may start by itself: jobs, sensors and a schedule."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.partitions import BY_DATASET
from assets.raw_adata import observe
from cassia_dagster.errors import CassiaError, ConfigurationError
from resources.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resources.catalog import DatasetEntry

ANNOTATE_CLUSTERS = dg.define_asset_job(
    "annotate_clusters",
    selection=dg.AssetSelection.assets(
        "leiden_clusters", "marker_table", "annotations", "scores", "boosted", "merged", "report"
    ),
    description="Cluster a dataset at one resolution and name every cluster: from the graph to the report.",
)

PREPARE_CELLS = dg.define_asset_job(
    "prepare_cells",
    selection=dg.AssetSelection.assets("normalized_adata", "umap"),
    description="Normalise a dataset, find its neighbour graph and lay it out; what all resolutions share.",
)

WRITE_ANNOTATED_FILE = dg.define_asset_job(
    "write_annotated_file",
    selection=dg.AssetSelection.assets("annotated_adata"),
    description="Write one file of a dataset's cells with the labels of all its resolutions.",
)

# Dagster runs no two levels of partitions in one job.
JOBS = (PREPARE_CELLS, ANNOTATE_CLUSTERS, WRITE_ANNOTATED_FILE)
"""In the order in which they build on each other."""

VERSION = "dagster/data_version"


def automatic_runs() -> dg.SensorDefinition:
    """Make the sensor that evaluates the conditions of all assets."""
    return dg.AutomationConditionSensorDefinition(
        "request_changes",
        target=dg.AssetSelection.all(),
        description=(
            "Requests whatever the catalog lists and is missing or out of date, level by level. Models are asked, "
            "which may cost money; it starts stopped. Turn on watch_catalog too, which sees changed files."
        ),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=10,
        emit_backfills=False,
        use_user_code_server=True,  # the daemon does not know conditions that are not Dagster's own
    )


def watch_catalog(catalog: Path) -> dg.SensorDefinition:
    """Make the sensor that tells Dagster of datasets and of the content of their files.

    Parameters
    ----------
    catalog
        The YAML file of datasets.
    """

    @dg.sensor(
        name="watch_catalog",
        description=(
            "Makes a partition of every dataset in the catalog, and reports its file when its content or its entry "
            "is new. A file that is still being written waits until it stands still between two looks. Starts no run."
        ),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=10,
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
        try:
            sound, broken = Catalog.read_sound(catalog)
        except ConfigurationError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        entries = {entry.name: entry for entry in sound.datasets}
        after = {name: before[name] for name in broken if name in before}
        notes = [f"{trouble} {name} is left out until this is mended." for name, trouble in broken.items()]
        events = []
        for name, entry in entries.items():
            try:
                after[name], event, note = _look(entry, before.get(name, {}))
            except (OSError, CassiaError) as error:
                after[name], event, note = {**before.get(name, {}), "files": ""}, None, f"{name}: {error}"
            events += [event] if event else []
            notes += [note] if note else []
        known = set(context.instance.get_dynamic_partitions("dataset"))
        gone = sorted(known - {*entries, *broken})
        notes += [f"{name}: no longer in the catalog; its results are kept." for name in gone]
        new = [name for name in entries if name not in known]
        for note in notes:
            context.log.warning(note)
        return dg.SensorResult(
            asset_events=events,
            dynamic_partitions_requests=[BY_DATASET.build_add_request(new)] if new else [],
            cursor=json.dumps(after),
            skip_reason="\n".join(notes) or (None if events or new else "Nothing has changed."),
        )

    return watch


def prepare_changed_cells(catalog: Path) -> dg.ScheduleDefinition:
    """Make the schedule that prepares, by night, the cells of files that came or changed.

    Parameters
    ----------
    catalog
        The YAML file of datasets.
    """

    @dg.schedule(
        name="prepare_changed_cells",
        job=PREPARE_CELLS,
        cron_schedule="0 2 * * *",
        description=(
            "Every night at two: normalises and lays out the cells of each dataset in the catalog whose file is new "
            "or has changed since that was done. No model is asked and nothing is spent. Turn on watch_catalog too, "
            "which sees changed files; where request_changes is on, this finds nothing left to do."
        ),
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def prepare(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            names = [entry.name for entry in Catalog.read_sound(catalog)[0].datasets]
        except ConfigurationError as error:
            return dg.SkipReason(str(error))
        changed = []
        for name in names:
            there = _last_tags(context.instance, "raw_adata", asset_partitions=[name]).get(VERSION)
            made = _last_tags(context.instance, "normalized_adata", asset_partitions=[name])
            # Of a partitioned input Dagster notes a hash of versions, and the event that it read.
            event = made.get("dagster/input_event_pointer/raw_adata")
            used = _last_tags(context.instance, "raw_adata", storage_ids=[int(event)]).get(VERSION) if event else None
            if there and there != used:
                changed.append(dg.RunRequest(run_key=f"{name} {there}", partition_key=name))
        return changed or dg.SkipReason("The cells of every file that was reported are prepared.")

    return prepare


def _last_tags(instance: dg.DagsterInstance, asset: str, **which: Any) -> Mapping[str, str]:
    """Return the tags of the last materialization among those that are asked for; none if there is none."""
    records = instance.fetch_materializations(dg.AssetRecordsFilter(dg.AssetKey(asset), **which), limit=1).records
    for record in records:
        if record.asset_materialization:
            return record.asset_materialization.tags or {}
    return {}


def _look(
    entry: DatasetEntry, before: Mapping[str, str]
) -> tuple[dict[str, str], dg.AssetMaterialization | None, str | None]:
    """Look at a dataset's files; return what to remember, what to report, and what to say.

    Content is hashed only when the files' sizes and times, or the entry, differ from what was reported last.
    """
    files = _size_and_time(entry)
    said = hashlib.sha256(entry.model_dump_json().encode()).hexdigest()
    seen = {**before, "files": files}
    if before.get("files") != files:
        return seen, None, f"{entry.name}: {entry.path} is new or being written; it is looked at again in a moment."
    if before.get("reported") == f"{files} {said}":
        return seen, None, None
    event = observe(entry)
    if _size_and_time(entry) != files:
        return {**before, "files": ""}, None, f"{entry.name}: {entry.path} has changed while it was read."
    version = (event.tags or {})[VERSION]
    seen |= {"reported": f"{files} {said}", "version": version}
    # Where only the user's words are new, such as notes, they are shown anew; the same version starts nothing.
    known = version == before.get("version") and before.get("reported", "").endswith(said)
    return seen, (None if known else event), None


def _size_and_time(entry: DatasetEntry) -> str:
    """Return sizes and times of modification of a dataset's files, or say which one is missing."""
    paths = [entry.path, *entry.tables]
    if missing := [str(path) for path in paths if not path.exists()]:
        raise ConfigurationError(f"There is no file {missing[0]}. Put it back, or change its path in the catalog.")
    files = [part for path in paths for part in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    states = [file.stat() for file in files if file.is_file()]
    return " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)
