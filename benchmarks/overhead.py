"""What Dagster itself costs: the whole method through its partitions, against the same functions called directly."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from statistics import median

from benchmarks.machine import ended_well, machines
from benchmarks.speed import RESOLUTIONS, run_all
from benchmarks.stages import Stage
from benchmarks.workflow import State, costs_of, run_apart

DEMO_RESOLUTIONS = ("0.4", "0.8")
WORKFLOWS = ("direct", "dagster")
DEMO = "1065"
"""Number of the demo's cells, which names the folder of its runs."""


def run_pairs(folder: Path, n_cells: int | None, repeats: int, n_resolutions: int) -> None:
    """Run both in turns, either first, each in a fresh process that finds compiled code where libraries keep it.

    Parameters
    ----------
    folder
        Of cells and runs; pairs that are there are kept, and of half a pair both are run again.
    n_cells
        Of made cells; if not given, the demo with its two resolutions.
    repeats
        Of each run.
    n_resolutions
        Of made cells.
    """
    if n_cells is not None:
        run_all(folder, n_cells, (), 0)  # makes the cells
    with as_file(files("cassia_dagster") / "data" / "islets.h5ad") as islets:
        path = islets if n_cells is None else folder / f"{n_cells}.h5ad"
        wanted = list(DEMO_RESOLUTIONS) if n_cells is None else list(RESOLUTIONS[:n_resolutions])
        cells = folder / (DEMO if n_cells is None else f"{n_cells}")
        for number in range(1, repeats + 1):
            places = {workflow: cells / f"{workflow}-usual_{len(wanted)}-{number}" for workflow in WORKFLOWS}
            if all(map(ended_well, places.values())):
                continue
            for workflow in WORKFLOWS if number % 2 else reversed(WORKFLOWS):
                shutil.rmtree(places[workflow], ignore_errors=True)
                run_apart(workflow, path, places[workflow], wanted, state=State.usual, finish=True)


def table_of(folder: Path) -> str:
    """Write medians and the least as Markdown: of the processes, from their start to their end."""
    lines = ["| cells | resolutions | runs | what | directly | through Dagster | more | share |"]
    lines += ["|--:|--:|--:|---|--:|--:|--:|--:|"]
    for place in sorted(folder.glob("*/dagster-usual_*-1"), key=lambda one: (int(one.parent.name), one.name)):
        which = place.name.removeprefix("dagster-").rpartition("-")[0]
        found = {
            workflow: [costs_of(one) for one in place.parent.glob(f"{workflow}-{which}-*") if ended_well(one)]
            for workflow in WORKFLOWS
        }
        if not all(found.values()):
            continue
        for title, field, typical in (
            ("CPU seconds", "cpu_so_far", median),
            ("CPU seconds, least", "cpu_so_far", min),
            ("seconds", "wall_so_far", median),
        ):
            direct, dagster = (typical([getattr(run[-1], field) for run in found[one]]) for one in WORKFLOWS)
            more = dagster - direct
            runs = " and ".join(f"{len(found[one])}" for one in WORKFLOWS)
            cells = (
                f"{int(place.parent.name):,}", which.rpartition("_")[2], runs, title,
                f"{direct:.1f}", f"{dagster:.1f}", f"{more:.1f}", f"{more / direct:.0%}",
            )  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def partitions_of(folder: Path) -> str:
    """Write what the marker tables of all resolutions cost through Dagster's partitions, as Markdown."""
    lines = [
        "| cells | resolutions | until all marker tables are there, CPU seconds | of them, Dagster between assets |"
    ]
    lines += ["|--:|--:|--:|--:|"]
    for place in sorted(folder.glob("*/dagster-usual_*-1"), key=lambda one: (int(one.parent.name), one.name)):
        if not ended_well(place):
            continue
        stages = costs_of(place)
        cells, between = _of_markers(stages)
        tables = sum(stage.name.startswith("marker_table ") for stage in stages)
        lines.append(f"| {int(place.parent.name):,} | {tables} | {cells + between:.1f} | {between:.1f} |")
    return "\n".join(lines)


def _of_markers(stages: list[Stage]) -> tuple[float, float]:
    """Return the CPU seconds of cells, clusters and markers, and of Dagster before each of them."""
    own, between, waiting = 0.0, 0.0, 0.0
    for stage in stages:
        if stage.name.startswith("between"):
            waiting = stage.cpu
        elif stage.name.split()[0] in ("normalized_adata", "leiden_clusters", "marker_table"):
            own, between = own + stage.cpu, between + waiting
    return own, between


def stages_of(folder: Path) -> str:
    """Write the CPU seconds of each asset, as Markdown."""
    lines = ["| cells | workflow | CPU seconds |", "|--:|---|---|"]
    for place in sorted(folder.glob("*/*-usual_*-1"), key=lambda one: (int(one.parent.name), one.name)):
        if ended_well(place):
            costs: dict[str, float] = {}
            for stage in costs_of(place):
                costs[stage.name.split()[0]] = costs.get(stage.name.split()[0], 0) + stage.cpu
            start = costs_of(place)[-1].cpu_so_far - sum(costs.values())
            told = ", ".join(f"{name} {cpu:.1f}" for name, cpu in {"start and imports": start, **costs}.items())
            told = told.replace("between ", "Dagster between assets ")
            lines.append(f"| {int(place.parent.name):,} | {place.name.partition('-')[0]} | {told} |")
    return "\n".join(lines)


def page_of(folder: Path) -> str:
    """Write all tables, and on what machines they were measured."""
    said = machines(sorted(folder.glob("*/*-usual_*-*")))
    return "\n\n".join((table_of(folder), partitions_of(folder), said, stages_of(folder)))
