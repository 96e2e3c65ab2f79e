"""Compares the costs of the plain Scanpy workflow with those of ours: repeated runs, medians, ratios."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.machine import MACHINE, ended_well, machines
from benchmarks.stages import Stage
from benchmarks.synthetic import N_GENES, write_cells
from benchmarks.workflow import COSTS, State, costs_of, run_apart

RESOLUTIONS = ("1.0", "0.4", "0.7", "1.3", "1.6")
COMPARED = ("plain", "ours", "streamed")
"""Workflows."""

type Measure = Callable[[list[Stage]], float | None]
"""Takes a figure from the stages of one run; None if it did not come so far."""

_AFTERWARDS = ("umap", "write")


def _until(step: str, stages: list[Stage]) -> list[Stage] | None:
    """Return the stages up to the first of a step: without those of other resolutions."""
    for position, stage in enumerate(stages):
        if stage.name.startswith(f"{step} "):
            return stages[: position + 1]
    return None


def _sum_until(step: str, field: str) -> Measure:
    def measure(stages: list[Stage]) -> float | None:
        needed = _until(step, stages)
        return sum(getattr(stage, field) for stage in needed) if needed else None

    return measure


def _peak_until(step: str) -> Measure:
    def measure(stages: list[Stage]) -> float | None:
        needed = _until(step, stages)
        return max(stage.peak for stage in needed) / 2**30 if needed else None

    return measure


cpu_of_one = _sum_until("markers", "cpu")
"""Counts → marker table."""


def cpu_from_start(stages: list[Stage]) -> float | None:
    """Return what the process had taken when the marker table was there, with imports and compilation."""
    needed = _until("markers", stages)
    return needed[-1].cpu_so_far if needed else None


def _cpu_of_five(stages: list[Stage]) -> float | None:
    if sum(stage.name.startswith("markers ") for stage in stages) < len(RESOLUTIONS):
        return None
    return sum(stage.cpu for stage in stages if stage.name not in _AFTERWARDS)


def _cpu_of_all(stages: list[Stage]) -> float | None:
    if not {stage.name for stage in stages}.issuperset(_AFTERWARDS):
        return None
    return sum(stage.cpu for stage in stages if stage.name in _AFTERWARDS) + (cpu_of_one(stages) or 0)


class Row(NamedTuple):
    """What is compared."""

    title: str
    state: State
    measure: Measure
    of_ours: Measure | None = None
    """How the figure is taken from ours, where that differs."""
    ours: str = "ours"
    """Workflow that stands beside the plain one."""


_WHOLE = "until the marker table is there, plain with UMAP and write, CPU seconds"
_FRESH = "counts → marker table, fresh process, nothing compiled, CPU seconds"

ROWS = (
    Row("counts → clusters, CPU seconds", State.warm, _sum_until("clusters", "cpu")),
    Row("peak memory until the clusters, GiB", State.warm, _peak_until("clusters")),
    Row("counts → marker table, CPU seconds", State.warm, cpu_of_one),
    Row("the same, seconds", State.warm, _sum_until("markers", "wall")),
    Row("counts → marker tables of five resolutions, CPU seconds", State.warm, _cpu_of_five),
    Row(_WHOLE, State.warm, _cpu_of_all, cpu_of_one),
    Row("the whole, UMAP and write in both, CPU seconds", State.warm, _cpu_of_all),
    Row("peak memory until the marker table, GiB", State.warm, _peak_until("markers")),
    Row(_FRESH, State.cold, cpu_from_start),
    Row("peak memory in a fresh process, GiB", State.cold, _peak_until("markers")),
    Row("the same, ours streamed from the file, GiB", State.cold, _peak_until("markers"), ours="streamed"),
    Row("counts → marker table, ours streamed, CPU seconds", State.cold, cpu_from_start, ours="streamed"),
)


def run_all(
    folder: Path,
    n_cells: int,
    states: Iterable[State],
    repeats: int,
    workflows: Sequence[str] = ("plain", "ours"),
    *,
    finish: bool = True,
) -> None:
    """Run workflows in turns, so that what else the machine does meets all; runs that are there are kept.

    Parameters
    ----------
    folder
        Of cells and runs.
    n_cells
        To be made, if there is no such file yet.
    states
        What runs find.
    repeats
        Of each run.
    workflows
        Which.
    finish
        Whether warm runs go on to all resolutions, UMAP and the file.
    """
    path = folder / f"{n_cells}.h5ad"
    if not path.exists():
        write_cells(path, n_cells)
    for number in range(1, repeats + 1):
        for state in states:
            for workflow in workflows:
                run, whole = folder_of(folder, n_cells, workflow, state, number), state is State.warm and finish
                if not ended_well(run):
                    wanted = list(RESOLUTIONS) if whole else [RESOLUTIONS[0]]
                    run_apart(workflow, path, run, wanted, state=state, finish=whole)


def folder_of(folder: Path, n_cells: int, workflow: str, state: State, number: int) -> Path:
    """Return the folder of one run."""
    return folder / f"{n_cells}" / f"{workflow}-{state}-{number}"


def keep_figures(runs: Path, results: Path, workflows: Collection[str]) -> None:
    """Copy what runs of some workflows cost, and on what machine, to where it stays; of their cells nothing is kept."""
    for costs in runs.glob(f"*/*/{COSTS}"):
        is_one = costs.parent.name.partition("-")[0] in workflows and costs.parent.parent.name.isdecimal()
        if is_one and ended_well(costs.parent):
            place = results / costs.parent.relative_to(runs)
            place.mkdir(parents=True, exist_ok=True)
            for name in (COSTS, MACHINE):
                shutil.copyfile(costs.parent / name, place / name)


def table_of(folder: Path) -> str:
    """Write the medians of the runs in a folder, and their ratios, as Markdown."""
    lines = ["| cells | what | runs | plain Scanpy | ours | ratio |", "|--:|---|--:|--:|--:|--:|"]
    for n_cells in _sizes(folder):
        for row in ROWS:
            plain = _figures(folder, n_cells, "plain", row.state, row.measure)
            ours = _figures(folder, n_cells, row.ours, row.state, row.of_ours or row.measure)
            if not ours:
                continue
            ratio = f"{median(plain) / median(ours):.1f} ×" if plain else ""
            cells = (f"{n_cells:,}", row.title, f"{len(plain)} and {len(ours)}", _median(plain), _median(ours), ratio)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def growth_of(folder: Path) -> str:
    """Write how the costs of ours grow with the cells, as Markdown."""
    lines = ["| cells | runs | CPU seconds, counts → marker table | times those of the row above | peak, GiB |"]
    lines += ["|--:|--:|--:|--:|--:|"]
    before: float | None = None
    for n_cells in _sizes(folder):
        found = _figures(folder, n_cells, "ours", State.warm, cpu_of_one)
        if found:
            peak = _figures(folder, n_cells, "ours", State.warm, _peak_until("markers"))
            ratio = f"{median(found) / before:.1f} ×" if before else ""
            cells = (f"{n_cells:,}", f"{len(found)}", _median(found), ratio, _median(peak))
            lines.append(f"| {' | '.join(cells)} |")
            before = median(found)
    return "\n".join(lines)


def cold_start_of(folder: Path) -> str:
    """Write what of a fresh process is importing and compiling, as Markdown: the rest is what a warm one takes."""
    lines = ["| cells | workflow | fresh process, CPU seconds | the same work when warm | imports and compilation |"]
    lines += ["|--:|---|--:|--:|--:|"]
    for n_cells in _sizes(folder):
        for workflow in ("plain", "ours"):
            cold = _figures(folder, n_cells, workflow, State.cold, cpu_from_start)
            warm = _figures(folder, n_cells, workflow, State.warm, cpu_of_one)
            if cold and warm:
                start = median(cold) - median(warm)
                share = f"{start:.1f} ({start / median(cold):.0%})"
                lines.append(f"| {n_cells:,} | {workflow} | {_median(cold)} | {_median(warm)} | {share} |")
    return "\n".join(lines)


def stages_of(folder: Path) -> str:
    """Write the median CPU seconds of each stage as Markdown."""
    lines = ["| cells | runs | workflow | stages, CPU seconds |", "|--:|---|---|---|"]
    for place in sorted(folder.glob("*/*-*-1"), key=lambda one: (int(one.parent.name), one.name)):
        workflow, state, _ = place.name.split("-")
        runs = [costs_of(one) for one in place.parent.glob(f"{workflow}-{state}-*") if ended_well(one)]
        if runs and workflow in ("plain", "ours", "streamed"):
            first = max(runs, key=len)
            costs = [
                f"{stage.name} {median(run[position].cpu for run in runs if len(run) > position):.1f}"
                for position, stage in enumerate(first)
            ]
            lines.append(f"| {int(place.parent.name):,} | {state} | {workflow} | {', '.join(costs)} |")
    return "\n".join(lines)


def page_of(folder: Path) -> str:
    """Write all tables of the costs, and on what machines they were measured."""
    said = f"{machines(sorted(folder.glob('*/*-*')))} {N_GENES:,} genes."
    return "\n\n".join((table_of(folder), said, growth_of(folder), cold_start_of(folder), stages_of(folder)))


def _sizes(folder: Path) -> Iterator[int]:
    yield from sorted(int(place.name) for place in folder.iterdir() if place.is_dir() and place.name.isdecimal())


def _figures(folder: Path, n_cells: int, workflow: str, state: State, measure: Measure) -> list[float]:
    places = sorted((folder / f"{n_cells}").glob(f"{workflow}-{state}-*"))
    runs = [costs_of(place) for place in places if ended_well(place)]
    return [figure for run in runs if (figure := measure(run)) is not None]


def _median(figures: Sequence[float]) -> str:
    return f"{median(figures):.1f}" if figures else "not measured"
