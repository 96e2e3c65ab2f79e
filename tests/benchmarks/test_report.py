"""The report of many cells, as the benchmark makes it up."""

from benchmarks.report import make_dataset, write_cells
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.shown import genes_shown
from cassia_dagster.singlecell.expression import read_genes

MAILED = 8_000_000
"""Bytes that a report may have."""


def test_the_report_of_thirty_clusters_can_be_mailed_and_says_that_cells_are_a_sample(tmp_path):
    # More cells would make the small pictures larger, and nothing else: of the cells themselves 10,000 are kept.
    dataset = make_dataset(n_cells=12_000)
    write_cells(dataset, tmp_path / "cells.h5ad", n_genes=400, detected=10)
    expression = read_genes(tmp_path / "cells.h5ad", genes_shown(dataset.result))
    assert expression.n_vars == 30 * 12, "the best ten of each cluster, and two more that are cited for its label"
    html = render_report(*dataset, expression)
    assert len(html.encode()) < MAILED
    assert "of 12,000 cells, chosen at random within each cluster" in html
