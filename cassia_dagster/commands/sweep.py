"""The command `sweep`: at which resolutions the clusters of a dataset are stable."""

from __future__ import annotations

from typing import Annotated

import typer

from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.resolutions import canonical_resolution
from resources.home import home_of

RESOLUTIONS = ("0.2", "0.4", "0.6", "0.8", "1.0", "1.2", "1.4", "1.6", "2.0")


def sweep(
    name: NameArgument,
    resolution: Annotated[
        list[str] | None,
        typer.Option(help=f"Resolution to try; repeatable.  [default: {', '.join(RESOLUTIONS)}]", show_default=False),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Try resolutions on a dataset's graph, and say at which of them its clusters are stable."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cassia_dagster.commands.terminal import plain
    from cassia_dagster.singlecell.cluster import LeidenEngine, engine_for
    from cassia_dagster.singlecell.stability import N_SEEDS, STABLE
    from cassia_dagster.singlecell.stability import sweep as levels_of
    from resources.catalog import Catalog
    from resources.storage import stored_cells

    tried = sorted({float(canonical_resolution(one)) for one in resolution or RESOLUTIONS})
    place = home_of(home)
    entry = Catalog.read_entry(place.catalog, name)
    cells = stored_cells(place.artifacts, entry.name)
    if not cells.path.exists():
        raise InputError(
            f"The cells of {name} were not prepared yet. `cassia-dagster run` does that, and so does materializing "
            "normalized_adata in the user interface."
        )
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("resolution", "clusters", "modularity", "stability", ""):
        table.add_column(heading, justify="right" if heading else "left")
    graph = cells.read("obsp/connectivities")
    for level in levels_of(graph, tried):
        numbers = (f"{level.clusters}", f"{level.modularity:.3f}", f"{level.stability:.2f}")
        row = (canonical_resolution(level.resolution), *numbers, "[green]stable[/]" if level.is_stable else "")
        table.add_row(*row)
    console.print(f"[bold]{plain(name)}[/]")
    console.print(table)
    console.print(
        f"Stability: mean adjusted Rand index between {N_SEEDS} seeds; from {STABLE:g} on it is called stable.",
        soft_wrap=True,
    )
    if (usual := engine_for(graph.n_obs)) is not LeidenEngine.igraph:
        console.print(
            f"The clusters are those of igraph, which is quick; {usual} finds those of a run, maybe more or fewer.",
            soft_wrap=True,
        )
