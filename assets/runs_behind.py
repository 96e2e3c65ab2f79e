"""What automation asks of the runs behind a change or a failure, so that nothing is requested twice."""

from __future__ import annotations

from abc import abstractmethod
from typing import override

import dagster as dg

from cassia_dagster.launcher import WHOLE_TAG

WILL_RETRY = "dagster/will_retry"
"""The tag by which Dagster says of a failed run whether `run_retries` launches it again."""


class OfRuns(dg.AutomationCondition[dg.AssetKey]):
    """True of the partitions of an asset of which something is true of the run behind them."""

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        candidates = context.candidate_subset
        instance, root = context.asset_graph_view.instance, context.root_context.key
        true = {
            key
            for key in candidates.expensively_compute_partition_keys()
            if self.holds(instance, context.key, key, root)
        }
        return dg.AutomationResult(context, candidates.compute_intersection_with_partition_keys(true))

    @abstractmethod
    def holds(self, instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str, root: dg.AssetKey) -> bool:
        """Tell whether it is true of a partition of an asset; `root` is the asset whose condition this is part of."""


class MadeTogether(OfRuns):
    """True where the run that made this last makes the asset, whose condition this is, after it.

    Dagster's own condition looks at one partition of an asset only, the last that was made.
    """

    @property
    @override
    def name(self) -> str:
        return "made_together"

    @override
    def holds(self, instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str, root: dg.AssetKey) -> bool:
        made = dg.AssetRecordsFilter(asset, asset_partitions=[partition])
        for record in instance.fetch_materializations(made, limit=1).records:
            run = instance.get_run_by_id(record.run_id)
            return run is not None and root in (run.asset_selection or _planned(instance, run))
        return False


class LeftToRetries(OfRuns):
    """True where the run that failed is one that Dagster's `run_retries` launches again by itself."""

    @property
    @override
    def name(self) -> str:
        return "left_to_run_retries"

    @override
    def holds(self, instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str, root: dg.AssetKey) -> bool:
        planned = instance.event_log_storage.get_latest_planned_materialization_info(asset, partition)
        run = instance.get_run_by_id(planned.run_id) if planned and instance.run_retries_enabled else None
        if run is not None and not run.remote_job_origin and WHOLE_TAG in run.tags:
            run = instance.get_run_by_id(run.tags[WHOLE_TAG])
        # Only a run that was launched can be launched again. For a moment after the failure it is not said whether.
        return run is not None and bool(run.remote_job_origin) and run.tags.get(WILL_RETRY, "true") == "true"


def _planned(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[dg.AssetKey]:
    """Name what a run of a whole job makes: where nobody chose among its assets, Dagster notes no selection."""
    planned = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    keys = (record.asset_key for record in planned.records)
    return {key for key in keys if key}
