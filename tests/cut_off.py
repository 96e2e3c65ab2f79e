"""Runs commands where there is no network at all: in a namespace of their own, with at most the loopback interface."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

import pytest

_UNSHARE = ["unshare", "--map-root-user", "--net"]


def may_be_cut_off() -> bool:
    """Whether this machine lets us take the network away."""
    return bool(shutil.which("unshare")) and not subprocess.run([*_UNSHARE, "true"], check=False).returncode


def cut_off(command: Sequence[str]) -> list[str]:
    """Return the command that runs a command without a network; processes of this machine still reach each other."""
    return [*_UNSHARE, "sh", "-c", f"ip link set lo up; exec {shlex.join(command)}"]


needs_to_be_cut_off = pytest.mark.skipif(
    not may_be_cut_off(), reason="this machine does not let us take the network away"
)
