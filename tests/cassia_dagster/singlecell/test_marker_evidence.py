"""What a marker table alone says of its clusters."""

import pandas as pd

from cassia_dagster.singlecell.marker_columns import tidy_markers
from cassia_dagster.singlecell.marker_evidence import evidence_from_markers


def genes_of(rows: list[dict], n_markers: int = 100) -> dict[str, list[str]]:
    table = tidy_markers(pd.DataFrame([{"cluster": "0", **row} for row in rows]), "table")
    evidence = evidence_from_markers(table, species="human", tissue="blood", n_markers=n_markers)
    return {one.cluster: [marker.gene for marker in one.markers] for one in evidence}


def test_genes_that_are_down_or_not_significant_are_no_markers():
    rows = [
        {"gene": "UP", "avg_log2FC": 1, "p_val_adj": 0.01},
        {"gene": "DOWN", "avg_log2FC": -1, "p_val_adj": 0.01},
        {"gene": "CHANCE", "avg_log2FC": 1, "p_val_adj": 0.5},
        {"gene": "UNKNOWN", "avg_log2FC": None, "p_val_adj": None},
    ]
    assert genes_of(rows) == {"0": ["UP", "UNKNOWN"]}


def test_a_cluster_whose_genes_are_all_down_keeps_its_row():
    rows = [{"gene": "A", "avg_log2FC": -1}, {"gene": "B", "avg_log2FC": 1, "cluster": "10"}]
    assert genes_of(rows) == {"0": [], "10": ["B"]}


def test_the_score_ranks_where_there_is_one():
    assert genes_of([{"gene": "A", "score": 2, "p_val": 0.1}, {"gene": "B", "score": 9, "p_val": 0.2}]) == {
        "0": ["B", "A"]
    }


def test_equal_p_values_are_ranked_by_effect_so_that_a_gene_of_few_cells_does_not_lead():
    rows = [
        {"gene": "RARE", "avg_log2FC": 9, "p_val": 0, "pct.1": 0.05, "pct.2": 0.0},
        {"gene": "CLEAR", "avg_log2FC": 3, "p_val": 0, "pct.1": 0.9, "pct.2": 0.1},
        {"gene": "BEST", "avg_log2FC": 1, "p_val": 0, "pct.1": 0.9, "pct.2": 0.1},
        {"gene": "WEAK", "avg_log2FC": 9, "p_val": 0.001, "pct.1": 0.9, "pct.2": 0.1},
    ]
    assert genes_of(rows) == {"0": ["CLEAR", "BEST", "RARE", "WEAK"]}


def test_a_bare_list_keeps_its_order():
    assert genes_of([{"gene": gene} for gene in ("CD3E", "CD3D", "AAA")], n_markers=2) == {"0": ["CD3E", "CD3D"]}


def test_nothing_is_claimed_of_the_cells():
    table = tidy_markers(pd.DataFrame({"cluster": ["0"], "gene": ["CD3D"]}), "table")
    (one,) = evidence_from_markers(table, species="human", tissue="blood", context="a biopsy")
    assert (one.n_cells, one.share, one.nearest, one.quality, one.context) == (None, None, (), None, "a biopsy")
    (marker,) = one.markers
    assert marker.model_dump(exclude_none=True) == {"gene": "CD3D"}
