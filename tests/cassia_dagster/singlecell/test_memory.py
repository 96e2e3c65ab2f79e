"""Tests of knowing how much memory there is and how much is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cassia_dagster.singlecell.memory import (
    choose_way,
    measured,
    memory_available,
    memory_needed,
    memory_of_machine,
)


def test_a_container_s_limit_is_the_memory_there_is(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert memory_of_machine(limit) == 1_000_000
    limit.write_text("max\n")
    assert memory_of_machine(limit) == memory_of_machine(tmp_path / "nowhere") > 1_000_000


def test_more_values_need_more_memory() -> None:
    assert memory_needed(100_000_000) == 3_400_000_000


def test_a_matrix_that_takes_more_than_its_share_of_what_is_free_is_streamed() -> None:
    small, large = choose_way(50_000_000, 4_000_000_000), choose_way(100_000_000, 4_000_000_000)
    assert (small.streams, large.streams) == (False, True)
    assert (
        small.why
        == "In memory: it takes about 2.2 GB for 50,000,000 values, no more than 60% of the 4.0 GB that are free."
    )
    assert large.why.startswith("Streamed from the file by blocks of cells: in memory it would take about 3.4 GB")


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """Where a machine with 8 GB free keeps its groups of processes, and where this process is said to belong."""
    groups, proc = tmp_path / "cgroup", tmp_path / "proc"
    (groups / "lab" / "job").mkdir(parents=True)
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    (proc / "self" / "cgroup").write_text("0::/lab/job\n")
    return groups, proc


def test_what_is_free_is_what_the_machine_has_left(machine: tuple[Path, Path]) -> None:
    assert memory_available(*machine) == 8_192_000_000


def test_a_limit_of_the_first_version_of_groups_counts(machine: tuple[Path, Path]) -> None:
    groups, proc = machine
    (proc / "self" / "cgroup").write_text("9:name=systemd:/\n4:cpu,memory:/lab/job\n0::/\n")
    (groups / "memory" / "lab" / "job").mkdir(parents=True)
    (groups / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (groups / "memory" / "lab" / "memory.limit_in_bytes").write_text("3000000000\n")
    (groups / "memory" / "lab" / "memory.stat").write_text("cache 2000000000\nrss 500000000\n")
    assert memory_available(*machine) == 2_500_000_000


def test_a_limit_of_any_group_that_holds_the_process_counts(machine: tuple[Path, Path]) -> None:
    groups, _ = machine
    (groups / "lab" / "memory.max").write_text("4000000000\n")
    (groups / "lab" / "memory.current").write_text("3500000000\n")
    (groups / "lab" / "memory.stat").write_text("anon 1000000000\nfile 2500000000\n")
    assert memory_available(*machine) == 3_000_000_000, "pages of files make room when it is needed"
    (groups / "lab" / "job" / "memory.max").write_text("2000000000\n")
    assert memory_available(*machine) == 2_000_000_000


def test_a_stage_knows_its_peak_and_its_time() -> None:
    with measured() as usage:
        np.ones(40_000_000).sum()
    assert set(usage.metadata) == {"seconds", "peak_memory_mb"}
    assert usage.metadata["peak_memory_mb"] > 320
    assert usage.metadata["seconds"] > 0
