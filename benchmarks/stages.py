"""What each stage of a process costs: processor seconds of all threads, seconds, and the most memory so far."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

STARTED = "BENCHMARK_STARTED"
"""Environment variable with the time at which the process was asked for."""


class Stage(NamedTuple):
    """One stage."""

    name: str
    cpu: float
    """Seconds of the processor, of user and system, of all threads."""
    wall: float
    peak: int
    """Bytes of memory, the most that the process had until the stage ended."""
    cpu_so_far: float
    """Since the process began, so with what it imported and compiled."""
    wall_so_far: float


class Clock:
    """Measures the stages of this process, and keeps them as JSON, so that also a run that is killed has told them."""

    def __init__(self, path: Path | None = None) -> None:
        self.stages: list[Stage] = []
        self._path = path
        self._began = float(os.environ.get(STARTED, time.time()))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.add(name, time.process_time() - cpu, time.perf_counter() - wall)

    def add(self, name: str, cpu: float, wall: float) -> None:
        """Keep what was measured elsewhere, of a stage that has just ended."""
        so_far = time.time() - self._began
        self.stages.append(Stage(name, cpu, wall, peak_memory(), time.process_time(), so_far))
        if self._path:
            self._path.write_text(json.dumps([one._asdict() for one in self.stages], indent=1), encoding="utf-8")


def read_stages(path: Path) -> list[Stage]:
    """Read what a `Clock` kept."""
    return [Stage(**row) for row in json.loads(path.read_text("utf-8"))]


def peak_memory() -> int:
    """Return the most bytes that this process had in memory; nothing of a parent's is counted."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError("This system does not say how much memory a process took; run the benchmarks on Linux.")
