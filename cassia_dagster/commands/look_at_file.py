"""The command that shows what a file holds, cells or a table of markers, and what would be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    from cassia_dagster.inspecting_tables import TableInspection
    from cassia_dagster.inspection import Column, Inspection

    type Sections = list[tuple[str, list[str]]]

ROLES = {"labels": "known cell types?", "clusters": "a clustering?", "batch": "a batch?", "tissue": "the tissue?"}

GROUPS_SHOWN = 30
"""Clusters or cell types of a table that are listed."""


def inspect_file(
    file: Annotated[
        Path, typer.Argument(help="Cells: .h5ad, 10x .h5 or folder, .loom, .zarr, .csv, .tsv. Or a table of markers.")
    ],
) -> None:
    """Show what a file holds, and what `run` or `annotate` would do with it."""
    from rich.console import Console

    from cassia_dagster.inspecting_tables import inspect_table, is_table_of_markers

    console = Console(highlight=False)
    seen: Inspection | TableInspection
    if is_table_of_markers(file):
        seen = inspect_table(file)
        sections = _table_sections(seen)
    else:
        from cassia_dagster.inspection import inspect

        seen = inspect(file)
        sections = _sections(seen)
    for title, lines in sections:
        console.print(f"[bold]{title}[/]", soft_wrap=True)
        for line in lines:
            console.print(f"  {line}", soft_wrap=True)
    if seen.obstacle:
        raise InputError(seen.obstacle)


def _sections(seen: Inspection) -> Sections:
    from cassia_dagster.commands.terminal import as_typed, plain
    from cassia_dagster.singlecell.values import KINDS

    matrices = [f"{plain(one.place)}: {KINDS[one.holds.kind]} ({one.holds.signs})" for one in seen.matrices]
    genes = [f"{seen.gene_ids}, such as {plain(', '.join(seen.gene_examples))}"]
    if seen.gene_symbols:
        genes.append(f"symbols in the column {plain(seen.gene_symbols)} of var")
    known = ", ".join(f"{number:,} known symbols of {one}" for one, number in seen.known_genes.items())
    genes.append(f"species: {seen.species or 'not told'} ({known})")
    columns = [plain(_line(column)) for column in seen.columns]
    sections = [
        (f"{plain(str(seen.path))}: {seen.n_cells:,} cells × {seen.n_genes:,} genes", []),
        ("matrices", matrices or ["none"]),
        ("genes", genes),
        ("columns of obs", columns or ["none"]),
    ]
    if seen.obstacle:
        return [*sections, ("run", ["would refuse this file"])]
    return [*sections, ("run", _plan(seen)), ("need", _need(seen)), ("command", [plain(as_typed(seen.command))])]


def _line(column: Column) -> str:
    values = f"{column.n_values:,} value{'' if column.n_values == 1 else 's'} ({', '.join(column.examples)})"
    return f"{column.name}: {values}" + (f" ← {ROLES[column.role]}" if column.role else "")


def _plan(seen: Inspection) -> list[str]:
    from cassia_dagster.commands.terminal import plain
    from cassia_dagster.singlecell.values import KINDS
    from resources.catalog import DEFAULT_RESOLUTIONS

    taken = [f"would take the {KINDS[seen.taken.holds.kind]} of {plain(seen.taken.place)}"] if seen.taken else []
    lines = [
        *taken,
        *(plain(note) for note in seen.notes),
        f"would cluster the cells at the resolutions {', '.join(DEFAULT_RESOLUTIONS)}, and name every cluster",
    ]
    if batches := seen.having("batch"):
        lines.append(f"would not align batches ({plain(', '.join(batches))}) unless --batch-key names them")
    return lines


def _need(seen: Inspection) -> list[str]:
    """Say what a run takes: memory, and questions to a model, of which there is a number for each cluster."""
    from cassia_dagster.commands.terminal import plain
    from cassia_dagster.inspection import questions
    from cassia_dagster.singlecell.memory import memory_of_machine

    lines = []
    if seen.memory is not None:
        there = memory_of_machine()
        scarce = ", more than there is: take fewer cells, or a larger machine" if seen.memory > there else ""
        lines.append(f"memory: about {seen.memory / 1e9:.1f} GB of {there / 1e9:.0f} GB{scarce}")
    least, most = questions(1)
    lines.append(f"questions to a language model: {least} to {most} for each cluster, and one for each resolution")
    for name, n_clusters in ((column.name, column.n_values) for column in seen.columns if column.role == "clusters"):
        low, high = questions(n_clusters)
        lines.append(f"for the {n_clusters:,} clusters of {plain(name)} these are {low + 1:,} to {high + 1:,}")
    return [
        *lines,
        "with the embedded model, which is the default: no question leaves this machine, and nothing is paid",
    ]


def _table_sections(seen: TableInspection) -> Sections:
    from cassia_dagster.commands.terminal import as_typed, plain

    genes = [f"{len(seen.genes):,} different ones, such as {plain(', '.join(seen.genes[:3]))}"]
    known = ", ".join(f"{number:,} known symbols of {one}" for one, number in seen.known_genes.items())
    genes.append(f"species: {seen.species or 'not told'} ({known})")
    if seen.unknown:
        genes.append(f"{len(seen.unknown):,} that nothing is known of, such as {plain(', '.join(seen.unknown[:3]))}")
    more = len(seen.groups) - GROUPS_SHOWN
    groups = [plain(f"{one.name}: {one.says}") for one in seen.groups[:GROUPS_SHOWN]]
    sections: Sections = [
        (f"{plain(str(seen.path))}: {seen.kind}, {seen.n_rows:,} rows", []),
        ("columns", [plain(f"{column}: {meaning or 'not read'}") for column, meaning in seen.columns.items()]),
        ("genes", genes),
        (seen.grouped_by, [*groups, *([f"and {more:,} more"] if more > 0 else [])] or ["none"]),
    ]
    if seen.obstacle:
        return [*sections, (seen.used_by, ["would refuse this file"])]
    notes = [(seen.used_by, [plain(note) for note in seen.notes])] if seen.notes else []
    return [*sections, *notes, ("command", [plain(as_typed(seen.command))])]
