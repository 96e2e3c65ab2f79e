"""Says on what, and with what, something was measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

MACHINE = "machine.json"
LIBRARIES = (
    "scanpy", "anndata", "leidenalg", "igraph", "harmonypy", "numpy", "scipy", "scikit-learn", "numba", "dagster",
)  # fmt: skip


def keep_machine(folder: Path) -> None:
    """Write into the folder of a run that has ended well on what it was; that file marks such runs."""
    said = {"machine": _machine(), "load": os.getloadavg()[1]}
    (folder / MACHINE).write_text(json.dumps(said, indent=1), encoding="utf-8")


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    what = f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB"
    return f"{what}, Python {platform.python_version()}, {libraries}"


def machine_now() -> str:
    """Say on what, and with what, something has just been measured."""
    return f"{_machine()}. Load of the machine when this was written: {os.getloadavg()[1]:.0f}."


def ended_well(folder: Path) -> bool:
    """Tell whether a run came to its end."""
    return (folder / MACHINE).exists()


def machines(runs: Iterable[Path]) -> str:
    """Name the machines and versions of runs, and how busy the machine was when they ended."""
    said = [json.loads((run / MACHINE).read_text("utf-8")) for run in runs if ended_well(run)]
    kinds = sorted({one["machine"] for one in said})
    if not kinds:
        return ""
    loads = [one["load"] for one in said]
    return f"{'; '.join(kinds)}. Load of the machine when the runs ended: {min(loads):.0f} to {max(loads):.0f}."
