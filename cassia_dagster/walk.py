"""Takes one dataset through all levels of partitions with Dagster, in this process, and says how it goes."""

from __future__ import annotations

import gc
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from assets.manual_labels import observe_labels
from assets.raw_adata import observe
from cassia_dagster.automation import APPLY_MANUAL_LABELS, WRITE_ANNOTATED_FILE, levels_of
from cassia_dagster.definitions import build_defs
from cassia_dagster.errors import CassiaError
from cassia_dagster.launcher import HOST_TAG, PROCESS_TAG
from cassia_dagster.open_storage import left_open
from cassia_dagster.processes import is_running, name_of_process
from cassia_dagster.singlecell.held import holding_cells
from cassia_dagster.unchanged import kept_artifacts
from cassia_dagster.waits import interrupts_end_waits
from resources.manual_labels import read_manual_labels

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry
    from resources.home import Home


_RESOLUTION = "dagster/partition/resolution"
"""Tag by which Dagster tells what of a run's partition is its resolution."""

UNCAPTURED: Mapping[str, Any] = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
"""Settings of an instance that starts no process to capture what steps print."""

_INTERRUPTS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


class Stopped(Exception):  # noqa: N818 - no error, but the user's wish
    """The run was interrupted from the keyboard."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to one asset."""

    asset: str
    resolution: str | None
    state: str
    """``started``, ``working``, ``told``, ``done``, ``kept``, ``failed``, or ``warned`` where a check did not pass."""
    metadata: Mapping[str, Any]
    message: str = ""


def materialize_dataset(
    entry: DatasetEntry,
    home: Home,
    instance: dg.DagsterInstance,
    tell: Callable[[Step], None],
    *,
    fresh: bool = False,
) -> None:
    """Materialize everything that a catalog entry asks for: its cells, each resolution, the annotated file.

    Parameters
    ----------
    entry
        The dataset, as the catalog has it.
    home, instance
        Where artifacts and runs are kept.
    tell
        Is told of every step, as it happens.
    fresh
        Make cells, clusters and markers again where the same file, code and parameters have made them before.

    Raises
    ------
    CassiaError
        If a step fails for a reason that is the user's to mend.
    Stopped
        If the user interrupts it.
    """
    instance.add_dynamic_partitions("dataset", [entry.name])
    instance.report_runless_asset_event(observe(entry))
    instance.report_runless_asset_event(
        observe_labels(entry.name, home.manual_labels, read_manual_labels(home.manual_labels))
    )
    definitions = told_definitions(home, tell)
    with holding_cells(), _collecting_once() as collect:
        for job, key, resolution in levels_of(entry):
            collect()
            kept = {} if fresh else kept_artifacts(instance, home.artifacts, entry.name, resolution)
            materialize_level(job, key, resolution, definitions, instance, tell, kept=kept)


def apply_to_dataset(
    entry: DatasetEntry, home: Home, instance: dg.DagsterInstance, tell: Callable[[Step], None]
) -> None:
    """Lay the manual labels of now over a dataset that is annotated already; parameters as of `materialize_dataset`."""
    definitions = told_definitions(home, tell)
    with holding_cells():
        for job, key, resolution in levels_of(entry):
            if resolution is not None:
                materialize_level(APPLY_MANUAL_LABELS.name, key, resolution, definitions, instance, tell)
            elif job == WRITE_ANNOTATED_FILE.name:
                materialize_level(job, key, None, definitions, instance, tell)


@contextmanager
def _collecting_once() -> Iterator[Callable[[], None]]:
    """Give a function that frees what is not needed any more, and spares the collector what is left at that time.

    That is mostly what was imported, some hundred thousand objects that live as long as the process and need not be
    looked at again and again. When the block ends, they count as before.
    """

    def collect() -> None:
        gc.collect()
        gc.freeze()

    try:
        yield collect
    finally:
        gc.unfreeze()


def told_definitions(home: Home, tell: Callable[[Step], None]) -> dg.Definitions:
    """Assemble the code location so that its runs in this process tell how they go."""
    return build_defs(home, loggers={"console": _step_logger(tell)})


