"""Compares the costs of the plain Scanpy workflow with those of ours: repeated runs, medians, ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.stages import Stage
from benchmarks.synthetic import N_GENES, write_cells
from benchmarks.workflow import COSTS, WORKFLOWS, costs_of, run_apart

RESOLUTIONS = ("1.0", "0.4", "0.7", "1.3", "1.6")
LIBRARIES = ("scanpy", "anndata", "leidenalg", "igraph", "harmonypy", "numpy", "scipy", "scikit-learn", "numba")

type Measure = Callable[[list[Stage]], float | None]
"""Takes a figure from the stages of one run; None if it did not come so far."""

_AFTERWARDS = ("umap", "write")


def _until(step: str, stages: list[Stage]) -> list[Stage] | None:
    """Return the stages up to the first of a step: without those of other resolutions."""
    for position, stage in enumerate(stages):
        if stage.name.startswith(f"{step} "):
            return stages[: position + 1]
    return None


def _until_markers(stages: list[Stage]) -> list[Stage] | None:
    return _until("markers", stages)


def _cpu_of_clusters(stages: list[Stage]) -> float | None:
    needed = _until("clusters", stages)
    return sum(stage.cpu for stage in needed) if needed else None


def _peak_of_clusters(stages: list[Stage]) -> float | None:
    needed = _until("clusters", stages)
    return max(stage.peak for stage in needed) / 2**30 if needed else None


def _cpu_of_one(stages: list[Stage]) -> float | None:
    needed = _until_markers(stages)
    return sum(stage.cpu for stage in needed) if needed else None


def _wall_of_one(stages: list[Stage]) -> float | None:
    needed = _until_markers(stages)
    return sum(stage.wall for stage in needed) if needed else None


def _peak_of_one(stages: list[Stage]) -> float | None:
    needed = _until_markers(stages)
    return max(stage.peak for stage in needed) / 2**30 if needed else None


def _cpu_from_start(stages: list[Stage]) -> float | None:
    needed = _until_markers(stages)
    return needed[-1].cpu_so_far if needed else None


def _cpu_of_five(stages: list[Stage]) -> float | None:
    if sum(stage.name.startswith("markers ") for stage in stages) < len(RESOLUTIONS):
        return None
    return sum(stage.cpu for stage in stages if stage.name not in _AFTERWARDS)


def _cpu_of_all(stages: list[Stage]) -> float | None:
    if not {stage.name for stage in stages}.issuperset(_AFTERWARDS):
        return None
    return sum(stage.cpu for stage in stages if stage.name in _AFTERWARDS) + (_cpu_of_one(stages) or 0)


ROWS: tuple[tuple[str, str, Measure, Measure], ...] = (
    ("counts → clusters, CPU seconds", "warm", _cpu_of_clusters, _cpu_of_clusters),
    ("peak memory until the clusters, GiB", "warm", _peak_of_clusters, _peak_of_clusters),
    ("counts → marker table, CPU seconds", "warm", _cpu_of_one, _cpu_of_one),
    ("the same, seconds", "warm", _wall_of_one, _wall_of_one),
    ("counts → marker tables of five resolutions, CPU seconds", "warm", _cpu_of_five, _cpu_of_five),
    ("until the marker table is there, plain with UMAP and write, CPU seconds", "warm", _cpu_of_all, _cpu_of_one),
    ("the whole, UMAP and write in both, CPU seconds", "warm", _cpu_of_all, _cpu_of_all),
    ("peak memory until the marker table, GiB", "warm", _peak_of_one, _peak_of_one),
    ("counts → marker table, fresh process, nothing compiled, CPU seconds", "cold", _cpu_from_start, _cpu_from_start),
    ("peak memory in a fresh process, GiB", "cold", _peak_of_one, _peak_of_one),
)  # fmt: skip
"""What is compared: its name, in which runs it is measured, and how it is taken from the plain workflow's and ours."""


def run_all(folder: Path, n_cells: int, states: Iterable[str], repeats: int) -> None:
    """Run both workflows in turns, so that what else the machine does meets both; runs that are there are kept.

    Parameters
    ----------
    folder
        Of cells and runs.
    n_cells
        To be made, if there is no such file yet.
    states
        Of ``warm`` (imported and compiled before, all resolutions, UMAP and file) and ``cold`` (one resolution).
    repeats
        Of each run.
    """
    path = folder / f"{n_cells}.h5ad"
    if not path.exists():
        write_cells(path, n_cells)
    for number in range(1, repeats + 1):
        for state in states:
            for workflow in WORKFLOWS:
                run, warm = folder_of(folder, n_cells, workflow, state, number), state == "warm"
                if not (run / "done").exists():
                    wanted = list(RESOLUTIONS) if warm else [RESOLUTIONS[0]]
                    run_apart(workflow, path, run, wanted, warm=warm, finish=warm)
                    (run / "done").touch()


def folder_of(folder: Path, n_cells: int, workflow: str, state: str, number: int) -> Path:
    """Return the folder of one run."""
    return folder / f"{n_cells}" / f"{workflow}-{state}-{number}"


def table_of(folder: Path) -> str:
    """Write the medians of the runs in a folder, and their ratios, as Markdown; also of runs that were cut short."""
    lines = ["| cells | what | runs | plain Scanpy | ours | ratio |", "|--:|---|--:|--:|--:|--:|"]
    for n_cells in sorted(int(place.name) for place in folder.iterdir() if place.is_dir() and place.name.isdecimal()):
        for title, state, of_plain, of_ours in ROWS:
            plain = _figures(folder / f"{n_cells}", f"plain-{state}-*", of_plain)
            ours = _figures(folder / f"{n_cells}", f"ours-{state}-*", of_ours)
            if not plain and not ours:
                continue
            ratio = f"{median(plain) / median(ours):.1f} ×" if plain and ours else ""
            runs = f"{len(plain)} and {len(ours)}"
            cells = (f"{n_cells:,}", title, runs, _median(plain), _median(ours), ratio)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def stages_of(folder: Path) -> str:
    """Write the median CPU seconds of each stage as Markdown."""
    lines = ["| cells | runs | workflow | stages, CPU seconds |", "|--:|---|---|---|"]
    for place in sorted(folder.glob("*/*-1"), key=lambda one: (int(one.parent.name), one.name)):
        workflow, state, _ = place.name.split("-")
        runs = [costs_of(one) for one in place.parent.glob(f"{workflow}-{state}-*") if (one / COSTS).exists()]
        if runs:
            first = max(runs, key=len)
            costs = [
                f"{stage.name} {median(run[position].cpu for run in runs if len(run) > position):.1f}"
                for position, stage in enumerate(first)
            ]
            lines.append(f"| {int(place.parent.name):,} | {state} | {workflow} | {', '.join(costs)} |")
    return "\n".join(lines)


def machine() -> str:
    """Say on what, and with what, this was measured."""
    load = ", ".join(f"{one:.0f}" for one in os.getloadavg())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}, "
        f"{versions}. "
        f"{N_GENES:,} genes. Load of the machine over 1, 5 and 15 minutes when this was written: {load}."
    )


def _figures(folder: Path, pattern: str, measure: Measure) -> list[float]:
    runs = [costs_of(place) for place in sorted(folder.glob(pattern)) if (place / COSTS).exists()]
    return [figure for run in runs if (figure := measure(run)) is not None]


def _median(figures: Sequence[float]) -> str:
    return f"{median(figures):.1f}" if figures else "not finished"
