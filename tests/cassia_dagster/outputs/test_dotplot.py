import anndata
import pandas as pd
import pytest
from anndata import AnnData

from cassia_dagster.outputs.dotplot import dot_plot
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


def test_a_gene_that_tells_what_a_cell_is_goes_before_a_better_one_that_does_not(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    (row,) = [row for row in blood.clusters if row.cluster == "0"]
    better = row.evidence.markers[0].model_copy(update={"gene": "RPL3"})
    evidence = row.evidence.model_copy(update={"markers": (better, *row.evidence.markers)})
    changed = row.model_copy(update={"annotated": row.annotated.model_copy(update={"evidence": evidence})})
    result = blood.model_copy(
        update={"clusters": tuple(changed if one.cluster == "0" else one for one in blood.clusters)}
    )
    # The expression of a fourth gene, which there would be no column for.
    ribosomal = blood_expression[:, ["CD8A"]].copy()
    ribosomal.var_names = ["RPL3"]
    expression = anndata.concat([blood_expression, ribosomal], axis="var")
    genes = [gene for gene, cluster in dot_plot(result, blood_cells["cluster"], expression).genes if cluster == "0"]
    assert genes == ["CD8A", "CD8B", "CD3D"]


def test_genes_that_were_not_read_are_left_out(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    plot = dot_plot(blood, blood_cells["cluster"], blood_expression[:, ["LYZ", "CD14"]])
    assert [gene for gene, _ in plot.genes] == ["LYZ", "CD14"]
