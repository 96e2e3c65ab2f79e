"""Runs Dagster's web server and daemon, and ends them with all their parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SECONDS_TO_STOP = 20
"""What the web server and the daemon get to end by themselves."""


def serve(workspace: Path, home: Path, port: int) -> int:
    """Run ``dagster dev`` on this machine's loopback address until it ends or is told to.

    Parameters
    ----------
    workspace
        The file that says what to load.
    home
        The project's home, in which it is started: in a folder with a ``dagster.yaml`` that it does not use, it warns.
    port
        Where the web server listens.

    Returns
    -------
    int
        Its exit code.
    """
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    # A session of its own, for `dagster dev` leaves its children behind when only it is told to stop.
    server = subprocess.Popen(  # noqa: S603
        command,
        start_new_session=True,
        cwd=home,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - there are no threads yet
    )

    def stop(*_: object) -> None:
        os.killpg(server.pid, signal.SIGTERM)
        signal.alarm(SECONDS_TO_STOP)

    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, stop)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(server.pid, signal.SIGKILL))
    return server.wait()


def _listen_to_interrupts() -> None:
    """Undo what a shell script does to what it starts in the background; Dagster stops its parts by interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
