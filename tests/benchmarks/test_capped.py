"""Tests of what a command under a cap is told to have taken."""

import subprocess
import sys

import pytest

from benchmarks.capped import _costs_of


def holding(megabytes: int) -> list[str]:
    return [sys.executable, "-c", f"held = b'x' * ({megabytes} << 20)"]


def test_the_peak_is_that_of_the_command_and_neither_of_one_before_nor_of_this_process() -> None:
    subprocess.run(holding(400), check=True)
    held = b"x" * (400 << 20)
    costs = _costs_of(holding(100))
    del held
    assert 100 / 1024 < costs["peak memory, GiB"] < 300 / 1024
    assert costs["seconds"] > 0


def test_a_command_that_fails_has_no_costs() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        _costs_of([sys.executable, "-c", "raise SystemExit(3)"])
