"""Tests of the tables that analyses are shown in."""

import pytest

from cassia_dagster.commands.analysing import show_table

HEADINGS = ("cluster", "label", "consistency", "votes", "status")
ROWS = [
    ("0", "CD8-positive, alpha-beta T cell", "60", "3 of 5", "ok"),
    ("1", "plasmacytoid dendritic cell", "100", "5 of 5", "few [markers]"),
]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_column_is_left_out_however_narrow_the_terminal_is(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    show_table(HEADINGS, ROWS)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert all(heading in said for heading in HEADINGS)
    assert all(row[3] in said for row in ROWS)
    assert "[markers]" in said
    assert max(map(len, lines)) <= width


def test_a_table_without_rows_has_its_headings(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show_table(HEADINGS, [])
    said = capsys.readouterr().out
    assert all(heading in said for heading in HEADINGS)
