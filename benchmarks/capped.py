"""A dataset that is larger than the memory: all assets by the command under a cap, against all cells in memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.machine import ended_well, keep_machine
from benchmarks.speed import folder_of, run_all
from benchmarks.synthetic import TRUTH
from benchmarks.workflow import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

RESOLUTION = "1.0"
LONGEST_RUN = 6 * 3600.0
"""Seconds that one run may take."""


def compare(folder: Path, n_cells: int, gigabytes: float) -> dict[str, float | str]:
    """Annotate made cells by the command under a cap, and cluster them in memory; runs that ended well are kept.

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
    import pandas as pd

    run_all(folder, n_cells, [State.warm], 1, ["ours"], finish=False)
    place = folder / f"{n_cells}" / f"capped-{gigabytes:g}"
    figures = dict(_annotate(folder / f"{n_cells}.h5ad", place, gigabytes))
    obs = _annotated(place)
    figures["cells in the annotated file"] = float(len(obs))
    figures["ARI to the planted types"] = _agreement(obs[TRUTH], obs[f"leiden_res_{RESOLUTION}"])
    in_memory = folder_of(folder, n_cells, "ours", State.warm, 1) / f"labels_{RESOLUTION}.parquet"
    labels = pd.read_parquet(in_memory)["cluster"].reindex(obs.index)
    figures["ARI to the planted types, the same functions in memory without a cap"] = _agreement(obs[TRUTH], labels)
    figures["ARI of the two"] = _agreement(labels, obs[f"leiden_res_{RESOLUTION}"])
    return figures


def _annotate(path: Path, place: Path, gigabytes: float) -> dict[str, float | str]:
    done = place / "costs.json"
    if not ended_well(place):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        words = ["run", str(path), "--name", "cells", "--species", "human", "--tissue", "pancreas", "--labels", TRUTH]
        words += ["--resolution", RESOLUTION, "--home", str(place / "home"), "--output", str(place / "output")]
        command = [sys.executable, "-m", "cassia_dagster.cli", *words]
        with _capped(gigabytes) as (cap, how):
            costs = {**_costs_of([*cap, *command]), "cap": how}
        done.write_text(json.dumps(costs), encoding="utf-8")
        keep_machine(place)
    found: dict[str, float | str] = json.loads(done.read_text("utf-8"))
    return found


def _costs_of(command: Sequence[str]) -> dict[str, float]:
    """Run a command, and tell what it alone has taken, whatever other children of this process have."""
    with TemporaryDirectory() as folder:
        costs = Path(folder) / "costs.json"
        words = [sys.executable, "-m", "benchmarks.alone", str(costs), str(LONGEST_RUN), *command]
        subprocess.run(words, check=True)  # noqa: S603
        found: dict[str, float] = json.loads(costs.read_text("utf-8"))
    return found


@contextmanager
def _capped(gigabytes: float) -> Iterator[tuple[Sequence[str], str]]:
    """Give what stands before a command to cap its memory, and what it is called."""
    size = int(gigabytes * 1e9)
    scope = ["systemd-run", *["--user"] * (os.geteuid() != 0), "--scope", "--quiet", "-p", f"MemoryMax={size}"]
    scope += ["-p", "MemorySwapMax=0"]
    if shutil.which("systemd-run") and _works([*scope, "true"]):
        yield scope, "a scope of systemd"
        return
    group = _group_of_processes(size)
    if group is None:
        yield ("prlimit", f"--as={size}"), "RLIMIT_AS, which counts addresses that were never used, too"
        return
    try:
        yield ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)), "a group of processes (cgroup)"
    finally:
        group.rmdir()


def _group_of_processes(size: int) -> Path | None:
    """Make a group whose processes hold no more than so many bytes, where that is allowed."""
    for place, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(place) / f"cassia-benchmark-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(size))
        except OSError:
            group.rmdir()
        else:
            return group
    return None


def _works(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


def _annotated(place: Path) -> pd.DataFrame:
    import anndata

    obs: pd.DataFrame = anndata.read_h5ad(place / "output" / "cells" / "cells_annotated.h5ad", backed="r").obs
    return obs


def _agreement(one: pd.Series, other: pd.Series) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))
