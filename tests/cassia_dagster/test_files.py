"""Tests of files that are either whole or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cassia_dagster.files import replacing


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "table.csv"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ha")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_at_once_do_not_write_into_each_other(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with replacing(path) as slow:
        slow.write_text("slow")
        with replacing(path) as fast:
            fast.write_text("fast")
        assert path.read_text() == "fast"
    assert path.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_that_a_folder_takes_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 251}.csv"
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


def test_what_a_killed_process_left_half_written_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from cassia_dagster.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "table.parquet")], check=False, timeout=60)
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "table.parquet") as temporary:
        temporary.write_bytes(b"whole")
        with replacing(tmp_path / "other.parquet") as other:
            other.write_bytes(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.parquet", "table.parquet"]
