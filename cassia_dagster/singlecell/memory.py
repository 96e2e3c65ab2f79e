"""How much memory an analysis needs, and how much there is."""

from __future__ import annotations

import os
from pathlib import Path

_BASE = 1_000_000_000
_BYTES_A_VALUE = 24

_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_needed(n_values: int) -> int:
    """Estimate the bytes that a run takes at its peak, from the values of the matrix that are not zero.

    A rule of thumb, measured on matrices up to 50,000 cells: 1 GB for the libraries, 24 bytes a value for the counts,
    the normalised values and what is made of them.
    """
    return _BASE + _BYTES_A_VALUE * n_values


def memory_of_machine(limit: Path = _LIMIT) -> int:
    """Return the bytes that a process may take: the machine's, or what the container is allowed."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = limit.read_text().strip()
    except OSError:  # no Linux, or an older one
        return whole
    return min(whole, int(allowed)) if allowed.isdecimal() else whole
