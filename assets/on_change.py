"""When an asset wants to be made: the condition that all of them share but the user's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, override

import dagster as dg

from assets.runs_behind import LeftToRetries, MadeTogether
from cassia_dagster.errors import ConfigurationError
from resources.catalog import Catalog, DatasetEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.asset_graph_view.entity_subset import EntitySubset


OF_CELLS = frozenset({"normalized_adata", "umap", "annotated_adata", "review"})
"""Assets that are made of cells, or of several clusterings of them: nothing of a marker table."""


class Listed(dg.AutomationCondition[dg.AssetKey]):
    """True of the datasets, and the pairs of dataset and resolution, that the catalog lists now.

    An entry that is broken lists nothing. While the catalog as a whole cannot be read nothing is listed: the runs
    could not read it either.
    """

    def __init__(self, catalog: Path) -> None:
        self.catalog = catalog
        self._known: tuple[Catalog, dict[str, frozenset[str]]] = (Catalog(), {})

    @property
    @override
    def name(self) -> str:
        return "listed_in_catalog"

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        return dg.AutomationResult(context, self.among(context, context.candidate_subset))

    def applies(self, entry: DatasetEntry, asset: str) -> bool:
        """Tell whether there is such an asset of a dataset."""
        return entry.has_cells or asset not in OF_CELLS

    def among(
        self, context: dg.AutomationContext[dg.AssetKey], subset: EntitySubset[dg.AssetKey]
    ) -> EntitySubset[dg.AssetKey]:
        """Return the part of an asset's partitions that the catalog lists."""
        if subset.is_empty:
            return subset
        try:
            catalog, _ = Catalog.read_sound(self.catalog)
        except ConfigurationError as error:
            context.log.warning("Nothing is requested until this is mended: %s", error)
            return context.asset_graph_view.get_empty_subset(key=subset.key)
        listed = self._keys(catalog, subset.key.to_user_string())
        # Dagster refuses keys that are no partitions yet.
        return subset.compute_intersection_with_partition_keys(subset.expensively_compute_partition_keys() & listed)

    def _keys(self, catalog: Catalog, asset: str) -> frozenset[str]:
        """Name the partitions that a catalog lists; once for each, for a tick asks hundreds of times."""
        if catalog is not self._known[0]:
            self._known = (catalog, {})
        kind, known = "cells" if asset in OF_CELLS else "any", self._known[1]
        if kind not in known:
            applies = (entry for entry in catalog.datasets if self.applies(entry, asset))
            known[kind] = frozenset(key for entry in applies for key in (entry.name, *_pairs(entry)))
        return known[kind]


class Imported(Listed):
    """True of the listed datasets that are marker tables."""

    @property
    @override
    def name(self) -> str:
        return "is_marker_table"

    @override
    def applies(self, entry: DatasetEntry, asset: str) -> bool:
        return not entry.has_cells


class Unsettled(dg.AutomationCondition[dg.AssetKey]):
    """True where anything above, however far, is missing, failed, being made, or requested in this very tick.

    Many assets depend on the user's file and on what is made of it. Without this a changed file would have models
    asked about the old clusters first, and about the new ones after that. What is requested right above, for the same
    partition, is no reason to wait: both go into one run, which makes the upper one first.
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
        above = await self._above(context, context.key, {}, spare_requested=True)
        return dg.AutomationResult(context, context.candidate_subset.compute_intersection(above))

    async def _above(
        self,
        context: dg.AutomationContext[dg.AssetKey],
        key: dg.AssetKey,
        known: dict[dg.AssetKey, EntitySubset[dg.AssetKey]],
        *,
        spare_requested: bool = False,
    ) -> EntitySubset[dg.AssetKey]:
        """Return the partitions of an asset below something unsettled."""
        if key not in known:
            view = context.asset_graph_view
            below = view.get_empty_subset(key=key)
            for parent in sorted(context.asset_graph.get(key).parent_keys):
                above = await self._above(context, parent, known)
                unsettled = above.compute_union(await self._here(context, parent))
                requested = context.request_subsets_by_key.get(parent)
                if spare_requested and requested and _in_one_run(context, key, parent):
                    unsettled = unsettled.compute_difference(requested)
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


def on_change(catalog: Path, asset: str = "") -> dg.AutomationCondition[dg.AssetKey]:
    """Request what is missing, or what something above or the code has changed, as far as the catalog lists it.

    What is made anew with the same data version starts nothing below it.

    Parameters
    ----------
    catalog
        The YAML file of datasets, read at every evaluation.
    asset
        Whose condition it is. The clusters of cells are made of the normalised cells, and what else is said of the
        dataset does not bear on them; those of a marker table are made of the user's file itself.
    """
    when = dg.AutomationCondition
    listed = Listed(catalog)
    # What a run makes that makes this asset too, after it, is no news to it.
    changed_elsewhere = when.data_version_changed() & ~MadeTogether()
    changed: dg.AutomationCondition = when.any_deps_match(changed_elsewhere)
    if asset == "leiden_clusters":
        not_the_file = when.any_deps_match(changed_elsewhere).ignore(dg.AssetSelection.assets("raw_adata"))
        changed = not_the_file | (changed & Imported(catalog))
    trigger = (
        when.newly_missing() | (when.initial_evaluation() & when.missing()) | when.code_version_changed() | changed
    )
    failed = when.execution_failed() & ~LeftToRetries()
    wanted = trigger.since(when.newly_requested()) | failed.newly_true()
    return (wanted & listed & ~Unsettled(listed) & ~when.in_progress()).with_label("on_change")


def _in_one_run(context: dg.AutomationContext[dg.AssetKey], key: dg.AssetKey, parent: dg.AssetKey) -> bool:
    """Tell whether Dagster makes a partition of two assets in one run: that of the same partitions, key by key."""
    graph = context.asset_graph
    same = graph.get(key).partitions_def == graph.get(parent).partitions_def
    return same and isinstance(graph.get_partition_mapping(key, parent), dg.IdentityPartitionMapping)


def _pairs(entry: DatasetEntry) -> Iterator[str]:
    for resolution in entry.clusterings:
        yield dg.MultiPartitionKey({"dataset": entry.name, "resolution": resolution})
