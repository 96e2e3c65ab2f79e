"""One workflow in a process of its own: ``python -m benchmarks.workflow WORKFLOW FILE FOLDER RESOLUTION…``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import direct, ours, plain_scanpy, streamed, through_dagster
from benchmarks.machine import keep_machine
from benchmarks.stages import STARTED, Clock, Stage, read_stages

WORKFLOWS = {
    "plain": plain_scanpy.run,
    "ours": ours.run,
    "streamed": streamed.run,
    "direct": direct.run,
    "dagster": through_dagster.run,
}
COSTS = "costs.json"

WARM_CELLS = 21_000
"""Enough for every path that larger data take to be compiled."""
EACH_GENE = 10
"""Of so many, one is enough for that."""
LONGEST_RUN = 4 * 3600.0
"""Seconds that one run may take."""


class State(StrEnum):
    """What a run finds."""

    warm = "warm"
    """A small part of the cells goes through first, so that everything is imported and compiled."""
    cold = "cold"
    """A fresh process, which finds no compiled code but Python's own."""
    usual = "usual"
    """A fresh process, which finds what earlier ones have compiled, as the second run of a user does."""


def run_apart(workflow: str, path: Path, folder: Path, resolutions: list[str], *, state: State, finish: bool) -> None:
    """Run a workflow in a process of its own, and keep on what machine it came to its end.

    Parameters
    ----------
    workflow
        A key of `WORKFLOWS`.
    path
        The counts.
    folder
        Where the outcome goes, with what each stage cost.
    resolutions
        Of the clusterings.
    state
        What the process finds.
    finish
        Whether to go on to UMAP and the file of cells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [workflow, str(path), str(folder), *resolutions]
    words += [*["--warm"] * (state is State.warm), *["--finish"] * finish]
    with TemporaryDirectory() as empty:
        cache = {"NUMBA_CACHE_DIR": empty} if state is State.cold else {}
        environment = os.environ | {STARTED: repr(time.time())} | cache
        command = [sys.executable, "-m", "benchmarks.workflow", *words]
        subprocess.run(command, env=environment, check=True, timeout=LONGEST_RUN)  # noqa: S603
    keep_machine(folder)


def costs_of(folder: Path) -> list[Stage]:
    """Read what each stage cost."""
    return read_stages(folder / COSTS)


def _warm_up(workflow: str, path: Path) -> None:
    import anndata

    with TemporaryDirectory() as place:
        few = anndata.read_h5ad(path, backed="r")[:WARM_CELLS].to_memory()[:, ::EACH_GENE].copy()
        few.write_h5ad(Path(place) / "few.h5ad")
        del few
        WORKFLOWS[workflow](Clock(), Path(place) / "few.h5ad", Path(place), ["1.0"], finish=True)


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workflow", choices=WORKFLOWS)
    parser.add_argument("path", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("resolutions", nargs="+")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--finish", action="store_true")
    said = parser.parse_args()
    warnings.filterwarnings("ignore")  # the command line of the product does the same
    if said.warm:
        _warm_up(said.workflow, said.path)
    clock = Clock(said.folder / COSTS)
    WORKFLOWS[said.workflow](clock, said.path, said.folder, said.resolutions, finish=said.finish)


if __name__ == "__main__":
    main()
