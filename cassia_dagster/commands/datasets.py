"""The commands about the datasets that the project knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.commands.dataset_options import Said, describes_dataset, entry_of, name_of
from cassia_dagster.commands.help_pages import HelpfulGroup
from cassia_dagster.errors import CassiaError, ConfigurationError, InputError
from cassia_dagster.files import make_folder
from resources.home import DEFAULT, VARIABLE, Home, home_of

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar=VARIABLE,
        help=f"Folder of the project's state.  [default: {DEFAULT}]",
        show_default=False,
    ),
]

NameArgument = Annotated[str, typer.Argument(help="Name of the dataset.")]

app = typer.Typer(cls=HelpfulGroup, help="The datasets that the project knows.", no_args_is_help=True)


@app.command("list")
def list_datasets(home: HomeOption = None) -> None:
    """List the datasets of the catalog."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cassia_dagster.commands.terminal import as_typed, plain
    from resources.catalog import Catalog

    place, console = home_of(home), Console(highlight=False)
    catalog, broken = Catalog.read_sound(place.catalog)
    if not catalog.datasets and not broken:
        more = as_typed("cassia-dagster run FILE")
        console.print(f"No dataset is known in {plain(str(place.catalog))}. `{more}` adds one.", soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("name", "species", "tissue", "resolutions", "file"):
        table.add_column(heading, overflow="fold")
    for entry in catalog.datasets:
        cells = (entry.name, entry.species, entry.where, ", ".join(entry.clusterings), str(entry.path))
        table.add_row(*map(plain, cells))
    console.print(table)
    for trouble in broken.values():
        console.print(f"[red]✗[/] {plain(trouble)}", soft_wrap=True)
    if broken:
        raise ConfigurationError(f"{len(broken)} of {len(broken) + len(catalog.datasets)} entries cannot be used.")


@app.command("check")
def check_datasets(
    names: Annotated[list[str] | None, typer.Argument(help="Names of datasets.  [default: all]")] = None,
    home: HomeOption = None,
) -> None:
    """Read the files of datasets, and say whether they can be annotated."""
    from rich.console import Console

    from cassia_dagster.commands.terminal import plain
    from resources.catalog import Catalog

    console = Console(highlight=False)
    catalog, troubles = Catalog.read_sound(home_of(home).catalog)
    wanted = names or [*(entry.name for entry in catalog.datasets), *troubles]
    entries = {name: catalog.entry(name) for name in wanted if name not in troubles}
    for name in wanted:
        try:
            seen = _check(entries[name]) if name in entries else ""
        except CassiaError as error:
            troubles[name] = str(error)
        if name in troubles:
            console.print(f"[red]✗[/] {plain(name)}  {plain(troubles[name])}", soft_wrap=True)
        else:
            console.print(f"[green]✓[/] {plain(name)}  [dim]{seen}[/]", soft_wrap=True)
    if refused := sum(name in troubles for name in wanted):
        raise InputError(f"{refused} of {len(wanted)} datasets cannot be annotated as they are.")


def _check(entry: DatasetEntry) -> str:
    from resources.catalog_check import lab_notes, load_checked, load_table

    for note in lab_notes(entry):
        typer.echo(note)
    if not entry.has_cells:
        table = load_table(entry).table
        return f"{table['cluster'].nunique():,} clusters, {len(table):,} markers"
    adata = load_checked(entry).adata
    return f"{adata.n_obs:,} cells, {adata.n_vars:,} genes"


@app.command("add")
@describes_dataset
def add_dataset(
    said: Said,
    *,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Read the file first, and refuse one that cannot be annotated.")
    ] = True,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the dataset of this name.")] = False,
    home: HomeOption = None,
) -> None:
    """Register a dataset without annotating it: the user interface and automation find it in the catalog."""
    from cassia_dagster.commands.terminal import as_typed

    entry, place = entry_of(said), home_of(home)
    seen = f" ({_check(entry)})" if check else ""
    if namesake := register(place, entry, replace=replace, same_file=False):
        typer.echo(f"{entry.name} takes the place of what the catalog said of {namesake.path}.")
    typer.echo(
        f"{entry.name} is in the catalog{seen}. The sensor watch_catalog of `{as_typed('cassia-dagster ui')}` finds "
        f"it there; `{as_typed('cassia-dagster run')}` with the same options annotates it at once."
    )


