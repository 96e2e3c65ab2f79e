"""Marker tables of other programs, in CASSIA's columns."""

import math

import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.marker_columns import split_genes, tidy_markers
from cassia_dagster.singlecell.markers import COLUMNS

SEURAT = {"p_val": 0.0, "avg_log2FC": 2.0, "pct.1": 0.9, "pct.2": 0.1, "p_val_adj": 0.0, "cluster": "0", "gene": "CD3D"}


def tidy(**columns) -> pd.DataFrame:
    return tidy_markers(pd.DataFrame(columns), "table.csv", first_line=2)


def test_seurats_columns_are_read():
    table = tidy_markers(pd.DataFrame([SEURAT]), "table.csv")
    assert tuple(table.columns) == COLUMNS
    (row,) = table.drop(columns="score").to_dict("records")
    assert row == SEURAT
    assert math.isnan(table["score"][0])


def test_fold_changes_in_natural_logarithms_become_log2():
    table = tidy(cluster=["0"], gene=["CD3D"], avg_logFC=["1.0"])
    assert table["avg_log2FC"][0] == pytest.approx(math.log2(math.e))


def test_scanpys_columns_are_read():
    table = tidy(
        group=["0"],
        names=["CD3D"],
        scores=[9.5],
        logfoldchanges=[3.0],
        pvals=[0.001],
        pvals_adj=[0.01],
        pct_nz_group=[0.8],
        pct_nz_reference=[0.2],
    )
    assert table.to_numpy().tolist() == [["0", "CD3D", 3.0, 0.001, 0.01, 0.8, 0.2, 9.5]]


def test_prestos_percent_become_fractions():
    table = tidy(feature=["CD3D"], group=["0"], logFC=["2"], pval=["0"], padj=["0"], pct_in=["90"], pct_out=["5"])
    assert table[["pct.1", "pct.2"]].to_numpy().tolist() == [[0.9, 0.05]]


def test_what_is_missing_is_told_apart_from_zero():
    table = tidy(cluster=["0"] * 4, gene=list("ABCD"), avg_log2FC=["0", "", "NA", "nan"])
    assert table["avg_log2FC"][0] == 0
    assert table["avg_log2FC"][1:].isna().all()
    assert table["pct.1"].isna().all()


@pytest.mark.parametrize("cluster", ["0", "00", "1.0", " 1", "NA", "CD8-positive, alpha-beta T cell", "T cells"])
def test_a_cluster_id_stays_as_it_is_written(cluster):
    assert tidy(cluster=[cluster], gene=["CD3D"])["cluster"].tolist() == [cluster]


def test_whole_numbers_of_a_data_frame_are_clusters_too():
    frame = pd.DataFrame({"cluster": pd.Categorical([0, 10]), "gene": ["A", "B"]})
    assert tidy_markers(frame, "table")["cluster"].tolist() == ["0", "10"]


def test_genes_may_be_the_row_names_that_r_made_unique():
    frame = pd.DataFrame({"": ["CD3D", "CD3D.1", "RP11-1.2"], "avg_log2FC": ["1"] * 3, "cluster": ["0", "1", "1"]})
    assert tidy_markers(frame, "table.csv")["gene"].tolist() == ["CD3D", "CD3D", "RP11-1.2"]
    indexed = pd.DataFrame({"cluster": ["0", "1"], "avg_log2FC": [1, 2]}, index=["CD3D", "CD3D.1"])
    assert tidy_markers(indexed, "frame")["gene"].tolist() == ["CD3D", "CD3D"]


@pytest.mark.parametrize(
    "columns", [("cluster", "genes"), ("Broad.cell.type", "Top.Markers"), ("True Cell Type", "Marker List"), ("a", "b")]
)
def test_lists_of_genes_keep_their_order(columns):
    frame = pd.DataFrame([("1", "CD3D, CD3E,CD3D"), ("0", "MS4A1;CD79A")], columns=list(columns))
    table = tidy_markers(frame, "lists.csv")
    assert table[["cluster", "gene"]].to_numpy().tolist() == [
        ["1", "CD3D"],
        ["1", "CD3E"],
        ["0", "MS4A1"],
        ["0", "CD79A"],
    ]
    assert table.drop(columns=["cluster", "gene"]).isna().all().all()


def test_two_columns_may_have_one_gene_a_row():
    table = tidy_markers(pd.DataFrame({"set": ["0", "0", "1"], "x": ["CD3D", "CD3E", "CD3D"]}), "table")
    assert table[["cluster", "gene"]].to_numpy().tolist() == [["0", "CD3D"], ["0", "CD3E"], ["1", "CD3D"]]


def test_genes_are_split_at_what_people_write_between_them():
    assert split_genes(" CD3D, HLA-A;MT-CO1|INS  GCG\n") == ["CD3D", "HLA-A", "MT-CO1", "INS", "GCG"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"cluster": [], "gene": []}, "has no rows"),
        ({"gene": ["A"], "pct.1": ["1"], "pct.2": ["1"]}, "does not say which cluster.*gene, pct.1, pct.2"),
        ({"cluster": ["0"], "p_val": ["0"], "other": ["x"]}, "no column of genes"),
        ({"cluster": ["0", ""], "gene": ["A", "B"]}, "line 3: the cluster is empty"),
        ({"cluster": ["0"], "gene": ["A\x1b[31m"]}, "line 2: the gene .* control characters"),
        ({"cluster": ["0"], "gene": ["A"], "avg_log2FC": ["up"]}, "line 2, column avg_log2FC: 'up' is not a number"),
        ({"cluster": ["0"], "gene": ["A"], "avg_log2FC": ["Inf"]}, "'Inf' is not a number"),
        ({"cluster": ["0"], "gene": ["A"], "pct.1": ["45"]}, "column pct.1: '45' is not between 0 and 1"),
        ({"cluster": ["0"], "gene": ["A"], "pct_in": ["101"]}, "'101' is not between 0 and 100"),
        ({"cluster": ["0", "0"], "gene": ["A", "A"]}, "line 3: cluster '0' has the gene A a second time"),
        ({"cluster": ["0", "0"], "markers": ["A,B", "C,D"]}, "cluster '0' has two lists"),
        ({"cluster": ["0"], "markers": [" , "]}, "the list of genes of cluster '0' is empty"),
        ({"cluster": ["0"], "markers": [""]}, "line 2: the list of genes is empty"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(columns, message):
    with pytest.raises(InputError, match=message):
        tidy(**columns)
