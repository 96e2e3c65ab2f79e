"""The commands of the analyses on demand: each makes one asset of a dataset that is annotated already, and shows it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cassia_dagster.agents.uncertainty import AGREEMENT, FEWEST_RUNS, MOST_RUNS, USUAL_RUNS, UncertainCluster
from cassia_dagster.datasets import HomeOption, NameArgument
from cassia_dagster.errors import InputError
from cassia_dagster.model_options import said_of_model
from cassia_dagster.project import prepare_home

if TYPE_CHECKING:
    from assets.uncertainty import UncertaintyConfig
    from cassia_dagster.agents.estimate import Expected
    from cassia_dagster.llm.store import Store
    from cassia_dagster.records import AnnotatedCluster, Record
    from resources.catalog import DatasetEntry
    from resources.home import Home

ResolutionOption = Annotated[
    str | None,
    typer.Option("--resolution", help="Whose clusters.  [default: the dataset's primary resolution]"),
]
ClustersOption = Annotated[
    list[str] | None, typer.Option("--cluster", help="Id of a cluster; repeatable.  [default: all]", show_default=False)
]
PanelOption = Annotated[
    list[str] | None,
    typer.Option("--model", help="Who is asked (provider/model); repeatable.  [default: the dataset's annotator]"),
]
BudgetOption = Annotated[
    float | None, typer.Option("--max-usd", min=0, help="Most US dollars that this run may spend.", show_default=False)
]
EstimateOption = Annotated[
    bool, typer.Option("--estimate", help="Only say what it would take, with the clusters of now; nobody is asked.")
]


_SHORT = frozenset({"consistency", "runs", "votes", "calls", "cached", "USD", "at most", "status"})
"""Columns of the tables that are never broken."""


@dataclass(frozen=True, slots=True)
class Target:
    """The clusters that an analysis is about."""

    home: Home
    entry: DatasetEntry
    resolution: str

    @property
    def subject(self) -> str:
        """What the ledger calls them."""
        return f"{self.entry.name}/{self.resolution}"

    def rows[R: Record](self, asset: str, record: type[R]) -> list[R]:
        """Read what an asset made of them."""
        from resources.storage import stored_table

        return stored_table(self.home.artifacts, asset, self.entry.name, self.resolution).records(record)

    def annotated(self, clusters: Sequence[str]) -> list[AnnotatedCluster]:
        """Read the annotated clusters, all or those that are named."""
        from assets.on_demand import chosen_rows
        from resources.storage import stored_table

        annotations, clusters_of_now = (
            stored_table(self.home.artifacts, asset, self.entry.name, self.resolution)
            for asset in ("annotations", "leiden_clusters")
        )
        return chosen_rows(annotations, clusters_of_now, clusters)


def target_of(name: str, resolution: str | None, home: Path | None) -> Target:
    """Find the clusters of a dataset.

    Raises
    ------
    InputError
        If the dataset has no such resolution, or is not annotated at it yet.
    """
    from cassia_dagster.singlecell.resolutions import canonical_resolution, is_given
    from resources.catalog import Catalog
    from resources.storage import stored_table

    place = prepare_home(home)
    entry = Catalog.read_entry(place.catalog, name)
    key = entry.primary if resolution is None else resolution
    key = key if is_given(key) else canonical_resolution(key)
    if key not in entry.clusterings:
        raise InputError(f"{name} has no resolution {key}; it has {', '.join(entry.clusterings)}.")
    if not stored_table(place.artifacts, "annotations", name, key).path.exists():
        raise InputError(f"{name} is not annotated at resolution {key} yet: run it first, or choose another.")
    return Target(place, entry, key)


def make(target: Target, asset: str, config: Mapping[str, Any]) -> None:
    """Materialize an analysis through Dagster, and show how it goes."""
    from dagster import MultiPartitionKey

    from cassia_dagster.analysis_jobs import ANALYSIS_JOBS
    from cassia_dagster.terminal import Progress
    from cassia_dagster.walk import Stopped, end_dead_runs, materialize_level, open_instance

    with open_instance(target.home) as instance:
        for run_id in end_dead_runs(instance):
            typer.echo(f"Run {run_id[:8]} was killed before; it is marked as failed. What it had finished is kept.")
        try:
            with Progress(target.entry) as progress:
                materialize_level(
                    ANALYSIS_JOBS[asset].name,
                    MultiPartitionKey({"dataset": target.entry.name, "resolution": target.resolution}),
                    target.resolution,
                    target.home,
                    instance,
                    progress.tell,
                    {asset: config},
                )
        except Stopped:
            typer.echo("Stopped. What was finished is kept; the same command asks no model twice.", err=True)
            sys.exit(130)


@contextmanager
def _store(target: Target) -> Iterator[Store]:
    from cassia_dagster.llm.store import Store

    with Store.open(target.home.model_store) as store:
        yield store


def show_expected(rows: Sequence[Expected], what: str) -> None:
    """Say what an analysis would take before it takes it."""
    from rich.console import Console

    from cassia_dagster.llm.choice import EMBEDDED
    from cassia_dagster.models import shown_usd, sum_up

    console = Console(highlight=False)
    if all(row.model.partition("/")[0] == EMBEDDED for row in rows):
        console.print(f"{what}: the embedded model is asked; nothing is sent and nothing is paid.")
        return
    show_table(
        ("role", "model", "calls", "cached", "USD", "at most"),
        (
            (row.role, row.model, f"{row.calls:,}", f"{row.cached:,}", shown_usd(row.usd), shown_usd(row.most_usd))
            for row in rows
        ),
    )
    console.print(f"{what}: {sum_up(rows)}", soft_wrap=True)


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose texts are inert."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cassia_dagster.terminal import plain

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in _SHORT)
    for row in rows:
        table.add_row(*map(plain, row))
    Console(highlight=False).print(table)


def uncertainty(
    name: NameArgument,
    resolution: ResolutionOption = None,
    runs: Annotated[
        int, typer.Option(min=FEWEST_RUNS, max=MOST_RUNS, help="Most independent runs a cluster.")
    ] = USUAL_RUNS,
    cluster: ClustersOption = None,
    model: PanelOption = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Of the annotators.  [default: as they have it]")
    ] = None,
    agreement: Annotated[
        float, typer.Option(min=0.5, max=1, help="Share of the runs that must bear a name for it to be given.")
    ] = AGREEMENT,
    *,
    every_run: Annotated[
        bool, typer.Option("--every-run", help="Make all runs, also when none could change the consensus any more.")
    ] = False,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """Name every cluster several times, independently, and say how far the names agree."""
    from assets.model_calls import as_in_launchpad
    from assets.uncertainty import UncertaintyConfig
    from resources.llm import ModelOverride

    target = target_of(name, resolution, home)
    config = UncertaintyConfig(
        runs=runs,
        agreement=agreement,
        stop_when_decided=not every_run,
        clusters=cluster or [],
        models=[ModelOverride(model=said_of_model(one)) for one in model or []],
        temperature=temperature,
        max_usd_per_run=max_usd,
    )
    show_expected(_expected_runs(target, config), "If every run is made")
    if estimate:
        return
    make(target, "uncertainty", as_in_launchpad(config))
    rows = target.rows("uncertainty", UncertainCluster)
    show_table(("cluster", "label", "consistency", "runs", "consensus", "votes", "status"), map(_uncertain, rows))
    if any(row.deterministic for row in rows):
        typer.echo("Deterministic: this model says the same whenever it is asked, which is no measure of uncertainty.")


def _expected_runs(target: Target, config: UncertaintyConfig) -> list[Expected]:
    from assets.uncertainty import Speakers
    from cassia_dagster.models import cast_of

    cast = cast_of(target.entry)
    speakers = Speakers.of(cast["annotate"], cast["validate"], config)
    with _store(target) as store:
        return speakers.expect(target.annotated(config.clusters), store, config.plan, target.subject)


def _uncertain(row: UncertainCluster) -> tuple[str, ...]:
    consistency = "deterministic" if row.deterministic else "" if row.consistency is None else f"{row.consistency:.0f}"
    consensus = row.consensus
    return (
        row.cluster,
        row.label or "unresolved",
        consistency,
        f"{len(row.runs)} of {row.planned}",
        (consensus.label if consensus else None) or "none",
        f"{consensus.support} of {consensus.votes}" if consensus else "",
        row.status.value.replace("_", " "),
    )
