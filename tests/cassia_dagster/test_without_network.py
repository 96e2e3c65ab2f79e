"""The commands that need no cells, run where there is no network: what is offline by default has no way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.cassia_dagster.evaluation.conftest import CASES
from tests.cut_off import cut_off, needs_to_be_cut_off

pytestmark = [needs_to_be_cut_off, pytest.mark.long]

COMMAND = [sys.executable, "-m", "cassia_dagster.cli"]
AT_MOST = 300.0


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    places = ["--output", str(folder / "output"), "--home", str(folder / "home")]
    command = cut_off([*COMMAND, *words, *places])
    return subprocess.run(command, capture_output=True, text=True, timeout=AT_MOST, check=False)


def test_nothing_can_be_reached_from_there() -> None:
    # An address of a network that exists in documents only: it is refused at once, for there is no route to any.
    reach = "import socket; socket.create_connection(('198.51.100.1', 80), timeout=20)"
    done = subprocess.run(
        cut_off([sys.executable, "-c", reach]), capture_output=True, text=True, timeout=AT_MOST, check=False
    )
    assert "Network is unreachable" in done.stderr


def test_a_marker_table_is_annotated(tmp_path: Path) -> None:
    table = tmp_path / "markers.csv"
    table.write_text('cluster,markers\n0,"INS, IAPP, HADH, ADCYAP1, MAFA"\n1,"CD3D, CD3E, IL7R, TRAC, CD2, LTB"\n')
    done = _run(tmp_path, "annotate", str(table), "--tissue", "pancreas", "--species", "human")
    assert done.returncode == 0, done.stderr
    (scored,) = (tmp_path / "output").rglob("*_scored.csv")
    assert pd.read_csv(scored)["general_celltype"].notna().all()
    assert list((tmp_path / "output").rglob("*_report.html"))


def test_cases_are_benchmarked(tmp_path: Path) -> None:
    cases = tmp_path / "few.csv"
    cases.write_text(CASES)
    done = _run(tmp_path, "benchmark", str(cases))
    assert done.returncode == 0, done.stderr
    assert "3 of 4" in done.stdout
