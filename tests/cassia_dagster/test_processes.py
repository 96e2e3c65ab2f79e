"""Tests of telling whether a process is still there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cassia_dagster import processes
from cassia_dagster.processes import is_running, name_of_process


def test_this_process_runs() -> None:
    assert is_running(name_of_process(os.getpid()))


def test_a_process_that_ended_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = name_of_process(child.pid)
        assert is_running(name)
    assert not is_running(name)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process started")
def test_another_process_with_the_same_number_is_not_taken_for_it() -> None:
    pid, _, started = name_of_process(os.getpid()).partition("@")
    assert not is_running(f"{pid}@{int(started) - 1}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its processes as files")
def test_a_command_with_spaces_and_parentheses_is_read_past(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = " ".join(str(number) for number in range(4, 30))
    monkeypatch.setattr(processes.Path, "read_text", lambda _: f"77 (tmux: (server) 1) S {numbers}")
    assert name_of_process(77) == "77@22"


def test_a_process_of_another_user_counts_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(processes.os, "kill", refuse)
    assert is_running(name_of_process(os.getpid()))