def materialize_level(
    job: str,
    key: str,
    resolution: str | None,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    tell: Callable[[Step], None],
    config: Mapping[str, Any] | None = None,
    *,
    kept: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Run one job for one partition.

    Parameters
    ----------
    job
        Its name.
    key, resolution
        The partition, and its resolution if it has one.
    definitions
        From `told_definitions`.
    instance, tell
        As for `materialize_dataset`, which also says what is raised.
    config
        What the launchpad would say, by asset.
    kept
        Assets that stay as they are, with what was said of them when they were made.
    """
    whole = definitions.resolve_job_def(job)
    named = {key.to_user_string(): key for key in whole.asset_layer.selected_asset_keys}
    for asset, metadata in (kept or {}).items():
        if named.pop(asset, None):
            tell(Step(asset, resolution, "kept", metadata))
    if not named:
        return
    with interrupts_end_waits():
        result = whole.execute_in_process(
            asset_selection=list(named.values()),
            run_config={
                "loggers": {"console": {}},
                "ops": {asset: {"config": dict(said)} for asset, said in (config or {}).items()},
            },
            partition_key=key,
            instance=instance,
            raise_on_error=False,
            tags={HOST_TAG: socket.gethostname(), PROCESS_TAG: name_of_process(os.getpid())},
        )
    if not result.success:
        raise _reason(result)


def open_instance(home: Home) -> dg.DagsterInstance:
    """Open the project's Dagster instance for runs in this process, with its databases left open until it is closed.

    What steps print goes to the terminal and is not captured: the processes that Dagster starts for that would get
    every interrupt from the keyboard too, and answer it with tracebacks.
    """
    place = str(home.dagster)
    usual = InstanceRef.from_dir(place)
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(place, overrides={**UNCAPTURED, **left_open(usual)}))


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of this machine as failed whose process is gone, and return their ids.

    A killed process cannot say that it ended; without this its run would look started for ever.
    """
    going = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED],
        tags={HOST_TAG: socket.gethostname()},
    )
    # A run that the user interface repeats inherits the tags of the first, but not its process.
    ours = [run for run in instance.get_runs(going) if run.parent_run_id is None]
    dead = [run for run in ours if not is_running(run.tags[PROCESS_TAG])]
    for run in dead:
        instance.report_run_failed(run, "The process that executed this run has ended without a word; it was killed.")
        # Else its places in the pools stay taken, and one day a run waits for them for ever.
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _reason(result: dg.ExecuteInProcessResult) -> Exception:
    """Return the error of the first step that failed; what the user can mend, as such."""
    for event in result.filter_events(lambda event: event.is_step_failure):
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return CassiaError(data.user_failure_data.description)
        cause = data.error.cause or data.error if data.error else None
        if data.error and "DagsterAssetCheckFailedError" in (data.error.cls_name, cause and cause.cls_name):
            return CassiaError(_failed_checks(result))
        if cause and cause.cls_name in _INTERRUPTS:
            return Stopped()
        what = f"{cause.cls_name}: {cause.message.strip().splitlines()[0]}" if cause else "no reason given"
        return RuntimeError(f"{event.step_key} failed, {what}\n{data.error_display_string}")
    for event in result.filter_events(lambda event: event.is_job_failure):
        ended = event.job_failure_data.error
        if ended and any(one.cls_name in _INTERRUPTS for one in (ended, ended.cause) if one):
            return Stopped()
    return RuntimeError(f"Run {result.run_id} failed before its first step.")


def _failed_checks(result: dg.ExecuteInProcessResult) -> str:
    """Say why checks stopped a run, in their own words where they have some."""
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed and check.blocking]
    return " ".join(
        str(check.metadata["trouble"].value)
        if "trouble" in check.metadata
        else f"The check {check.check_name} of {check.asset_key.to_user_string()} did not pass."
        for check in failed
    )


_NOT_MADE = "Couldn't load partition "
"""How Dagster begins to say that a resolution was never made, for what takes all that there are: no trouble."""


def _at_work(record: logging.LogRecord, said: Mapping[str, Any]) -> Iterator[Step]:
    """Pass on what an asset says of its own progress, and what it warns of."""
    states = {logging.INFO: "working", logging.WARNING: "told"}
    words = str(said.get("orig_message", ""))
    own = said.get("step_key") and said.get("dagster_event") is None and not words.startswith(_NOT_MADE)
    if own and record.levelno in states:
        yield Step(said["step_key"], _resolution(said), states[record.levelno], {}, words)


def _resolution(said: Mapping[str, Any]) -> str | None:
    """Find the resolution of the partition that a run is of, if it has one."""
    found: str | None = said["job_tags"].get(_RESOLUTION)
    return found


def _step_logger(tell: Callable[[Step], None]) -> dg.LoggerDefinition:
    """Make a Dagster logger that passes on what happens to assets, and keeps everything else to the event log."""

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said: Mapping[str, Any] = getattr(record, "dagster_meta", {})
            event = said.get("dagster_event")
            if event is None or event.step_key is None:
                for step in _at_work(record, said):
                    tell(step)
                return
            step, resolution = event.step_key, _resolution(said)
            if event.event_type_value == "STEP_START":
                tell(Step(step, resolution, "started", {}))
            elif event.event_type_value == "ASSET_MATERIALIZATION":
                metadata = {name: value.value for name, value in event.materialization.metadata.items()}
                tell(Step(step, resolution, "done", metadata))
            elif event.event_type_value == "ASSET_CHECK_EVALUATION":
                check = event.asset_check_evaluation_data
                if not check.passed:
                    tell(Step(step, resolution, "warned", {"advice": check.description}, check.check_name))
            elif event.event_type_value == "STEP_FAILURE":
                tell(Step(step, resolution, "failed", {}))

    def make(_: dg.InitLoggerContext) -> logging.Logger:
        # A logger of its own, outside the tree of named ones, so that nothing is printed twice.
        logger = logging.Logger("cassia-dagster")  # noqa: LOG001
        logger.addHandler(Teller())
        return logger

    return dg.LoggerDefinition(make, description="Tells the command line what happens to assets.")
