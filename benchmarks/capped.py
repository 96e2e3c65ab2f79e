"""A dataset that is larger than the memory: all assets under a cap, and what the cap changes in the result."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.synthetic import TRUTH, write_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

RESOLUTION = "1.0"
LONGEST_RUN = 6 * 3600.0
"""Seconds that one run may take."""


def compare(folder: Path, n_cells: int, gigabytes: float) -> dict[str, float | str]:
    """Annotate made cells by the command, with and without a cap on memory; runs that ended well are kept.

    Parameters
    ----------
    folder
        Of cells and runs.
    n_cells
        To be made, if there is no such file yet.
    gigabytes
        The cap.

    Returns
    -------
    dict
        Name of a figure to its value.
    """
    path = folder / f"{n_cells}.h5ad"
    if not path.exists():
        write_cells(path, n_cells)
    figures: dict[str, float | str] = {}
    for title, limit in ((f"under {gigabytes:g} GB", gigabytes), ("without a cap", None)):
        place = folder / f"{n_cells}" / (f"capped-{gigabytes:g}" if limit else "uncapped")
        costs = _annotate(path, place, limit)
        figures |= {f"{name}, {title}": value for name, value in costs.items()}
        figures[f"ARI to the planted types, {title}"] = _agreement(place)
    return figures


def _annotate(path: Path, place: Path, gigabytes: float | None) -> dict[str, float | str]:
    done = place / "costs.json"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        words = ["run", str(path), "--name", "cells", "--species", "human", "--tissue", "pancreas", "--labels", TRUTH]
        words += ["--resolution", RESOLUTION, "--home", str(place / "home"), "--output", str(place / "output")]
        command = [sys.executable, "-m", "cassia_dagster.cli", *words]
        cap, how = _capped(gigabytes)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([*cap, *command], check=True, timeout=LONGEST_RUN)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs = {
            "CPU seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "seconds": time.monotonic() - began,
            "peak memory of a process so far, GiB": after.ru_maxrss / 2**20,
            "cap": how,
        }
        done.write_text(json.dumps(costs), encoding="utf-8")
    found: dict[str, float | str] = json.loads(done.read_text("utf-8"))
    return found


def _capped(gigabytes: float | None) -> tuple[Sequence[str], str]:
    """Return what stands before a command to cap its memory, and what it is called."""
    if gigabytes is None:
        return (), "none"
    size = int(gigabytes * 1e9)
    scope = ["systemd-run", *["--user"] * (os.geteuid() != 0), "--scope", "--quiet", "-p", f"MemoryMax={size}"]
    scope += ["-p", "MemorySwapMax=0"]
    if shutil.which("systemd-run") and _works([*scope, "true"]):
        return scope, "a scope of systemd"
    return ("prlimit", f"--as={size}"), "RLIMIT_AS, which counts addresses that were never used, too"


def _works(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


def _agreement(place: Path) -> float:
    import anndata
    from sklearn.metrics import adjusted_rand_score

    obs = anndata.read_h5ad(place / "output" / "cells" / "cells_annotated.h5ad", backed="r").obs
    return float(adjusted_rand_score(obs[TRUTH], obs[f"leiden_res_{RESOLUTION}"]))
