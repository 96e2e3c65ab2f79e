"""What runs by name, and what Dagster may start by itself: jobs, sensors and a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.pools import run_tags
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.watching import VERSION
from resources.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from resources.catalog import DatasetEntry

MEMORY = run_tags()
"""Of runs, which work on their steps in one container."""

ANNOTATE_CLUSTERS = dg.define_asset_job(
    "annotate_clusters",
    selection=dg.AssetSelection.assets(
        "leiden_clusters", "marker_table", "annotations", "scores", "boosted", "reviewed", "merged", "report"
    ),
    tags=MEMORY,
    description="Cluster a dataset at one resolution and name every cluster: from the graph to the report.",
)

PREPARE_CELLS = dg.define_asset_job(
    "prepare_cells",
    selection=dg.AssetSelection.assets("normalized_adata", "umap"),
    tags=MEMORY,
    description="Normalise a dataset, find its neighbour graph and lay it out; what all resolutions share.",
)

WRITE_ANNOTATED_FILE = dg.define_asset_job(
    "write_annotated_file",
    selection=dg.AssetSelection.assets("annotated_adata", "review"),
    tags=MEMORY,
    description="Write one file of a dataset's cells with the labels of all its resolutions, and review these.",
)

REANNOTATE = dg.define_asset_job(
    "reannotate",
    selection=dg.AssetSelection.assets("annotations", "scores", "boosted", "reviewed", "merged", "report"),
    tags=MEMORY,
    description=(
        "Ask the models anew about the clusters as they are, with other models or strategies if the launchpad says so. "
        "What was asked before and is the same is answered from the cache. Afterwards run write_annotated_file."
    ),
)

APPLY_MANUAL_LABELS = dg.define_asset_job(
    "apply_manual_labels",
    selection=dg.AssetSelection.assets("reviewed", "merged", "report"),
    tags=MEMORY,
    description=(
        "Lay the labels that persons gave over those of the models, and group and report anew; only the merger may be "
        "asked. Afterwards run write_annotated_file."
    ),
)

# Dagster runs no two levels of partitions in one job.
JOBS = (PREPARE_CELLS, ANNOTATE_CLUSTERS, WRITE_ANNOTATED_FILE, REANNOTATE, APPLY_MANUAL_LABELS)
"""Those that build on each other, in that order; then those that make a part of it anew."""


def levels_of(entry: DatasetEntry) -> Iterator[tuple[str, str, str | None]]:
    """List what makes a whole dataset, in order: a job's name, the partition, and its resolution if it has one."""
    if entry.has_cells:
        yield PREPARE_CELLS.name, entry.name, None
    for resolution in entry.clusterings:
        key = dg.MultiPartitionKey({"dataset": entry.name, "resolution": resolution})
        yield ANNOTATE_CLUSTERS.name, key, resolution
    if entry.has_cells:
        yield WRITE_ANNOTATED_FILE.name, entry.name, None


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
        run_tags=MEMORY,
        use_user_code_server=True,  # the daemon does not know conditions that are not Dagster's own
    )


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
            names = [entry.name for entry in Catalog.read_sound(catalog)[0].datasets if entry.has_cells]
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
