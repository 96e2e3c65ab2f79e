"""Where the figures go."""

import pytest

from benchmarks import overhead, page
from benchmarks.page import PROJECT, RESULTS, keep_result, kept_result, put, table_of_figures


def test_a_block_is_replaced_and_all_else_stays():
    text = "before <!-- cells -->old<!-- /cells --> after"
    assert put(text, "cells", "new") == "before <!-- cells -->\nnew\n<!-- /cells --> after"


def test_a_page_without_the_block_is_an_error():
    with pytest.raises(ValueError, match="no block 'cells'"):
        put("a page", "cells", "figures")


PERFORMANCE = (PROJECT / "docs" / "performance.md").read_text("utf-8")


def test_the_tables_of_the_overhead_are_made_of_the_numbers_that_were_kept():
    assert put(PERFORMANCE, "overhead", overhead.page_of(RESULTS / "speed")) == PERFORMANCE


def test_tables_of_figures_are_made_of_the_numbers_that_were_kept():
    for block in sorted(path.stem for path in RESULTS.glob("*.json") if path.stem != "leiden"):
        figures, machine = kept_result(block)
        assert put(PERFORMANCE, block, f"{table_of_figures(figures)}\n\n{machine}") == PERFORMANCE


def test_figures_are_kept_with_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    keep_result("costs", {"CPU seconds": 1.5}, "two cores")
    assert kept_result("costs") == ({"CPU seconds": 1.5}, "two cores")


def test_figures_are_one_a_row():
    assert table_of_figures({"a": 0.123456789, "b": "word"}).splitlines()[2:] == ["| a | 0.123457 |", "| b | word |"]
