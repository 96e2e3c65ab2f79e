"""Markers out of an AnnData and labels into it: by exact ids, against a count by hand."""

import numpy as np
import pandas as pd
import pytest

import cassia_dagster.compat as CASSIA  # noqa: N812 - as a notebook writes it
from cassia_dagster.errors import InputError


@pytest.fixture(scope="module")
def ranked(islets, islets_labels):
    import scanpy as sc

    adata = islets[:, :2000].copy()
    adata.obs["leiden"] = islets_labels.astype("category")
    sc.tl.rank_genes_groups(adata, "leiden", method="wilcoxon", use_raw=False)
    return adata


def test_each_marker_has_the_share_of_cells_that_express_it(ranked):
    markers = CASSIA.enhance_scanpy_markers(ranked, cluster_col="leiden", n_genes=5)
    assert markers.groupby("cluster").size().eq(5).all()
    row = markers.iloc[7]
    values = ranked[:, row["gene"]].X.toarray().ravel()
    inside = (ranked.obs["leiden"].astype(str) == row["cluster"]).to_numpy()
    assert row["pct.1"] == pytest.approx((values[inside] > 0).mean())
    assert row["pct.2"] == pytest.approx((values[~inside] > 0).mean())


def test_statistics_may_be_left_out(ranked):
    markers = CASSIA.enhance_scanpy_markers(ranked, n_genes=1, include_stats=False)
    assert list(markers) == ["cluster", "gene", "avg_log2FC", "pct.1", "pct.2"]


def test_a_ranking_or_column_that_is_not_there_is_named(ranked):
    with pytest.raises(InputError, match=r"uns\['other'\]"):
        CASSIA.enhance_scanpy_markers(ranked, key="other")
    with pytest.raises(InputError, match="no column 'louvain'"):
        CASSIA.enhance_scanpy_markers(ranked, cluster_col="louvain")


@pytest.fixture
def cells():
    import anndata

    return anndata.AnnData(
        np.zeros((4, 1), dtype=np.float32), obs=pd.DataFrame({"leiden": ["0", "10", "10", "0"]}, index=list("abcd"))
    )


@pytest.fixture
def results():
    return pd.DataFrame(
        {
            "cluster": ["10", "0"],
            "general_celltype": ["T cell", "B cell"],
            "celltype_1": ["CD8-positive, alpha-beta T cell", "naive B cell"],
            "score": [80.0, 90.0],
            "CASSIA_merged_grouping_1": ["lymphocyte", "lymphocyte"],
        }
    )


def test_labels_reach_the_cells_by_their_exact_cluster(cells, results):
    assert CASSIA.add_cassia_to_anndata(cells, results) is None
    assert cells.obs["CASSIA_general_celltype"].tolist() == ["B cell", "T cell", "T cell", "B cell"]
    assert cells.obs["CASSIA_sub_celltype"].iloc[1] == "CD8-positive, alpha-beta T cell"
    assert cells.obs["CASSIA_combined_celltype"].iloc[0] == "B cell :: naive B cell"
    assert cells.uns["CASSIA"].loc["10", "score"] == 80.0


def test_a_copy_leaves_the_cells_as_they_were(cells, results):
    copy = CASSIA.add_cassia_to_anndata(cells, results, columns_to_include=1, inplace=False)
    assert list(cells.obs) == ["leiden"]
    assert list(copy.obs) == ["leiden", "CASSIA_merged_grouping_1"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"cluster": ["10", "1"]}, {}, "clusters that the results lack: 0"),
        ({"cluster": ["0", "0"]}, {}, "two rows of cluster '0'"),
        ({}, {"cluster_col": "louvain"}, "no column 'louvain'"),
        ({}, {"cassia_cluster_col": "Cluster ID"}, "no column 'Cluster ID'"),
        ({}, {"fuzzy_match": True}, "match exactly"),
    ],
)
def test_clusters_that_do_not_match_are_refused(cells, results, change, options, message):
    with pytest.raises(InputError, match=message):
        CASSIA.add_cassia_to_anndata(cells, results.assign(**change), **options)


def test_columns_that_are_there_are_replaced_only_when_told(cells, results):
    CASSIA.add_cassia_to_anndata(cells, results)
    with pytest.raises(InputError, match="already"):
        CASSIA.add_cassia_to_anndata(cells, results)
    CASSIA.add_cassia_to_anndata(cells, results.assign(score=[1.0, 2.0]), replace_existing=True)
    assert cells.obs["CASSIA_score"].tolist() == [2.0, 1.0, 1.0, 2.0]
