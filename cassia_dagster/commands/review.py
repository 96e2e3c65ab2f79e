"""The commands of manual review: a person's word on a cluster, kept in a file that belongs under version control."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.commands.help_pages import HelpfulGroup
from cassia_dagster.errors import CassiaError, InputError
from cassia_dagster.project import prepare_home

if TYPE_CHECKING:
    from cassia_dagster.evaluation.manual import ManualLabel
    from cassia_dagster.records import AnnotatedCluster
    from resources.home import Home

ResolutionOption = Annotated[
    str | None,
    typer.Option("--resolution", help="Whose clusters.  [default: the dataset's primary resolution]"),
]
ClusterArgument = Annotated[str, typer.Argument(help="Id of the cluster.")]

review = typer.Typer(
    cls=HelpfulGroup,
    help="Label clusters yourself: with your name, your reason, and the evidence that you saw.",
    no_args_is_help=True,
)


@review.command("set")
def set_label(
    name: NameArgument,
    cluster: ClusterArgument,
    label: Annotated[str | None, typer.Option(help="What the cluster is, in words.")] = None,
    cl_id: Annotated[
        str | None,
        typer.Option(help="Its Cell Ontology id, such as CL:0000236; `unknown` for a label that is no term."),
    ] = None,
    why: Annotated[str, typer.Option(help="The reason, which is shown with the label.")] = "",
    who: Annotated[
        str | None, typer.Option(help="Who decides.  [default: the user's login]", show_default=False)
    ] = None,
    resolution: ResolutionOption = None,
    home: HomeOption = None,
) -> None:
    """Label a cluster yourself. The label of the models is set aside, and comes back when the cluster changes."""
    from cassia_dagster.evaluation.manual import ManualLabel, evidence_digest, term_of
    from resources.manual_labels import read_manual_labels, write_manual_labels

    target = _target(name, resolution, home)
    row = target.row(cluster)
    if not why.strip():
        raise InputError("A label without a reason convinces nobody later: say --why.")
    try:
        said = ManualLabel(
            dataset=target.dataset,
            resolution=target.resolution,
            cluster=cluster,
            label=label,
            cl_id=cl_id,
            who=who or getpass.getuser(),
            why=why,
            date=datetime.now(UTC).date(),
            evidence=evidence_digest(row),
        )
    except ValidationError as error:
        raise InputError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
    words, term = term_of(said, row.evidence)
    path = target.home.manual_labels
    others = [one for one in read_manual_labels(path) if one.place != said.place]
    write_manual_labels(path, [*others, said])
    typer.echo(f"Cluster {cluster} of {name} at {target.resolution} is {words} ({term or 'no term'}), says {said.who}.")
    typer.echo(f"It is in {path}; `{_apply(name)}` puts it into the report and the files.")


@review.command("remove")
def remove_label(
    name: NameArgument, cluster: ClusterArgument, resolution: ResolutionOption = None, home: HomeOption = None
) -> None:
    """Take a label of a person out of the file."""
    from resources.manual_labels import read_manual_labels, write_manual_labels

    target = _target(name, resolution, home)
    path = target.home.manual_labels
    labels = read_manual_labels(path)
    left = [one for one in labels if one.place != (name, target.resolution, cluster)]
    if len(left) == len(labels):
        raise InputError(f"{path} has no label for cluster {cluster!r} of {name!r} at {target.resolution}.")
    write_manual_labels(path, left)
    typer.echo(f"The label is out of {path}; `{_apply(name)}` takes it out of report and files.")


def _apply(name: str) -> str:
    from cassia_dagster.commands.terminal import as_typed

    return as_typed(f"cassia-dagster review apply {name}")


@review.command("list")
def list_labels(home: HomeOption = None) -> None:
    """List the labels that persons gave, and whether they still hold."""
    _show(prepare_home(home))


@review.command("check")
def check_labels(home: HomeOption = None) -> None:
    """Check every label that a person gave, and fail if one does not hold: for CI beside the file."""
    if wrong := _show(prepare_home(home)):
        raise InputError(f"{wrong} of the manual labels do not hold. Look at these clusters again.")


@review.command("apply")
def apply_labels(name: NameArgument, home: HomeOption = None) -> None:
    """Put the labels that persons gave into groups, report, tables and annotated file of a dataset."""
    # First of all, for the assets read at import which resolutions this home has.
    place = prepare_home(home)
    from assets.manual_labels import observe_labels
    from cassia_dagster.commands.terminal import Progress
    from cassia_dagster.walk import apply_to_dataset, open_instance
    from resources.catalog import Catalog
    from resources.manual_labels import read_manual_labels

    entry = Catalog.read_entry(place.catalog, name)
    observed = observe_labels(name, place.manual_labels, read_manual_labels(place.manual_labels))
    with open_instance(place) as instance, Progress(entry) as progress:
        instance.report_runless_asset_event(observed)
        apply_to_dataset(entry, place, instance, progress.tell)


@dataclass(frozen=True, slots=True)
class _Target:
    """The clusters of a dataset at one resolution."""

    home: Home
    dataset: str
    resolution: str
    rows: dict[str, AnnotatedCluster]

    def row(self, cluster: str) -> AnnotatedCluster:
        if cluster not in self.rows:
            raise InputError(
                f"{self.dataset!r} has no cluster {cluster!r} at {self.resolution}; it has: {', '.join(self.rows)}."
            )
        return self.rows[cluster]


def _target(name: str, resolution: str | None, home: Path | None) -> _Target:
    from cassia_dagster.singlecell.resolutions import canonical_resolution, is_given
    from resources.catalog import Catalog

    place = prepare_home(home)
    entry = Catalog.read_entry(place.catalog, name)
    key = (
        entry.primary
        if resolution is None
        else resolution
        if is_given(resolution)
        else canonical_resolution(resolution)
    )
    if key not in entry.clusterings:
        raise InputError(f"{name!r} has no resolution {key}; the catalog lists {', '.join(entry.clusterings)}.")
    return _Target(place, name, key, _annotated(place, name, key))


def _annotated(place: Home, dataset: str, resolution: str) -> dict[str, AnnotatedCluster]:
    from cassia_dagster.records import AnnotatedCluster
    from resources.storage import stored_table

    table = stored_table(place.artifacts, "annotations", dataset, resolution)
    if not table.path.exists():
        raise InputError(f"{dataset!r} is not annotated at {resolution} yet. `cassia-dagster run` does that.")
    return {row.cluster: row for row in table.records(AnnotatedCluster)}


def _show(place: Home) -> int:
    """Print all labels with what has become of them; return how many do not hold."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cassia_dagster.commands.terminal import plain
    from resources.manual_labels import read_manual_labels

    labels, console = read_manual_labels(place.manual_labels), Console(highlight=False)
    if not labels:
        console.print(f"No label of a person is in {plain(str(place.manual_labels))}.", soft_wrap=True)
        return 0
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("dataset", "resolution", "cluster", "label", "who", "date", "state"):
        table.add_column(heading, overflow="fold")
    states = [_state(place, one) for one in labels]
    for one, state in zip(labels, states, strict=True):
        said = one.label or one.cl_id or ""
        cells = (one.dataset, one.resolution, one.cluster, said, one.who, one.date.isoformat(), state)
        table.add_row(*map(plain, cells))
    console.print(table)
    return sum(state != _HOLDS for state in states)


_HOLDS = "holds"


def _state(place: Home, said: ManualLabel) -> str:
    from cassia_dagster.evaluation.manual import evidence_digest, term_of

    try:
        rows = _annotated(place, said.dataset, said.resolution)
        if said.cluster not in rows:
            return "there is no such cluster"
        term_of(said, rows[said.cluster].evidence)
    except CassiaError as error:
        return str(error)
    now = evidence_digest(rows[said.cluster])
    if not said.evidence:
        return f"not tied to evidence: look at the cluster, then write evidence: {now}"
    return _HOLDS if said.evidence == now else "stale: the cluster has other cells or markers now"
