"""Tests of tables that are read up to a size."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from cassia_dagster.bounded import LARGEST, read_bounded
from cassia_dagster.errors import InputError
from cassia_dagster.evaluation import cases
from cassia_dagster.evaluation.cases import read_cases
from cassia_dagster.knowledge import lab
from cassia_dagster.knowledge.lab import read_lab_markers
from cassia_dagster.singlecell.marker_files import read_marker_table

MEGABYTE = 1_000_000


def _bomb(path: Path, header: str, size: int) -> Path:
    """Write a small file that unpacks to more than so many bytes of a table."""
    part = gzip.compress(b"0,INS\n" * (MEGABYTE // 6 + 1))
    path.write_bytes(gzip.compress(header.encode()) + part * (size // MEGABYTE + 1))
    assert path.stat().st_size < size / 100
    return path


def test_what_is_small_enough_is_read_packed_or_not(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.CSV.gz"
    plain.write_bytes(b"gene\nINS\n")
    packed.write_bytes(gzip.compress(b"gene\nINS\n"))
    assert read_bounded(plain, 9).read() == read_bounded(packed, 9).read() == b"gene\nINS\n"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_what_is_too_large_is_refused_before_it_fills_the_memory(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, b"0" * 20 * MEGABYTE
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    del content
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=rf"{name} is too large .* more than 1 MB\. Keep the rows"):
            read_bounded(path, MEGABYTE)
        assert tracemalloc.get_traced_memory()[1] < 5 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("read", "header", "largest"),
    [
        (read_marker_table, "cluster,gene\n", LARGEST),
        (read_cases, "species,tissue,gold_label,markers\n", cases.LARGEST_FILE),
        (lambda path: read_lab_markers(path, "human"), "cell_type,gene\n", lab.LARGEST_FILE),
    ],
)
def test_no_table_of_a_user_is_unpacked_without_end(
    tmp_path: Path, read: Callable[[Path], object], header: str, largest: int
) -> None:
    path = _bomb(tmp_path / "bomb.csv.gz", header, largest)
    with pytest.raises(InputError, match=f"bomb.csv.gz is too large .* more than {largest / 1e6:,.0f} MB"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(b"gene\n" * 1000)[:-10], id="cut short"),  # the bytes hold the time
        pytest.param(b"no gzip at all", id="no gzip"),
    ],
)
@pytest.mark.parametrize("read", [read_marker_table, read_cases, lambda path: read_lab_markers(path, "human")])
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, read: Callable[[Path], object], content: bytes) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cut\.csv\.gz cannot be read"):
        read(path)


def test_packed_tables_of_cases_and_of_a_lab_are_read(tmp_path: Path) -> None:
    some, own = tmp_path / "cases.csv.gz", tmp_path / "lab.tsv.gz"
    some.write_bytes(gzip.compress(b"species,tissue,gold_label,markers\nhuman,pancreas,alpha,GCG\n"))
    own.write_bytes(gzip.compress(b"cell_type\tgene\nB cell\tMS4A1\n"))
    assert read_cases(some)[0].gold_id == "CL:0000171"
    assert read_lab_markers(own, "human").rows[0].gene == "MS4A1"
