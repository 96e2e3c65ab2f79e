import pandas as pd
import pytest
from anndata import AnnData

from cassia_dagster.outputs.dotplot import dot_plot, marker_genes
from cassia_dagster.outputs.result import ResolutionResult


def test_a_marker_is_large_and_dark_in_its_own_cluster_only(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    plot = dot_plot(blood, blood_cells["cluster"], blood_expression)
    assert set(plot.clusters) == {"0", "2", "3", "10", "T?"}
    for column, (gene, home) in enumerate(plot.genes):
        for cluster, dots in zip(plot.clusters, plot.dots, strict=True):
            own = float(cluster == home)
            assert (dots[column].share, dots[column].level) == pytest.approx((own, own)), gene
    row = plot.clusters.index("2")
    mean = blood_expression[(blood_cells["cluster"] == "2").to_numpy(), "CD79A"].X.mean()
    assert plot.dots[row][[gene for gene, _ in plot.genes].index("CD79A")].mean == pytest.approx(mean)


def test_like_clusters_stand_next_to_each_other(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    order = dot_plot(blood, blood_cells["cluster"], blood_expression).clusters
    assert set(order[-2:]) == {"3", "T?"}  # the unresolved ones, behind the leukocytes


def test_genes_that_are_read_are_the_best_of_each_cluster_once(blood: ResolutionResult) -> None:
    assert marker_genes(blood, 2) == ["CD8A", "CD8B", "MS4A1", "CD79A", "PPBP", "PF4", "LYZ", "S100A9"]


def test_genes_that_were_not_read_are_left_out(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    plot = dot_plot(blood, blood_cells["cluster"], blood_expression[:, ["LYZ", "CD14"]])
    assert [gene for gene, _ in plot.genes] == ["LYZ", "CD14"]
