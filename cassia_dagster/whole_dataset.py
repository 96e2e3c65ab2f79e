"""The job that takes a dataset through all levels of partitions, as the command line does, from one launchpad."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.manual_labels import observe_labels
from assets.raw_adata import observe
from cassia_dagster.automation import levels_of
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.launcher import HOST_TAG, PROCESS_TAG, WHOLE_TAG, tells_of_levels
from cassia_dagster.processes import name_of_process
from cassia_dagster.unchanged import kept_artifacts
from cassia_dagster.waits import interrupts_end_waits
from resources.catalog import CatalogResource, DatasetEntry
from resources.manual_labels import ManualLabelsFile, read_manual_labels
from resources.storage import TableIOManager


class WholeDatasetConfig(dg.Config):
    """Which dataset is annotated."""

    dataset: str = Field(description="Its name in the catalog.")
    fresh: bool = Field(
        default=False,
        description="Make cells, clusters and markers again, also where the same file, code and parameters have made "
        "them before.",
    )


@dg.op(description="Run each level of a dataset in turn: its cells, each resolution, the annotated file.")
def run_levels(
    context: dg.OpExecutionContext,
    config: WholeDatasetConfig,
    catalog: CatalogResource,
    manual_labels_file: ManualLabelsFile,
    table_storage: dg.ResourceParam[TableIOManager],
) -> None:
    """Run the job of each level in this process, each as a run of its own.

    Dagster runs no two levels of partitions in one job, so that this one holds no assets: it starts the jobs that do.
    Their runs bear the id of this one as a tag. The first that fails ends it; what was made stays.
    """
    with fatal_errors():
        if not tells_of_levels(context.instance):
            raise ConfigurationError(
                "The run launcher of this instance would take the levels of the dataset, which this process executes, "
                "for dead. Start prepare_cells, annotate_clusters and write_annotated_file instead, or switch on "
                "request_changes."
            )
        entry = catalog.entry(config.dataset)
        labels = Path(manual_labels_file.path)
        said = observe_labels(entry.name, labels, read_manual_labels(labels))
        seen = observe(entry)
    context.instance.add_dynamic_partitions("dataset", [entry.name])
    for event in (seen, said):
        context.instance.report_runless_asset_event(event)
    for name, key, resolution, kept in _levels(context, entry, config, table_storage):
        job = context.repository_def.get_job(name)
        named = {one.to_user_string(): one for one in job.asset_layer.selected_asset_keys}
        assets = [one for asset, one in named.items() if asset not in kept]
        at = entry.name if resolution is None else f"{entry.name} at {resolution}"
        if stay := sorted(kept & named.keys()):
            context.log.info("%s of %s: %s stay as they are.", name, at, ", ".join(stay))
        if not assets:
            continue
        context.log.info("%s of %s.", name, at)
        with interrupts_end_waits():
            result = job.execute_in_process(
                partition_key=key,
                asset_selection=assets,
                instance=context.instance,
                raise_on_error=False,
                tags={
                    WHOLE_TAG: context.run_id,
                    HOST_TAG: socket.gethostname(),
                    PROCESS_TAG: name_of_process(os.getpid()),
                },
            )
        if not result.success:
            raise dg.Failure(
                f"{name} of {at} failed; its run {result.run_id} says why. What was made before it stays.",
                metadata={"run": dg.MetadataValue.dagster_run(result.run_id)},
                allow_retries=False,
            )


def _levels(
    context: dg.OpExecutionContext, entry: DatasetEntry, config: WholeDatasetConfig, storage: TableIOManager
) -> Iterator[tuple[str, str, str | None, set[str]]]:
    """Job, partition and resolution of each level, and which of its assets need not be made again."""
    for name, key, resolution in levels_of(entry):
        kept = {} if config.fresh else kept_artifacts(context.instance, storage.root, entry.name, resolution)
        yield name, key, resolution, set(kept)


@dg.job(
    description=(
        "Annotate a whole dataset: prepare its cells, cluster and name them at every resolution of the catalog, and "
        "write the annotated file and the review. The launchpad takes the dataset's name. Each level is a run of its "
        "own; what the same file, code and parameters made before is kept, and no question is paid for twice."
    ),
    executor_def=dg.in_process_executor,
)
def annotate_dataset() -> None:
    """Hold the one step of the job."""
    run_levels()
