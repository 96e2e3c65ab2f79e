"""Tests of ranking markers, against a slow truth by scipy and numpy."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from cassia_dagster.records import natural_order
from cassia_dagster.singlecell.markers import (
    COLUMNS,
    MarkerEngine,
    as_markers,
    rank_markers,
)


def log_values(**genes: np.ndarray) -> anndata.AnnData:
    matrix = np.stack(list(genes.values()), axis=1)
    return anndata.AnnData(
        X=sparse.csr_matrix(matrix, dtype=np.float32),
        obs=pd.DataFrame(index=[f"cell{number}" for number in range(len(matrix))]),
        var=pd.DataFrame(index=list(genes)),
    )


def clusters_of(adata: anndata.AnnData, *sizes: int) -> pd.Series:
    ids = [str(cluster) for cluster, size in enumerate(sizes) for _ in range(size)]
    return pd.Series(ids, index=adata.obs_names, name="cluster")


@pytest.fixture(scope="session")
def cluster_of_type(islets: anndata.AnnData, islets_labels: pd.Series) -> dict[str, str]:
    """Published cell type → the cluster that has the most of its cells."""
    crossed = pd.crosstab(islets.obs["cell_type"], islets_labels)
    return {str(cell_type): str(cluster) for cell_type, cluster in crossed.idxmax(axis=1).items()}


@pytest.mark.parametrize(
    ("cell_type", "gene"),
    [("beta", "INS"), ("alpha", "GCG"), ("delta", "SST"), ("gamma", "PPY"), ("endothelial", "PLVAP")],
)
def test_the_hormone_of_a_cell_type_is_among_its_clusters_best(
    islets_markers: pd.DataFrame, cluster_of_type: dict[str, str], cell_type: str, gene: str
) -> None:
    own = islets_markers[islets_markers["cluster"] == cluster_of_type[cell_type]]
    assert gene in own["gene"].head(3).tolist()


def test_insulin_tops_the_beta_cells(islets_markers: pd.DataFrame, cluster_of_type: dict[str, str]) -> None:
    assert islets_markers.loc[islets_markers["cluster"] == cluster_of_type["beta"], "gene"].iloc[0] == "INS"


def test_the_columns_are_those_of_cassia(islets_markers: pd.DataFrame) -> None:
    assert tuple(islets_markers.columns) == COLUMNS
    assert COLUMNS == ("cluster", "gene", "avg_log2FC", "p_val", "p_val_adj", "pct.1", "pct.2", "score")


def test_only_positive_markers_within_the_thresholds_are_kept(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> None:
    def least(table: pd.DataFrame) -> tuple[float, ...]:
        return table["score"].min(), table["avg_log2FC"].min(), table["pct.1"].min(), -table["p_val_adj"].max()

    assert all(np.array(least(islets_markers)) >= (0, 0.25, 0.1, -0.05))
    strict = rank_markers(islets, islets_labels, min_pct=0.5, min_log2fc=1, max_p_val_adj=1e-6)
    assert all(np.array(least(strict)) >= (0, 1, 0.5, -1e-6))
    passing = islets_markers[
        (islets_markers["avg_log2FC"] >= 1) & (islets_markers["pct.1"] >= 0.5) & (islets_markers["p_val_adj"] <= 1e-6)
    ]
    pd.testing.assert_frame_equal(strict, passing.reset_index(drop=True))


def test_clusters_stand_in_natural_order_and_genes_by_score(islets_markers: pd.DataFrame) -> None:
    clusters = islets_markers["cluster"].drop_duplicates().tolist()
    assert clusters == natural_order(clusters)
    for _, own in islets_markers.groupby("cluster"):
        assert own["score"].is_monotonic_decreasing
        assert own["gene"].is_unique


def test_genes_of_the_same_score_stand_by_name() -> None:
    values = np.random.default_rng(0).exponential(0.3, size=60) + np.repeat([2, 0], [20, 40])
    adata = log_values(ZYX=values, ACTB=values, MYC=values)
    markers = rank_markers(adata, clusters_of(adata, 20, 40))
    assert markers["gene"].tolist() == ["ACTB", "MYC", "ZYX"]
    assert len(set(markers["score"])) == 1


def test_every_figure_agrees_with_a_slow_truth(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> None:
    for cluster, own in islets_markers.groupby("cluster"):
        inside = (islets_labels == cluster).to_numpy()
        for position in (0, 10, len(own) // 2, len(own) - 1):
            row = own.iloc[position]
            values = islets[:, row["gene"]].X.toarray().ravel().astype(np.float64)
            group, rest = values[inside], values[~inside]
            truth = stats.ranksums(group, rest)
            assert row["score"] == pytest.approx(truth.statistic, rel=1e-5)
            assert row["p_val"] == pytest.approx(truth.pvalue, rel=1e-6)
            assert row["pct.1"] == pytest.approx(np.mean(group > 0))
            assert row["pct.2"] == pytest.approx(np.mean(rest > 0))
            ratio = (np.expm1(group.mean()) + 1e-9) / (np.expm1(rest.mean()) + 1e-9)
            assert row["avg_log2FC"] == pytest.approx(np.log2(ratio), rel=1e-3, abs=1e-3)


def test_p_values_are_adjusted_over_all_genes(islets: anndata.AnnData, islets_labels: pd.Series) -> None:
    adata = islets[:, ::10].copy()
    markers = rank_markers(adata, islets_labels)
    cluster = markers["cluster"].iloc[0]
    inside = (islets_labels == cluster).to_numpy()
    dense = adata.X.toarray().astype(np.float64)
    p_values = stats.ranksums(dense[inside], dense[~inside], axis=0).pvalue
    adjusted = pd.Series(stats.false_discovery_control(p_values), index=adata.var_names)
    own = markers[markers["cluster"] == cluster]
    assert 10 < len(own) < adata.n_vars, "those that are no markers count too"
    np.testing.assert_allclose(own["p_val_adj"], adjusted[own["gene"]], rtol=1e-6)


def test_a_cluster_of_one_cell_has_no_rows_and_leaves_the_others_theirs(
    islets: anndata.AnnData, islets_labels: pd.Series
) -> None:
    labels = islets_labels.copy()
    labels.iloc[0] = "alone"
    markers = rank_markers(islets, labels)
    assert set(markers["cluster"]) == set(islets_labels)


def test_one_cluster_of_all_cells_has_an_empty_table_with_the_columns(islets: anndata.AnnData) -> None:
    markers = rank_markers(islets, pd.Series("0", index=islets.obs_names))
    assert len(markers) == 0
    assert tuple(markers.columns) == COLUMNS


def test_ranking_leaves_the_cells_as_they_are(islets: anndata.AnnData, islets_labels: pd.Series) -> None:
    obs, uns, values = islets.obs.copy(), set(islets.uns), islets.X.copy()
    rank_markers(islets, islets_labels)
    pd.testing.assert_frame_equal(islets.obs, obs)
    assert set(islets.uns) == uns
    assert (values != islets.X).nnz == 0


def test_records_of_markers_are_rounded_and_ties_stand_by_name() -> None:
    row = {"avg_log2FC": 1.23456, "p_val": 1e-9, "p_val_adj": 1.23456e-8, "pct.1": 0.98765, "pct.2": 1 / 3}
    table = pd.DataFrame(
        [
            {"cluster": "0", "gene": "B", **row, "score": 10.001},
            {"cluster": "0", "gene": "A", **row, "score": 10.0},
            {"cluster": "0", "gene": "C", **row, "score": 20.0},
        ]
    )
    markers = as_markers(table, 2)
    assert [marker.gene for marker in markers] == ["C", "A"]
    best = markers[0]
    assert (best.avg_log2FC, best.p_val_adj, best.pct_1, best.pct_2) == (1.23, 1.23e-8, 0.988, 0.333)


def test_a_statistic_that_is_missing_stays_missing() -> None:
    row = {"cluster": "0", "gene": "A", "avg_log2FC": 1.0, "p_val": 0.0, "p_val_adj": 0.0, "score": 2.0}
    (marker,) = as_markers(pd.DataFrame([row | {"pct.1": float("nan"), "pct.2": float("nan")}]), 1)
    assert (marker.avg_log2FC, marker.p_val_adj, marker.pct_1, marker.pct_2) == (1, 0, None, None)


@pytest.mark.long
def test_both_engines_find_the_same_markers(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> None:
    plain = rank_markers(islets, islets_labels, engine=MarkerEngine.scanpy)
    pd.testing.assert_frame_equal(islets_markers[["cluster", "gene"]], plain[["cluster", "gene"]])
    np.testing.assert_allclose(islets_markers["score"], plain["score"], atol=1e-4)
    np.testing.assert_allclose(islets_markers["avg_log2FC"], plain["avg_log2FC"], rtol=1e-5)
    for column in ("p_val", "p_val_adj", "pct.1", "pct.2"):
        np.testing.assert_allclose(islets_markers[column], plain[column], atol=1e-8)


@pytest.mark.parametrize("engine", list(MarkerEngine))
def test_where_every_cluster_is_one_cell_nothing_can_be_tested(engine: MarkerEngine) -> None:
    adata = log_values(GENE=np.arange(60.0))
    table = rank_markers(adata, clusters_of(adata, *([1] * 60)), engine=engine)
    assert table.empty
    assert tuple(table.columns) == COLUMNS
