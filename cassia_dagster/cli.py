"""The `cassia-dagster` command: run a dataset, run the demo, open the user interface."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dotenv import load_dotenv

from cassia_dagster import __version__
from cassia_dagster.commands import (
    analyses,
    annotate,
    benchmark,
    boost,
    clean,
    datasets,
    doctor,
    drift,
    figures,
    look_at_file,
    model_comparison,
    models,
    plan,
    review,
    subclusters,
    sweep,
)
from cassia_dagster.commands.dataset_options import OUTPUT, OutputOption, Said, changes, describes_dataset, entry_of
from cassia_dagster.commands.datasets import HomeOption, known_entry, register
from cassia_dagster.commands.help_pages import HelpfulGroup
from cassia_dagster.commands.model_options import ModelOption, said_of_models
from cassia_dagster.errors import CassiaError
from cassia_dagster.files import make_folder
from cassia_dagster.project import PROJECT, prepare_home

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry
    from resources.home import Home

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, for scripts.")]

DEMO_RESOLUTIONS = ("0.4", "0.8")

app = typer.Typer(
    name="cassia-dagster",
    cls=HelpfulGroup,
    help="LLM-annotated single-cell atlases as Dagster assets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


FreshOption = Annotated[
    bool,
    typer.Option("--fresh", help="Make cells, clusters and markers again where nothing about them has changed."),
]


@app.command(rich_help_panel="Annotate")
def demo(
    home: HomeOption = None,
    output: OutputOption = OUTPUT,
    model: ModelOption = None,
    *,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Annotate human pancreatic islets (1,065 cells), and compare with the published cell types."""
    with as_file(files("cassia_dagster") / "data") as data:
        said = {
            "name": "demo",
            "path": data / "islets.h5ad",
            "species": "human",
            "tissue": "pancreas",
            "labels": ("cell_type",),
            "label_terms": data / "islets_labels.csv",
            "resolutions": DEMO_RESOLUTIONS,
            "output": output.absolute(),
        }
        # The demo is always the same: no model that it was shown with before is asked, and paid, again.
        entry = entry_of(said | said_of_models(all=model))
        _annotate(entry, prepare_home(home), _Show(quiet=quiet, as_json=as_json), replace=True)


@app.command(rich_help_panel="Annotate")
@describes_dataset
def run(
    said: Said,
    home: HomeOption = None,
    *,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Annotate a dataset: register it, and materialize its assets through Dagster."""
    place = prepare_home(home)
    # Who says the name means the entry of that name, also where it is of another file.
    show = _Show(quiet=quiet, as_json=as_json)
    _annotate(entry_of(said, known_entry(place, said)), place, show, replace="name" in said, fresh=fresh)


@app.command(rich_help_panel="Look at the results")
def ui(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster's web server and daemon on the project's runs and assets."""
    place = prepare_home(home)
    typer.echo(f"Dagster is starting at http://127.0.0.1:{port} (stop it with Ctrl+C).")
    from cassia_dagster.server import serve

    sys.exit(serve(PROJECT / "workspace.yaml", place.root, port))


@dataclass(frozen=True, slots=True)
class _Show:
    """What a run says beside its errors."""

    quiet: bool
    as_json: bool

    def say(self, text: str) -> None:
        if not self.quiet:
            # The only thing on standard output is then the JSON.
            typer.echo(text, err=self.as_json)


def _annotate(entry: DatasetEntry, home: Home, show: _Show, *, replace: bool, fresh: bool = False) -> None:
    from resources.catalog_check import check_frame

    models.check_models(entry)
    check_frame(entry)
    make_folder(entry.folder, "The output folder")
    if before := register(home, entry, replace=replace):
        show.say(f"The catalog says something else of {entry.name} now: {changes(before, entry)}.")

    # Only now: the assets read the catalog's resolutions when they are imported.
    from cassia_dagster.commands.terminal import Progress, show_results
    from cassia_dagster.walk import Stopped, end_dead_runs, materialize_dataset, open_instance

    with open_instance(home) as instance:
        for run_id in end_dead_runs(instance):
            show.say(f"Run {run_id[:8]} was killed before; it is marked as failed. What it had finished is kept.")
        try:
            with Progress(entry, quiet=show.quiet or show.as_json) as progress:
                materialize_dataset(entry, home, instance, progress.tell, fresh=fresh)
        except Stopped:
            typer.echo("Stopped. What was finished is kept; the same command asks no model twice.", err=True)
            sys.exit(130)
        if show.as_json:
            from cassia_dagster.commands.telling import tell_json

            typer.echo(tell_json(entry, home))
        elif not show.quiet:
            show_results(entry, home)


app.command("annotate", rich_help_panel="Annotate")(annotate.annotate)
app.command("inspect", rich_help_panel="Annotate")(look_at_file.inspect_file)
app.command("estimate", rich_help_panel="Annotate")(models.estimate)
app.command("figures", rich_help_panel="Look at the results")(figures.figures)
app.add_typer(review.review, name="review", rich_help_panel="Look at the results")
app.command("uncertainty", rich_help_panel="Ask more")(analyses.uncertainty)
app.command("hypotheses", rich_help_panel="Ask more")(analyses.hypotheses)
app.command("symphony", rich_help_panel="Ask more")(analyses.symphony)
app.command("subclusters", rich_help_panel="Ask more")(subclusters.subclusters)
app.command("boost", rich_help_panel="Ask more")(boost.boost)
app.command("drift", rich_help_panel="Ask more")(drift.drift)
app.command("model-comparison", rich_help_panel="Ask more")(model_comparison.model_comparison)
app.command("sweep", rich_help_panel="Ask more")(sweep.sweep)
app.command("doctor", rich_help_panel="Keep house")(doctor.doctor)
app.command("plan", rich_help_panel="Keep house")(plan.plan)
app.add_typer(datasets.app, name="datasets", rich_help_panel="Keep house")
app.add_typer(models.cache, name="cache", rich_help_panel="Keep house")
app.command("gc", rich_help_panel="Keep house")(clean.gc)
app.command("benchmark", rich_help_panel="Keep house")(benchmark.benchmark)


if __name__ == "__main__":
    main()
