"""The `cassia-dagster` command: run a dataset, run the demo, open the user interface."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dotenv import load_dotenv

from cassia_dagster import __version__, annotating, benchmarking, datasets
from cassia_dagster.datasets import HomeOption, home_of
from cassia_dagster.errors import CassiaError, ConfigurationError, InputError
from resources.home import VARIABLE, Home

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry
    from resources.llm import ModelResource

PROJECT = Path(__file__).parent.parent
"""Where dagster.yaml and workspace.yaml stand."""

DEMO_RESOLUTIONS = ("0.4", "0.8")

app = typer.Typer(
    name="cassia-dagster",
    help="LLM-annotated single-cell atlases as Dagster assets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(datasets.app, name="datasets")
app.command("inspect")(datasets.inspect_file)
app.command("annotate")(annotating.annotate)
app.command("benchmark")(benchmarking.benchmark)

OutputOption = Annotated[Path, typer.Option("--output", help="Folder for reports, tables and the annotated file.")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help="Who plays the roles: 'embedded' (no key, no network), or provider/model as LiteLLM names them.",
    ),
]


def main() -> None:
    """Run the command; what the user can mend is one message without a traceback."""
    verbose = "--verbose" in sys.argv
    try:
        app()
    except CassiaError as error:
        if verbose:
            raise
        typer.secho(f"Error: {_one_line(error)}", fg=typer.colors.RED, err=True)
        sys.exit(1)
    except Exception as error:
        if verbose:
            raise
        first_line = _one_line((str(error).splitlines() or [""])[0])
        typer.secho(
            f"Error: this should not have happened ({type(error).__name__}: {first_line}).\n"
            "Run the command again with --verbose in front for the whole story.",
            fg=typer.colors.RED,
            err=True,
        )
        sys.exit(2)


def _one_line(text: object) -> str:
    """Take what would speak to the terminal out of a message; names of files and columns stand in it."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Name the clusters of single-cell data, with every label checked against the data."""
    del version  # its callback has answered
    load_dotenv(Path(".env"))
    if not verbose:
        import warnings

        # Warnings of libraries speak to programmers.
        warnings.filterwarnings("ignore")


@app.command()
def demo(home: HomeOption = None, output: OutputOption = Path("output"), model: ModelOption = "embedded") -> None:
    """Annotate human pancreatic islets (1,065 cells), and compare with the published cell types."""
    with as_file(files("cassia_dagster") / "data") as data:
        _materialize(
            _home(home),
            model,
            renamed=True,
            name="demo",
            path=data / "islets.h5ad",
            species="human",
            tissue="pancreas",
            labels=("cell_type",),
            label_terms=data / "islets_labels.csv",
            resolutions=DEMO_RESOLUTIONS,
            output=output.absolute(),
        )


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Counts: .h5ad, 10x .h5 or folder, .zarr, .csv or .tsv.")],
    tissue: Annotated[str, typer.Option(help="Where the cells are from, such as 'pancreas'.")],
    species: Annotated[str, typer.Option(help="human or mouse.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the dataset.  [default: the file's]", show_default=False)
    ] = None,
    resolution: Annotated[
        list[str] | None,
        typer.Option(
            help="Resolution of the clustering; may be repeated.  [default: 0.4, 0.8, 1.2]",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Column of obs with known cell types to compare with; may be repeated."),
    ] = None,
    label_terms: Annotated[
        Path | None, typer.Option(help="CSV with columns label, cl_id: the known cell types as Cell Ontology terms.")
    ] = None,
    counts: Annotated[
        str | None,
        typer.Option(help="Where the raw counts are: X, raw or layers/NAME.  [default: found]", show_default=False),
    ] = None,
    gene_symbols: Annotated[
        str | None,
        typer.Option(help="Column of var with gene symbols.  [default: the names of var]", show_default=False),
    ] = None,
    context: Annotated[str, typer.Option(help="What else a model should know, such as 'biopsy of a tumour'.")] = "",
    output: OutputOption = Path("output"),
    home: HomeOption = None,
    model: ModelOption = "embedded",
) -> None:
    """Annotate a dataset: register it, and materialize its assets through Dagster."""
    fields = {
        "name": name or re.sub(r"[^A-Za-z0-9._-]+", "_", file.stem).strip("._-")[:100] or "dataset",
        "path": file.absolute(),
        "species": species.strip().lower(),
        "tissue": tissue,
        "context": context,
        "labels": tuple(labels or ()),
        "label_terms": label_terms and label_terms.absolute(),
        "counts": counts,
        "gene_symbols": gene_symbols,
        "output": output.absolute(),
    }
    chosen = {"resolutions": tuple(resolution)} if resolution else {}
    _materialize(_home(home), model, renamed=name is not None, **fields, **chosen)


