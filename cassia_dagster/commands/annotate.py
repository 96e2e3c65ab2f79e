"""The command `annotate`: names the clusters of a marker table, and writes what a run with cells writes of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.annotating import all_played_by, name_marker_table, write_results
from cassia_dagster.commands.datasets import HomeOption
from cassia_dagster.commands.model_options import MaxUsdOption, ModelOption
from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.resolutions import GIVEN

if TYPE_CHECKING:
    from cassia_dagster.outputs.result import ResolutionResult


def annotate(
    markers: Annotated[
        Path, typer.Argument(help="Marker table: .csv, .tsv (also .gz), .parquet, or .h5ad with rank_genes_groups.")
    ],
    tissue: Annotated[str, typer.Option(help="Where the cells are from, such as 'pancreas'.")],
    species: Annotated[str, typer.Option(help="human or mouse.")],
    name: Annotated[
        str | None, typer.Option(help="What the results are called.  [default: as the file]", show_default=False)
    ] = None,
    context: Annotated[str, typer.Option(help="What else a model should know, such as 'biopsy of a tumour'.")] = "",
    output: Annotated[Path, typer.Option(help="Folder for the report and the tables.")] = Path("output"),
    home: HomeOption = None,
    model: ModelOption = None,
    max_usd: MaxUsdOption = None,
) -> None:
    """Annotate the clusters of a marker table, as Seurat, Scanpy or CASSIA write it; no cells are needed."""
    from resources.catalog import check_name

    chosen = name or re.sub(r"[^A-Za-z0-9._-]+", "_", markers.name.split(".")[0]).strip("._-")[:100] or "markers"
    try:
        check_name(chosen)
    except ValueError as error:
        raise InputError(f"{error}.") from error
    try:
        result, trouble = name_marker_table(
            markers,
            tissue=tissue,
            species=species,
            models=all_played_by(model),
            context=context,
            name=chosen,
            max_usd=max_usd,
            home=home,
        )
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command asks no model twice.", err=True)
        sys.exit(130)
    paths = write_results(result, output.absolute() / chosen / GIVEN)
    _show(result, paths)
    if trouble:
        typer.secho(
            f"The groupings are the labels themselves: {''.join(c if c.isprintable() else ' ' for c in trouble)}",
            fg=typer.colors.YELLOW,
            err=True,
        )


def _show(result: ResolutionResult, paths: dict[str, Path]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cassia_dagster.commands.terminal import plain
    from cassia_dagster.marker_tables import WITHOUT_CELLS
    from cassia_dagster.outputs.result import final_label
    from cassia_dagster.outputs.words import cost_of

    console, table = Console(highlight=False), Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("cluster", "label", "score", "status", "best markers"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "score" else "left")
    for row in result.clusters:
        score = row.boosted.score
        genes = ", ".join(marker.gene for marker in row.evidence.markers[:5])
        status = row.boosted.status.value.replace("_", " ")
        shown = (row.cluster, final_label(row), "" if score is None else f"{score:.0f}", status, genes)
        table.add_row(*map(plain, shown))
    console.print(table)
    console.print(f"[dim]{cost_of(result)}. {WITHOUT_CELLS}[/]")
    for note in result.notes:
        console.print(f"[yellow]![/] {plain(note)}", soft_wrap=True)
    for kind, path in paths.items():
        console.print(f"{kind:<8}{plain(str(path))}", soft_wrap=True)
