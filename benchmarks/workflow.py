"""One workflow in a process of its own: ``python -m benchmarks.workflow plain|ours FILE FOLDER RESOLUTION…``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ours, plain_scanpy
from benchmarks.stages import STARTED, Clock, Stage, read_stages

WORKFLOWS = {"plain": plain_scanpy.run, "ours": ours.run}
COSTS = "costs.json"

WARM_CELLS = 21_000
"""Enough for every path that larger data take to be compiled."""
EACH_GENE = 10
"""Of so many, one is enough for that."""
LONGEST_RUN = 4 * 3600.0
"""Seconds that one run may take."""


def run_apart(workflow: str, path: Path, folder: Path, resolutions: list[str], *, warm: bool, finish: bool) -> None:
    """Run a workflow in a fresh process, with caches of compiled code that are warm or empty.

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
    warm
        Whether a small part of the cells goes through first, so that everything is imported and compiled. If not, the
        process finds no compiled code but Python's own.
    finish
        Whether to go on to UMAP and the file of cells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [workflow, str(path), str(folder), *resolutions, *["--warm"] * warm, *["--finish"] * finish]
    with TemporaryDirectory() as empty:
        environment = os.environ | {STARTED: repr(time.time())} | ({} if warm else {"NUMBA_CACHE_DIR": empty})
        command = [sys.executable, "-m", "benchmarks.workflow", *words]
        subprocess.run(command, env=environment, check=True, timeout=LONGEST_RUN)  # noqa: S603


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
