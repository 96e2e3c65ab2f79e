"""What the command line shows: progress as it happens, and the result as a table."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich import box, markup
from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table

from assets.results import Tables, assemble, compare
from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.agents.merge import UNRESOLVED
from cassia_dagster.evaluation.agreement import Agreement, ClusterAgreement
from cassia_dagster.outputs.result import ResolutionResult, final_label, final_state
from cassia_dagster.records import ClusterResult, Status
from cassia_dagster.singlecell.cluster import digest_clusters
from cassia_dagster.singlecell.resolutions import folder_of
from resources.storage import TableFile, stored_cells, stored_table

if TYPE_CHECKING:
    from cassia_dagster.walk import Step
    from resources.catalog import DatasetEntry
    from resources.home import Home

SUMMARIES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "normalized_adata": lambda seen: (
        f"{seen['cells']:,} cells, {seen['genes']:,} genes, {seen['highly_variable_genes']:,} highly variable"
    ),
    "umap": lambda seen: f"{seen['cells']:,} cells",
    "leiden_clusters": lambda seen: (
        f"{_count(seen['clusters'], 'cluster')}, "
        + (f"given by {seen['given_by']}" if "given_by" in seen else f"modularity {seen['modularity']:.2f}")
    ),
    "marker_table": lambda seen: f"{seen['markers']:,} markers",
    "annotations": lambda seen: f"{seen['named']} of {_count(seen['clusters'], 'cluster')} named{_calls(seen)}",
    "scores": lambda seen: (f"mean {seen['mean_score']:.0f}" if "mean_score" in seen else "none") + _calls(seen),
    "boosted": lambda seen: f"{seen['changed']} changed, {seen['confirmed']} confirmed{_calls(seen)}",
    "reviewed": lambda seen: f"{seen['labelled']} labelled by a person" if seen["labelled"] else "no label of a person",
    "merged": lambda seen: f"{_count(seen['broad_groups'], 'broad group')}{_calls(seen)}",
    "report": lambda seen: Path(seen["report"]).name,
    "uncertainty": lambda seen: (
        f"{_count(seen['runs'], 'run')} of {_count(seen['clusters'], 'cluster')}"
        + (f", mean consistency {seen['mean_consistency']:.0f}" if "mean_consistency" in seen else "")
        + _calls(seen)
    ),
    "symphony": lambda seen: f"{seen['outcome']}{_calls(seen)}",
    "hypotheses": lambda seen: (
        f"{_count(seen['alternatives'], 'alternative')} to the labels of {_count(seen['clusters'], 'cluster')}"
        + _calls(seen)
    ),
    "subclusters": lambda seen: f"{_count(seen['parts'], 'part')} of {_count(seen['parents'], 'parent')}{_calls(seen)}",
    "model_comparison": lambda seen: f"{seen['best']} first of {_count(len(seen['models']), 'model')}{_calls(seen)}",
    "drift": lambda seen: f"{_count(seen['clusters_changed'], 'cluster')} called something else",
    "annotated_adata": lambda seen: f"{seen['bytes'] / 1e6:.0f} MB",
    "review": lambda seen: f"recommends {seen['recommended_resolution']}",
}
"""What is worth a line of each asset, from its metadata."""


def as_typed(command: str) -> str:
    """Write a command as its user types it: where uv started this one, the shell does not find it without uv."""
    return f"uv run {command}" if "UV_RUN_RECURSION_DEPTH" in os.environ else command


def plain(text: str) -> str:
    """Make text of data and models inert for the terminal: no markup of rich, no escape sequence."""
    return markup.escape("".join(letter if letter.isprintable() else " " for letter in text))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _calls(seen: Mapping[str, Any]) -> str:
    made, cached = seen["calls"], seen["cached_calls"]
    cost = f", {seen['usd']:.4f} USD" if seen["usd"] else ""
    asked = _count(made, "call")
    return f" ({asked}, {cached} from the cache{cost})" if cached else f" ({asked}{cost})"


class Progress:
    """One line for every asset as it is made."""

    def __init__(self, entry: DatasetEntry, *, quiet: bool = False) -> None:
        self._entry = entry
        self._console = Console(highlight=False, quiet=quiet)
        self._spinner = Spinner("", console=self._console)
        self._began = time.monotonic()
        self._resolution: str | None = None

    def __enter__(self) -> Self:
        sample = " ".join(part for part in (self._entry.species, self._entry.where) if part)
        self._console.print(
            f"[bold]{plain(self._entry.name)}[/]  {plain(sample)}  [dim]{plain(str(self._entry.path))}[/]"
        )
        self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()

    def tell(self, step: Step) -> None:
        """Show a step."""
        if step.resolution != self._resolution:
            self._resolution = step.resolution
            # What is of no one resolution and comes after them is of them all.
            title = self._entry.title(step.resolution) if step.resolution else "the whole dataset"
            self._console.print(f"[bold]{plain(title)}[/]")
        if step.state == "started":
            self._began = time.monotonic()
            self._spinner.update(f"[dim]{plain(step.asset)} …[/]")
            return
        if step.state == "working":
            self._spinner.update(f"[dim]{plain(step.asset)} … {plain(step.message)}[/]")
            return
        if step.state == "told":
            self._console.print(f"  [yellow]![/] {step.asset:<17}{plain(step.message)}", soft_wrap=True)
            return
        if step.state == "warned":
            self._console.print(
                f"  [yellow]![/] {step.asset:<17}[yellow]the check {plain(step.message)} did not pass[/]"
            )
            if advice := step.metadata.get("advice"):
                self._console.print(f"  → {plain(advice)}", soft_wrap=True)
            return
        took = "    kept" if step.state == "kept" else f"{time.monotonic() - self._began:6.1f} s"
        mark = "[red]✗[/]" if step.state == "failed" else "[green]✓[/]"
        summary = "failed" if step.state == "failed" else SUMMARIES[step.asset](step.metadata)
        self._console.print(f"  {mark} {step.asset:<17}[dim]{took}[/]  {plain(summary)}")
        for note in step.metadata.get("notes", ()):
            self._console.print(f"  [yellow]![/] {plain(note)}", soft_wrap=True)


def show_results(entry: DatasetEntry, home: Home) -> None:
    """Print a table of clusters for each resolution, the agreement with known labels, and the paths."""
    console = Console(highlight=False)
    for resolution in entry.clusterings:
        result, labels = read_result(entry, home, resolution)
        agreements = {}
        if entry.labels:
            known = stored_cells(home.artifacts, entry.name).read().obs
            agreements = {column: compare(entry, result, labels, known[column]) for column in entry.labels}
        console.print()
        console.print(_table(result, agreements))
        for line in _failures(result):
            console.print(f"[yellow]![/] {plain(line)}", soft_wrap=True)
        for column, agreement in agreements.items():
            console.print(_agreement_line(column, agreement, own=column == result.column))
            unmapped = sorted({row.gold_label for row in agreement.clusters if row.gold_label and not row.gold_id})
            if unmapped:
                console.print(
                    f"[yellow]No Cell Ontology term is known for {plain(', '.join(unmapped))}; "
                    "give them with --label-terms.[/]"
                )
    console.print()
    first = _recommended(entry)
    for resolution in entry.clusterings:
        path = entry.folder / folder_of(resolution) / f"{entry.name}_report.html"
        mark = "  [dim]← begin here; why is in the review[/]" if resolution == first else ""
        console.print(f"report  {plain(str(path))}{mark}", soft_wrap=True)
    if entry.has_cells:
        console.print(f"review  {plain(str(entry.folder / f'{entry.name}_review.html'))}", soft_wrap=True)
        console.print(f"cells   {plain(str(entry.folder / f'{entry.name}_annotated.h5ad'))}", soft_wrap=True)
    console.print(f"[dim]Open the runs and assets in Dagster with: {as_typed('cassia-dagster ui')}[/]")


def _recommended(entry: DatasetEntry) -> str | None:
    """Name the resolution that the review recommends, where there are several to begin with."""
    if not entry.has_cells or len(entry.clusterings) == 1:
        return None
    review = json.loads((entry.folder / f"{entry.name}_review.json").read_text("utf-8"))
    return str(review["recommendation"]["resolution"])


def _failures(result: ResolutionResult) -> list[str]:
    """Say why clusters got no answer, each reason once."""
    clusters: dict[str, list[str]] = {}
    for row in result.clusters:
        final = row.boosted
        if final.status not in (Status.OK, Status.UNRESOLVED):
            clusters.setdefault(f"{final.status.replace('_', ' ')}: {final.status_reason}", []).append(row.cluster)
    return [f"{len(ids)} of {len(result.clusters)} clusters {reason}" for reason, ids in clusters.items()]


def read_result(entry: DatasetEntry, home: Home, resolution: str) -> tuple[ResolutionResult, Any]:
    """Read what was made of a dataset at one resolution, and the cluster of each cell."""

    def table(asset: str) -> TableFile:
        return stored_table(home.artifacts, asset, entry.name, resolution)

    tables = Tables(*(table(asset) for asset in ("annotations", "scores", "reviewed", "merged")))
    clusters = table("leiden_clusters").read()
    result = assemble(entry, resolution, digest_clusters(clusters), tables)
    return result, clusters.set_index("cell_id")["cluster"]


def _table(result: ResolutionResult, agreements: Mapping[str, Agreement]) -> Table:
    title = plain(f"{result.dataset}, {result.title}")
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    if result.column is None:
        table.add_column("cluster", justify="right", no_wrap=True)
    else:  # names of the user's own, which may be long
        table.add_column("cluster", overflow="fold")
    table.add_column("cells", justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("status", overflow="fold")
    for column in agreements:
        table.add_column(plain(column), overflow="fold")
        table.add_column("agreement", no_wrap=True)
    known = [{row.cluster: row for row in agreement.clusters} for agreement in agreements.values()]
    for row in result.clusters:
        table.add_row(*_cells(row), *(text for rows in known for text in _relation(rows[row.cluster])))
    return table


def _cells(row: ClusterResult) -> tuple[str, ...]:
    score = row.boosted.score
    colour = "green" if score is not None and score >= SCORE_THRESHOLD else "yellow"
    good = row.boosted.status is Status.OK
    return (
        plain(row.cluster),
        f"{row.evidence.n_cells:,}" if row.evidence.n_cells is not None else "",
        plain(_label(row)),
        "" if score is None else f"[{colour}]{score:.0f}[/]",
        row.boosted.status.value if good else f"[yellow]{_trouble(row)}[/]",
    )


def _label(row: ClusterResult) -> str:
    """Write the label; where there is none, what the cells are doing beside it."""
    label, state = final_label(row), final_state(row)
    return f"{label}, {state}" if label == UNRESOLVED and state else label


def _trouble(row: ClusterResult) -> str:
    """Say what became of a cluster without a label, and why if a model said so."""
    annotation = row.boosted.annotation
    reason = annotation.unresolved if annotation else None
    words = (row.boosted.status.value, reason.value) if reason else (row.boosted.status.value,)
    return ": ".join(words).replace("_", " ")


def _relation(row: ClusterAgreement) -> tuple[str, str]:
    return plain(f"{row.gold_label or 'none'} {row.purity:.0%}"), row.relation.value


def _agreement_line(column: str, agreement: Agreement, *, own: bool) -> str:
    shares = ", ".join(f"{relation.value} {share:.0%}" for relation, share in agreement.cell_share.items() if share)
    index = agreement.adjusted_rand_index
    clusters = f"ARI of the clusters {index:.2f}" if index is not None else "no known labels"
    return f"[bold]Agreement with {plain(column)}[/]: cells in clusters labelled {shares}; " + (
        "the clusters are these labels themselves" if own else clusters
    )