@app.command()
def ui(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster's web server and daemon on the project's runs and assets."""
    place = _home(home)
    typer.echo(f"Dagster is starting at http://127.0.0.1:{port} (stop it with Ctrl+C).")
    from cassia_dagster.server import serve

    sys.exit(serve(PROJECT / "workspace.yaml", place.root, port))


def _home(given: Path | None) -> Home:
    """Make the project's home, and tell Dagster and the assets where it is."""
    home = home_of(given)
    _make_folder(home.dagster, "The project's home")
    if not (home.dagster / "dagster.yaml").exists():
        shutil.copy(PROJECT / "dagster.yaml", home.dagster)
    os.environ[VARIABLE] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    return home


def _make_folder(folder: Path, what: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{what} {folder} cannot be made: {error.strerror}.") from error


def _model(name: str) -> ModelResource:
    from resources.llm import EMBEDDED, ModelResource

    provider, _, model = name.partition("/")
    if provider != EMBEDDED and not model:
        raise ConfigurationError(
            f"Model {name!r} has no provider. Write provider/model, such as 'openai/gpt-5', or 'embedded'."
        )
    return ModelResource(provider=provider, model=model)


def _entry(fields: dict[str, object]) -> DatasetEntry:
    """Check what the user says of a dataset."""
    from pydantic import ValidationError

    from cassia_dagster.singlecell.formats import check_format
    from resources.catalog import DatasetEntry

    try:
        entry = DatasetEntry.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        value = "" if isinstance(first["input"], dict) else f" {first['input']!r}"
        field = ".".join(map(str, first["loc"])) or "dataset"
        raise InputError(f"{field}{value}: {first['msg'].removeprefix('Value error, ')}.") from None
    check_format(entry.path)
    return entry


def _register(home: Home, entry: DatasetEntry, *, renamed: bool) -> None:
    """Write a dataset into the catalog, where the user interface and schedules find it."""
    from filelock import FileLock

    from resources.catalog import Catalog

    with FileLock(home.catalog.with_suffix(".lock"), timeout=60):
        catalog = Catalog.read(home.catalog)
        namesakes = [other for other in catalog.datasets if other.name == entry.name and other.path != entry.path]
        if namesakes and not renamed:
            raise InputError(
                f"A dataset {entry.name!r} is known already, from {namesakes[0].path}. Give this one another --name, "
                f"or the same with --name {entry.name} to replace it."
            )
        catalog.with_entry(entry).write(home.catalog)


def _materialize(home: Home, model: str, *, renamed: bool, **fields: object) -> None:
    resource = _model(model)
    resource.check()
    entry = _entry(fields)
    _make_folder(entry.folder, "The output folder")
    _register(home, entry, renamed=renamed)

    # Only now: the assets read the catalog's resolutions when they are imported.
    from cassia_dagster.terminal import Progress, show_results
    from cassia_dagster.walk import Stopped, end_dead_runs, materialize_dataset, open_instance

    with open_instance(home) as instance:
        for run_id in end_dead_runs(instance):
            typer.echo(f"Run {run_id[:8]} was killed before; it is marked as failed. What it had finished is kept.")
        try:
            with Progress(entry) as progress:
                materialize_dataset(entry, home, instance, resource, progress.tell)
        except Stopped:
            typer.echo("Stopped. What was finished is kept; the same command asks no model twice.", err=True)
            sys.exit(130)
        show_results(entry, home)


if __name__ == "__main__":
    main()