def calls_before(home: Home, name: str) -> str:
    """Say what was asked under the name of a dataset before the catalog knew it, as `cassia-dagster annotate` does."""
    from cassia_dagster.llm.store import Store

    if isinstance(home.model_store, Path) and not home.model_store.exists():
        return ""
    with Store.open(home.model_store) as store:
        totals = store.totals(subject=name)
    if not (questions := totals.calls + totals.cached):
        return ""
    return (
        f"{questions:,} questions were asked under the name {name!r} before; what they cost ({totals.usd:.4f} USD) "
        f"counts as this dataset's, and results of that name in the same output folder are replaced. "
        "With another --name they stay apart."
    )


def known_entry(home: Home, said: Said) -> DatasetEntry | None:
    """Return what the catalog says already of the dataset that is meant: of the name that is said, or of the same file.

    Raises
    ------
    ConfigurationError
        If what it says cannot be used, so that what is said now cannot be laid over it.
    """
    from resources.catalog import Catalog

    name = name_of(said)
    catalog, broken = Catalog.read_sound(home.catalog)
    if name in broken:
        raise _unusable(broken[name], name)
    for entry in catalog.datasets:
        if entry.name == name and ("name" in said or entry.path.absolute() == said["path"]):
            return entry
    return None


def register(home: Home, entry: DatasetEntry, *, replace: bool, same_file: bool = True) -> DatasetEntry | None:
    """Write a dataset into the catalog, where the user interface and schedules find it.

    Parameters
    ----------
    home
        The project, which is made if it is not there.
    entry
        The dataset.
    replace
        Whether it may take the place of another entry of its name.
    same_file
        Whether it may do so at least where that is about the same file.

    Returns
    -------
    DatasetEntry or None
        The entry that was replaced, if one was.

    Raises
    ------
    InputError
        If it would replace what it may not.
    ConfigurationError
        If the catalog cannot be read, or what it says of this dataset.
    """
    from filelock import FileLock

    from resources.catalog import Catalog, write_entry

    make_folder(home.root, "The project's home")
    with FileLock(home.catalog.with_suffix(".lock"), timeout=60):
        catalog, broken = Catalog.read_sound(home.catalog)
        if entry.name in broken and not replace:
            raise _unusable(broken[entry.name], entry.name)
        namesake = next((other for other in catalog.datasets if other.name == entry.name), None)
        if namesake == entry:
            return None
        if namesake and not replace and not (same_file and namesake.path.absolute() == entry.path.absolute()):
            way = f"--name {entry.name}" if same_file else "--replace"
            raise InputError(
                f"A dataset {entry.name!r} is known already, from {namesake.path}. Give this one another --name, "
                f"or say {way} to replace it."
            )
        if namesake is None and (said := calls_before(home, entry.name)):
            typer.echo(said)
        write_entry(home.catalog, entry)
        return namesake


def _unusable(trouble: str, name: str) -> ConfigurationError:
    return ConfigurationError(f"{trouble} Mend it, or take it out with `cassia-dagster datasets remove {name}`.")


@app.command("remove")
def remove_dataset(name: NameArgument, home: HomeOption = None) -> None:
    """Take a dataset out of the catalog; its file and its results stay."""
    from filelock import FileLock

    from resources.catalog import Catalog, remove_entry

    place = home_of(home)
    catalog, broken = Catalog.read_sound(place.catalog)
    if name not in broken:
        catalog.entry(name)  # before a lock is made where there is no project
    with FileLock(place.catalog.with_suffix(".lock"), timeout=60):
        remove_entry(place.catalog, name)
    typer.echo(f"{name!r} is no longer in the catalog. Its file and what was made of it were not touched.")
