"""The report as its readers meet it: a file, opened in a browser."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult
from tests.browser import PHONE, browser, visit

__all__ = ["browser", "visit"]


@pytest.fixture
def report(tmp_path: Path, blood: ResolutionResult, blood_cells: pd.DataFrame) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render_report(blood, blood_cells), encoding="utf-8")
    return path


def test_it_opens_without_an_error_and_asks_for_nothing_else(report: Path, visit) -> None:
    seen = visit(report)
    assert seen.page.title().startswith("blood")
    assert seen.errors == []
    assert seen.requests == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(report: Path, visit, scheme: str) -> None:
    assert visit(report, color_scheme=scheme).barriers() == []


def test_a_phone_scrolls_down_only(report: Path, visit) -> None:
    assert visit(report, width=PHONE).overflow() == 0
