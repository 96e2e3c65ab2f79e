"""How much memory an analysis needs, how much there is, and which way through a file follows from that."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_BASE = 1_000_000_000
_BYTES_A_VALUE = 24

_SHARE = 0.6
"""Of the memory that is free, what an analysis may take."""

_CGROUPS = Path("/sys/fs/cgroup")
_LIMIT = _CGROUPS / "memory.max"


class Way(NamedTuple):
    """How a matrix will be gone through, and why."""

    streams: bool
    """Block by block from the file, or at once in memory."""
    why: str


def choose_way(n_values: int, available: int) -> Way:
    """Decide whether a matrix is read into memory or streamed from its file.

    Parameters
    ----------
    n_values
        Values of the matrix that are not zero.
    available
        Bytes that are free.
    """
    needed = memory_needed(n_values)
    streams = needed > _SHARE * available
    room = f"about {needed / 1e9:,.1f} GB for {n_values:,} values"
    free = f"{_SHARE:.0%} of the {available / 1e9:,.1f} GB that are free"
    if streams:
        why = f"Streamed from the file by blocks of cells: in memory it would take {room}, more than {free}."
        return Way(streams, why)
    return Way(streams, f"In memory: it takes {room}, no more than {free}.")


def memory_needed(n_values: int) -> int:
    """Estimate the bytes that a run takes at its peak, from the values of the matrix that are not zero.

    A rule of thumb, measured on matrices up to 50,000 cells: 1 GB for the libraries, 24 bytes a value for the counts,
    the normalised values and what is made of them.
    """
    return _BASE + _BYTES_A_VALUE * n_values


def memory_of_machine(limit: Path = _LIMIT) -> int:
    """Return the bytes that a process may take: the machine's, or what the container is allowed."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed = _number_in(limit)
    return whole if allowed is None else min(whole, allowed)


def memory_available(root: Path = _CGROUPS, proc: Path = Path("/proc")) -> int:
    """Return the bytes that are free for this process: on the machine, in its containers, and under its own limit."""
    free = [memory_of_machine(root / "memory.max"), *_free_on_machine(proc), *_free_in_groups(root, proc)]
    return max(min([*free, *_free_under_limit(proc)]), 0)


def _free_on_machine(proc: Path) -> Iterator[int]:
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:  # no Linux
        return
    yield from (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _free_in_groups(root: Path, proc: Path) -> Iterator[int]:
    """Yield what is free in the groups of processes that this one belongs to, and in those that hold them."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if not controllers:
            top, limit, used, held = root, "memory.max", "memory.current", "anon"
        elif "memory" in controllers.split(","):  # the first version of such groups
            top, limit, used, held = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "rss"
        else:
            continue
        group = top / own.strip().lstrip("/")
        for holder in (group, *group.parents):
            if not holder.is_relative_to(top):
                break
            allowed = _number_in(holder / limit)
            if allowed is not None:
                # Pages of files that were read count as used, but make room when it is needed.
                yield allowed - (_held_by(holder, held) or _number_in(holder / used) or 0)


def _held_by(group: Path, name: str) -> int | None:
    try:
        parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(parts[name])
    except (OSError, KeyError, ValueError):
        return None


def _free_under_limit(proc: Path) -> Iterator[int]:
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY:
        return
    try:
        pages = int((proc / "self" / "statm").read_text().split()[0])
    except OSError:
        pages = 0
    yield allowed - pages * os.sysconf("SC_PAGE_SIZE")


def _number_in(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:  # no Linux, an older one, or no limit here
        return None
    return int(text) if text.isdecimal() else None


class Usage:
    """What a stage took; known when its block has ended."""

    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    """The most that the process held during the stage, in millions of bytes, with what it held before."""

    @property
    def metadata(self) -> dict[str, float]:
        """Both numbers, under the names by which they are plotted."""
        return {"seconds": round(self.seconds, 3), "peak_memory_mb": round(self.peak_memory_mb, 1)}


@contextmanager
def measured() -> Iterator[Usage]:
    """Measure the time and the peak memory of a stage."""
    usage, began = Usage(), time.monotonic()
    _forget_peak()
    yield usage
    usage.seconds = time.monotonic() - began
    usage.peak_memory_mb = _peak() / 1e6


def _forget_peak() -> None:
    """Let the peak count from here, where the kernel can do that; else it is that of the process so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
