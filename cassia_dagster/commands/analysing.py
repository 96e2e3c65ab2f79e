"""What the commands of the analyses on demand share: the clusters they are about, the run, and what is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cassia_dagster.errors import InputError
from cassia_dagster.llm.choice import said_of_model
from cassia_dagster.project import prepare_home

if TYPE_CHECKING:
    import dagster as dg

    from cassia_dagster.agents.estimate import Expected
    from cassia_dagster.llm.store import Store
    from cassia_dagster.records import AnnotatedCluster, Record
    from resources.catalog import DatasetEntry
    from resources.home import Home
    from resources.llm import ModelOverride
    from resources.storage import TableFile

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
OneModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Who is asked (provider/model).  [default: the dataset's annotator]"),
]
BudgetOption = Annotated[
    float | None, typer.Option("--max-usd", min=0, help="Most US dollars that this run may spend.", show_default=False)
]
EstimateOption = Annotated[
    bool, typer.Option("--estimate", help="Only say what it would take, with the clusters of now; nobody is asked.")
]


_SHORT = {"consistency", "runs", "votes", "calls", "cached", "USD", "at most", "status"}
_SHORT |= {"rank", "mean hF1", "paid now", "seconds"}
"""Columns of the tables that are never broken."""

_BETWEEN = 3
"""Blanks between two columns."""

_LEAST_WIDTH = 9
"""Letters that a longer text of a table has room for side by side, however narrow the terminal is."""


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

    @property
    def is_complete(self) -> bool:
        """Whether the dataset is annotated at all its resolutions."""
        from resources.storage import stored_table

        tables = (stored_table(self.home.artifacts, "merged", self.entry.name, key) for key in self.entry.clusterings)
        return all(table.path.exists() for table in tables)

    def table(self, asset: str) -> TableFile:
        """Find what an asset made of them."""
        from resources.storage import stored_table

        return stored_table(self.home.artifacts, asset, self.entry.name, self.resolution)

    def made(self, asset: str, resolution: str) -> TableFile | None:
        """Find what an asset made of the dataset at a resolution, if it did."""
        from resources.storage import stored_table

        table = stored_table(self.home.artifacts, asset, self.entry.name, resolution)
        return table if table.path.exists() else None

    def rows[R: Record](self, asset: str, record: type[R]) -> list[R]:
        """Read what an asset made of them."""
        return self.table(asset).records(record)

    def annotated(self, clusters: Sequence[str]) -> list[AnnotatedCluster]:
        """Read the annotated clusters, all or those that are named."""
        from assets.on_demand import chosen_rows

        return chosen_rows(self.table("annotations"), self.table("leiden_clusters"), clusters)


def target_of(name: str, resolution: str | None, home: Path | None) -> Target:
    """Find the clusters of a dataset.

    Each command begins with it, and imports assets afterwards: they read at import which resolutions this home has.

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


def configured[C: dg.Config](kind: type[C], **said: Any) -> C:
    """Make a configuration of what was typed.

    Raises
    ------
    InputError
        With the field and what is wrong with it.
    """
    from pydantic import ValidationError

    try:
        return kind(**said)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}.") from None


def override(model: str | None) -> ModelOverride:
    """Write the model that was typed as the launchpad takes it; it says nothing where none was."""
    from resources.llm import ModelOverride

    return ModelOverride(model=said_of_model(model)) if model else ModelOverride()


def make(target: Target, asset: str, config: dg.Config, *, then_write: bool = False) -> None:
    """Materialize an analysis through Dagster, and what shows it: the report, the annotated file; say how that goes."""
    from cassia_dagster.analysis_jobs import ANALYSIS_JOBS, REPORT_AGAIN

    jobs = {ANALYSIS_JOBS[asset].name: {asset: config}}
    if target.table("merged").path.exists():
        jobs[REPORT_AGAIN.name] = {}
    walk(target, jobs, then_write=then_write)


def walk(target: Target, jobs: Mapping[str, Mapping[str, dg.Config]], *, then_write: bool = False) -> None:
    """Run jobs for a target's clusters, one after another, and show how they go.

    Parameters
    ----------
    target
        What they are about.
    jobs
        Name of each, and what the launchpad would say to its assets.
    then_write
        Write the annotated file anew after them, if there are cells, and all resolutions that it takes.
    """
    from dagster import MultiPartitionKey

    from assets.model_calls import as_in_launchpad
    from cassia_dagster.automation import WRITE_ANNOTATED_FILE
    from cassia_dagster.commands.terminal import Progress
    from cassia_dagster.walk import Stopped, end_dead_runs, materialize_level, open_instance, told_definitions

    name, resolution = target.entry.name, target.resolution
    key = MultiPartitionKey({"dataset": name, "resolution": resolution})
    with open_instance(target.home) as instance:
        for run_id in end_dead_runs(instance):
            typer.echo(f"Run {run_id[:8]} was killed before; it is marked as failed. What it had finished is kept.")
        try:
            with Progress(target.entry) as progress:
                definitions = told_definitions(target.home, progress.tell)
                for job, said in jobs.items():
                    config = {asset: as_in_launchpad(one) for asset, one in said.items()}
                    materialize_level(job, key, resolution, definitions, instance, progress.tell, config)
                if then_write and target.entry.has_cells and target.is_complete:
                    materialize_level(WRITE_ANNOTATED_FILE.name, name, None, definitions, instance, progress.tell)
        except Stopped:
            typer.echo("Stopped. What was finished is kept; the same command asks no model twice.", err=True)
            sys.exit(130)


@contextmanager
def open_store(target: Target) -> Iterator[Store]:
    """Open the replies and the ledger, to see what is there already."""
    from cassia_dagster.llm.store import Store

    with Store.open(target.home.model_store) as store:
        yield store


def show_expected(rows: Sequence[Expected], what: str) -> None:
    """Say what an analysis would take before it takes it."""
    from rich.console import Console

    from cassia_dagster.commands.models import shown_usd, sum_up
    from cassia_dagster.llm.choice import EMBEDDED

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
    """Print a table whose texts are inert; row by row where the terminal is too narrow, for none may be left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cassia_dagster.commands.terminal import plain

    console, texts = Console(highlight=False), [tuple(map(plain, row)) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    needed = _BETWEEN * (len(headings) - 1)
    for heading, column in zip(headings, zip(headings, *texts, strict=True), strict=True):
        widest, is_short = max(map(len, column)), heading in _SHORT
        least = widest if is_short else min(_LEAST_WIDTH, widest)
        table.add_column(heading, overflow="fold", no_wrap=is_short, min_width=least)
        needed += least
    if needed <= console.width:
        for row in texts:
            table.add_row(*row)
        console.print(table)
        return
    for row in texts:
        lines = Table.grid(padding=(0, _BETWEEN))
        lines.add_column(no_wrap=True, style="bold")
        lines.add_column(overflow="fold")
        for heading, text in zip(headings, row, strict=True):
            lines.add_row(heading, text)
        console.print(lines)
        console.print()
