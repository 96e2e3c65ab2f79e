"""The command `benchmark`: how right the labels are, what they cost, and whether another model or prompt is better."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.annotating import all_played_by, open_doors, open_store
from cassia_dagster.commands.datasets import HomeOption
from cassia_dagster.errors import ConfigurationError, InputError
from cassia_dagster.records import Strategy
from resources.home import home_of

if TYPE_CHECKING:
    from rich.console import Console

    from cassia_dagster.evaluation.benchmark import BenchmarkRun
    from cassia_dagster.evaluation.cases import Cases
    from cassia_dagster.evaluation.comparison import RunComparison
    from resources.home import Home

FIGURES = (
    "mean_hf1",
    "mean_hf1_where_named",
    "mean_grade",
    "exact",
    "exact_or_finer",
    "contradiction",
    "coverage",
    "right_scored_high",
    "high_scored_right",
)
"""What is printed of a run's summary, in this order."""


def benchmark(
    cases: Annotated[
        Path, typer.Argument(help="CSV with the columns species, tissue, gold_label[, gold_cl_id], markers.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Who answers: 'embedded' or provider/model; may be repeated.  [default: embedded]"),
    ] = None,
    strategy: Annotated[
        list[Strategy] | None,
        typer.Option(help="How labels are arrived at; may be repeated, to compare.  [default: validated]"),
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option(help="Column of the file with answers of others to score; may be repeated.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="JSON of an earlier run to compare with.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("output/benchmark"),
    home: HomeOption = None,
) -> None:
    """Score a model on clusters whose labels are known, and compare models, prompts and answers of others.

    All runs are compared with the first: the earlier one, where it is given, else the first model or column.
    """
    from rich.console import Console

    from cassia_dagster.evaluation.cases import read_cases
    from cassia_dagster.evaluation.comparison import compare_runs

    console, read = Console(highlight=False), read_cases(cases)
    earlier = [_read_run(against)] if against else []
    models = model or ([] if given else ["embedded"])
    try:
        runs = [*earlier, *_runs(read, given or [], models, strategy or [Strategy.VALIDATED], home_of(home))]
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command asks no model twice.", err=True)
        sys.exit(130)
    comparisons = [compare_runs(runs[0], other) for other in runs[1:]]
    written = [path for run in runs[len(earlier) :] for path in _write_run(run, output, cases.stem, against)]
    _show_runs(console, runs)
    for comparison in comparisons:
        _show_comparison(console, comparison)
        written.append(_write_comparison(comparison, output, cases.stem))
    for path in written:
        console.print(path, soft_wrap=True, markup=False)


def _runs(
    cases: Cases, given: list[str], models: list[str], strategies: list[Strategy], home: Home
) -> Iterable[BenchmarkRun]:
    from cassia_dagster.evaluation.benchmark import run_benchmark, score_given
    from resources.settings import AnnotationSettings

    for column in given:
        yield score_given(cases, column)
    if models:
        # Under the budget of a run that the environment sets, if it does.
        with open_store(home, AnnotationSettings.from_environment().limits("benchmark")) as store:
            doors = {model: open_doors(all_played_by(model), store) for model in models}
            for model, door in doors.items():
                for strategy in strategies:
                    title = model if strategy is Strategy.VALIDATED else f"{model} {strategy}"
                    yield run_benchmark(cases, door, store, title, strategy)


def _read_run(path: Path) -> BenchmarkRun:
    from pydantic import ValidationError

    from cassia_dagster.evaluation.benchmark import BenchmarkRun

    try:
        return BenchmarkRun.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Give the JSON file of an earlier run.") from error
    except ValidationError as error:
        raise InputError(f"{path} is no result of `cassia-dagster benchmark` of this version.") from error


def _slug(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", title).strip("._")[:80] or "run"


def _write_run(run: BenchmarkRun, folder: Path, cases: str, against: Path | None) -> list[Path]:
    import pandas as pd

    from cassia_dagster.outputs.tables import write_inert

    stem = f"{_slug(cases)}_{_slug(run.title)}"
    if against and (folder / f"{stem}.json").resolve() == against.resolve():
        stem += "_again"  # what it is compared with stays what it was
    figures, table = folder / f"{stem}.json", folder / f"{stem}.csv"
    _write_text(run.model_dump_json(indent=1), figures)
    rows = [
        one.model_dump(mode="json", exclude={"compared"}) | one.compared.model_dump(mode="json") for one in run.answers
    ]
    write_inert(pd.DataFrame(rows), table)
    return [figures, table]


def _write_comparison(comparison: RunComparison, folder: Path, cases: str) -> Path:
    path = folder / f"{_slug(cases)}_{_slug(comparison.first)}_against_{_slug(comparison.second)}.json"
    _write_text(comparison.model_dump_json(indent=1), path)
    return path


def _write_text(text: str, path: Path) -> None:
    from cassia_dagster.files import replacing

    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def _show_runs(console: Console, runs: list[BenchmarkRun]) -> None:
    from rich import box
    from rich.table import Table

    from cassia_dagster.commands.terminal import plain

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for run in runs:
        table.add_column(plain(run.title), justify="right", overflow="fold")
    for name in FIGURES:
        values = [(getattr(run.summary, name), getattr(run.summary, f"{name}_interval", None)) for run in runs]
        table.add_row(name.replace("_", " "), *(_figure(value, between) for value, between in values))
    table.add_row("n", *(f"{run.summary.n} of {run.summary.n_cases}" for run in runs))
    table.add_row("calls (cached)", *(f"{run.calls} ({run.cached_calls})" if run.calls else "" for run in runs))
    table.add_row("USD", *(_cost(run) for run in runs))
    table.add_row("seconds", *(f"{run.seconds:.1f}" if run.calls else "" for run in runs))
    console.print(table)


def _figure(value: float | None, between: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" + (f" ({between[0]:.2f}–{between[1]:.2f})" if between else "")  # noqa: RUF001


def _cost(run: BenchmarkRun) -> str:
    if not run.calls:
        return ""
    return f"{'at least ' if run.unpriced_calls else ''}{run.usd:.4f}"


def _show_comparison(console: Console, comparison: RunComparison) -> None:
    from rich import box
    from rich.table import Table

    from cassia_dagster.commands.terminal import plain
    from cassia_dagster.evaluation.comparison import Change

    low, high = comparison.mean_gain_interval
    counts = ", ".join(
        f"{number} {change.value.replace('_', ' ')}" for change, number in comparison.counts.items() if number
    )
    console.print(
        f"\n[bold]{plain(comparison.second)}[/] against [bold]{plain(comparison.first)}[/]: {counts}; "
        f"{comparison.better} better, {comparison.worse} worse, mean gain {comparison.mean_gain:+.3f} "
        f"({low:+.3f} to {high:+.3f})"
    )
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("case", "gold label", "first", "second", "change", "gain"):
        table.add_column(heading, overflow="fold")
    for one in comparison.changes:
        if one.change is not Change.SAME:
            gain = "" if one.gain is None else f"{one.gain:+.2f}"
            shown = (one.case, one.gold_label, one.first or "", one.second or "", one.change.replace("_", " "), gain)
            table.add_row(*map(plain, shown))
    if table.row_count:
        console.print(table)
