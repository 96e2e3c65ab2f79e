"""``uv run python -m benchmarks``: every figure of the documentation, by the command that makes it."""

from __future__ import annotations

import ast
import os
import runpy
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.machine import machine_now
from benchmarks.page import FOLDER, PROJECT, RESULTS, keep_result, table_of_figures, write_blocks
from benchmarks.workflow import State

PERFORMANCE = PROJECT / "docs" / "performance.md"

SCRIPTS = {
    "published": "How right labels are on published data: docs/evaluation.md and the calibration.",
    "crossfit": "The constants of the candidates, chosen on one part of the clusters and tried on the other.",
    "resolver": "How free texts are read as terms of the Cell Ontology.",
    "knowledge_speed": "What the offline knowledge costs in time and memory.",
    "islets": "Makes the cases of the demo's islets anew, cassia_dagster/data/islets_cases.csv.",
    "model_door": "The door to the models under latency, a quota (quota, unknown) and a kill in the middle.",
    "report": "How large the report of a large dataset is, and how long it takes to make and to open.",
    "scale": "How a project of a thousand datasets feels: loading it, looking at its files, opening its pages.",
    "shared_store": "What a reply store costs that several processes share, a file or a database.",
    "soak": "Many partitions under faults at random, and whether what is left adds up.",
    "pictures": "Makes the pictures in the documentation.",
}
PARSES = {"scale", "shared_store", "soak"}
"""Those that say themselves what their options are; of the others, the head of the file says how they are called."""
"""Of this package, each with a command of its name; what else is typed goes to it."""

app = typer.Typer(
    help="Makes the figures of the documentation.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

Runs = Annotated[Path, typer.Option(help="Folder of made cells and runs; runs that are there are kept.")]
Write = Annotated[bool, typer.Option("--write", help="Put the table into docs/performance.md.")]
RUNS = Path("benchmark-runs")


@app.command()
def generate(
    path: Annotated[Path, typer.Argument(help="The h5ad file to make.")],
    cells: Annotated[int, typer.Option(min=1, help="Number of cells.")] = 50_000,
    genes: Annotated[int, typer.Option(min=100, help="Number of genes.")] = 20_000,
    seed: int = 0,
) -> None:
    """Make counts of any size from the demo's cells, with planted types."""
    from benchmarks.synthetic import write_cells

    write_cells(path, cells, n_genes=genes, seed=seed)


@app.command()
def speed(
    cells: Annotated[list[int] | None, typer.Option(min=1000, help="Number of cells; repeatable.")] = None,
    state: Annotated[list[State] | None, typer.Option(help="Repeatable.  [default: warm and cold]")] = None,
    repeats: Annotated[int, typer.Option(min=0, help="Runs of each; 0 only writes the tables.")] = 3,
    workflow: Annotated[
        list[str] | None, typer.Option(help="plain, ours, streamed; repeatable.  [default: plain and ours]")
    ] = None,
    runs: Runs = RUNS,
    *,
    markers_only: Annotated[
        bool, typer.Option("--markers-only", help="Warm runs end with the first marker table.")
    ] = False,
    write: Write = False,
) -> None:
    """Compare the costs of the plain Scanpy workflow and ours, each run in a fresh process (50,000 cells: hours)."""
    from benchmarks.speed import COMPARED, keep_figures, page_of, run_all

    states, workflows = state or [State.warm, State.cold], workflow or ["plain", "ours"]
    for n_cells in cells or [10_000, 50_000]:
        run_all(runs, n_cells, states, repeats, workflows, finish=not markers_only)
    keep_figures(runs, RESULTS / "speed", COMPARED)
    _tell("speed", page_of(RESULTS / "speed"), write=write)


@app.command()
def equality(
    cells: Annotated[int, typer.Option(help="Of which number of cells.")] = 10_000,
    runs: Runs = RUNS,
    *,
    write: Write = False,
) -> None:
    """Compare what the plain workflow found with what ours makes of the same input, after a run of `speed`."""
    from benchmarks.equality import compare

    plain = next((runs / f"{cells}").glob("plain-*-1"))
    _keep("equality", compare(runs / f"{cells}.h5ad", plain, "1.0"), write=write)


@app.command()
def quality(
    cells: Annotated[int, typer.Option(help="Of which number of cells.")] = 50_000,
    runs: Runs = RUNS,
    *,
    write: Write = False,
) -> None:
    """Compare how good the clusters are that whole runs of `speed` ended in."""
    from benchmarks.quality import compare

    _keep("quality", compare(runs, cells), write=write)


@app.command()
def leiden(runs: Runs = RUNS, *, write: Write = False) -> None:
    """Compare two engines of the Leiden algorithm on the demo, on published cells and on made ones."""
    from benchmarks.leiden import measure, table_of

    folder = os.environ.get(FOLDER)
    rows = list(measure(Path(folder) if folder else None, runs if runs.exists() else None))
    keep_result("leiden", {"rows": rows}, machine_now())
    _tell("leiden", f"{table_of(rows)}\n\n{machine_now()}", write=write)


@app.command()
def capped(
    cells: Annotated[int, typer.Option(help="Number of cells.")] = 200_000,
    gigabytes: Annotated[float, typer.Option(help="The cap.")] = 4,
    runs: Runs = RUNS,
    *,
    write: Write = False,
) -> None:
    """Annotate cells by the command under a cap on memory, and cluster them without (200,000 cells: an hour)."""
    from benchmarks.capped import compare

    _keep("capped", compare(runs, cells, gigabytes), write=write)


@app.command()
def overhead(
    cells: Annotated[int | None, typer.Option(help="Number of made cells.  [default: the demo]")] = None,
    resolutions: Annotated[int, typer.Option(min=1, max=5, help="Of made cells.")] = 1,
    repeats: Annotated[int, typer.Option(min=0, help="Runs of each; 0 only writes the tables.")] = 3,
    runs: Runs = RUNS,
    *,
    write: Write = False,
) -> None:
    """Compare the whole method through Dagster with the same functions called directly."""
    from benchmarks.overhead import WORKFLOWS, page_of, run_pairs
    from benchmarks.speed import keep_figures

    run_pairs(runs, cells, repeats, resolutions)
    keep_figures(runs, RESULTS / "speed", WORKFLOWS)
    _tell("overhead", page_of(RESULTS / "speed"), write=write)


def _passes_on(module: str, purpose: str) -> None:
    """Add a command that runs a script of this package with what else the command line says."""

    @app.command(
        module.replace("_", "-"),
        help=purpose,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def run(context: typer.Context) -> None:
        if "--help" in context.args and module not in PARSES:
            source = (Path(__file__).parent / f"{module}.py").read_text("utf-8")
            print(ast.get_docstring(ast.parse(source)))
            return
        sys.argv = [module, *context.args]
        runpy.run_module(f"benchmarks.{module}", run_name="__main__")


for _module, _purpose in SCRIPTS.items():
    _passes_on(_module, _purpose)


def _keep(block: str, figures: Mapping[str, float | bool | str], *, write: bool) -> None:
    keep_result(block, figures, machine_now())
    _tell(block, f"{table_of_figures(figures)}\n\n{machine_now()}", write=write)


def _tell(block: str, text: str, *, write: bool) -> None:
    print(text)
    if write:
        write_blocks({block: text}, PERFORMANCE)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    app(prog_name="python -m benchmarks")
