"""Tests of knowing how much memory there is and how much is needed."""

from __future__ import annotations

from pathlib import Path

from cassia_dagster.singlecell.memory import memory_needed, memory_of_machine


def test_a_container_s_limit_is_the_memory_there_is(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert memory_of_machine(limit) == 1_000_000
    limit.write_text("max\n")
    assert memory_of_machine(limit) == memory_of_machine(tmp_path / "nowhere") > 1_000_000


def test_more_values_need_more_memory() -> None:
    assert memory_needed(100_000_000) == 3_400_000_000
