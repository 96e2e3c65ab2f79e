"""What runs by name, and what Dagster may start by itself: jobs, conditions, sensors and a schedule."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, override

import dagster as dg
import yaml
from pydantic import ValidationError

from assets.partitions import BY_DATASET
from assets.raw_adata import observe
from cassia_dagster.errors import CassiaError, ConfigurationError
from resources.catalog import Catalog, DatasetEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dagster._core.asset_graph_view.entity_subset import EntitySubset

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


class Listed(dg.AutomationCondition[dg.AssetKey]):
    """True of the datasets, and the pairs of dataset and resolution, that the catalog lists now.

    While the catalog as a whole cannot be read nothing is: the runs could not read it either.
    """

    def __init__(self, catalog: Path) -> None:
        self.catalog = catalog

    @property
    @override
    def name(self) -> str:
        return "listed_in_catalog"

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        return dg.AutomationResult(context, self.among(context, context.candidate_subset))

    def among(
        self, context: dg.AutomationContext[dg.AssetKey], subset: EntitySubset[dg.AssetKey]
    ) -> EntitySubset[dg.AssetKey]:
        """Return the part of an asset's partitions that the catalog lists."""
        if subset.is_empty:
            return subset
        try:
            entries = Catalog.read(self.catalog).datasets
        except ConfigurationError as error:
            context.log.warning("Nothing is requested until this is mended: %s", error)
            return context.asset_graph_view.get_empty_subset(key=subset.key)
        listed = {key for entry in entries for key in (entry.name, *_pairs(entry))}
        # Dagster refuses keys that are no partitions yet.
        return subset.compute_intersection_with_partition_keys(subset.expensively_compute_partition_keys() & listed)


class Unsettled(dg.AutomationCondition[dg.AssetKey]):
    """True where anything above, however far, is missing, failed, being made, or requested in this very tick.

    Many assets depend on the user's file and on what is made of it. Without this a changed file would have models
    asked about the old clusters first, and about the new ones after that.
    """

    def __init__(self, listed: Listed) -> None:
        self.listed = listed

    @property
    @override
    def name(self) -> str:
        return "unsettled_upstream"

    @override
    async def evaluate(  # type: ignore[override] # Dagster awaits it where it is a coroutine
        self, context: dg.AutomationContext[dg.AssetKey]
    ) -> dg.AutomationResult[dg.AssetKey]:
        if context.candidate_subset.is_empty:
            return dg.AutomationResult(context, context.candidate_subset)
        above = await self._above(context, context.key, {})
        return dg.AutomationResult(context, context.candidate_subset.compute_intersection(above))

    async def _above(
        self,
        context: dg.AutomationContext[dg.AssetKey],
        key: dg.AssetKey,
        known: dict[dg.AssetKey, EntitySubset[dg.AssetKey]],
    ) -> EntitySubset[dg.AssetKey]:
        """Return the partitions of an asset below something unsettled."""
        if key not in known:
            view = context.asset_graph_view
            below = view.get_empty_subset(key=key)
            for parent in sorted(context.asset_graph.get(key).parent_keys):
                above = await self._above(context, parent, known)
                unsettled = above.compute_union(await self._here(context, parent))
                below = below.compute_union(unsettled.compute_child_subset(key))
            known[key] = below
        return known[key]

    async def _here(self, context: dg.AutomationContext[dg.AssetKey], key: dg.AssetKey) -> EntitySubset[dg.AssetKey]:
        view = context.asset_graph_view
        everything = view.get_full_subset(key=key)
        here = context.request_subsets_by_key.get(key) or view.get_empty_subset(key=key)
        for compute in (
            view.compute_missing_subset,
            view.compute_execution_failed_subset,
            view.compute_run_in_progress_subset,
            view.compute_backfill_in_progress_subset,
        ):
            here = here.compute_union(await compute(key=key, from_subset=everything))
        return self.listed.among(context, here)


def on_change(catalog: Path) -> dg.AutomationCondition[dg.AssetKey]:
    """Request what is missing, or what something above or the code has changed, as far as the catalog lists it.

    What is made anew with the same data version starts nothing below it.

    Parameters
    ----------
    catalog
        The YAML file of datasets, read at every evaluation.
    """
    when = dg.AutomationCondition
    listed = Listed(catalog)
    trigger = (
        when.newly_missing()
        | (when.initial_evaluation() & when.missing())
        | when.code_version_changed()
        | when.any_deps_match(when.data_version_changed())
    )
    wanted = trigger.since(when.newly_requested()) | when.execution_failed().newly_true()
    return (wanted & listed & ~Unsettled(listed) & ~when.in_progress()).with_label("on_change")


def _pairs(entry: DatasetEntry) -> Iterator[str]:
    for resolution in entry.resolutions:
        yield dg.MultiPartitionKey({"dataset": entry.name, "resolution": resolution})


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
        minimum_interval_seconds=30,
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
        minimum_interval_seconds=30,
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
        try:
            entries, notes = _read_each(catalog)
        except ConfigurationError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        after: dict[str, dict[str, str]] = {}
        events = []
        for name, entry in entries.items():
            if entry is None:
                after |= {name: before[name]} if name in before else {}
                continue
            try:
                after[name], event, note = _look(entry, before.get(name, {}))
            except (OSError, CassiaError) as error:
                after[name], event, note = {**before.get(name, {}), "files": ""}, None, f"{name}: {error}"
            events += [event] if event else []
            notes += [note] if note else []
        known = set(context.instance.get_dynamic_partitions("dataset"))
        notes += [f"{name}: no longer in the catalog; its results are kept." for name in sorted(known - set(entries))]
        new = [name for name, entry in entries.items() if entry and name not in known]
        for note in notes:
            context.log.warning(note)
        return dg.SensorResult(
            asset_events=events,
            dynamic_partitions_requests=[BY_DATASET.build_add_request(new)] if new else [],
            cursor=json.dumps(after),
            skip_reason="\n".join(notes) or (None if events or new else "Nothing has changed."),
        )

    return watch


def _read_each(catalog: Path) -> tuple[dict[str, DatasetEntry | None], list[str]]:
    """Read the catalog entry by entry, so that a broken one stops no other; it is None, and there is a note of it."""
    try:
        return {entry.name: entry for entry in Catalog.read(catalog).datasets}, []
    except ConfigurationError as error:
        trouble = error
    try:
        rows = list(yaml.safe_load(catalog.read_text(encoding="utf-8"))["datasets"])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise trouble from None
    entries: dict[str, DatasetEntry | None] = {}
    for position, row in enumerate(rows):
        name = str(row.get("name", position)) if isinstance(row, dict) else str(position)
        try:
            # Of two entries with one name neither is the right one.
            entries[name] = None if name in entries else DatasetEntry.model_validate(row)
        except ValidationError:
            entries[name] = None
    broken = ", ".join(name for name, entry in entries.items() if entry is None)
    return entries, [f"{trouble} Left out: {broken or 'none'}. No run is started before this is mended."]


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
    version = (event.tags or {})["dagster/data_version"]
    seen |= {"reported": f"{files} {said}", "version": version}
    return seen, (event if version != before.get("version") else None), None


def _size_and_time(entry: DatasetEntry) -> str:
    """Return sizes and times of modification of a dataset's files, or say which one is missing."""
    paths = [entry.path, *([entry.label_terms] if entry.label_terms else [])]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise ConfigurationError(f"There is no file {missing[0]}. Put it back, or change its path in the catalog.")
    states = [path.stat() for path in paths]
    return " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)
