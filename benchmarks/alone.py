"""Runs a command and writes what it took: in a small process, for a child's peak begins with the size of its parent.

Run as ``python -m benchmarks.alone FILE SECONDS COMMAND…``; after so many seconds the command is killed.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer


def main(file: str, seconds: str, *command: str) -> int:
    """Return the exit code of the command."""
    began = time.monotonic()
    process = subprocess.Popen(command)  # noqa: S603
    watchdog = Timer(float(seconds), process.kill)
    watchdog.start()
    _, status, used = os.wait4(process.pid, 0)
    watchdog.cancel()
    costs = {
        "CPU seconds": used.ru_utime + used.ru_stime,
        "seconds": time.monotonic() - began,
        "peak memory, GiB": used.ru_maxrss / 2**20,
    }
    Path(file).write_text(json.dumps(costs), encoding="utf-8")
    process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for
    return abs(process.returncode)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
