"""Tells whether the process that began something is still there, so that what it left can be settled."""

from __future__ import annotations

import os
from pathlib import Path


def name_of_process(pid: int) -> str:
    """Name a process so that a later one with the same number has another name, where the system tells."""
    try:
        # The command, in parentheses, may contain spaces; the start time is the 20th field after it.
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = ""
    return f"{pid}@{started}"


def is_running(process: str) -> bool:
    """Tell whether the process of that name still runs on this machine."""
    pid = int(process.partition("@")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return name_of_process(pid) == process
