"""Tests of what tells a cluster from one other, against the markers of the two alone."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.records import Marker, rounded
from cassia_dagster.singlecell.contrasts import N_CONTRAST, contrasts
from cassia_dagster.singlecell.expression_sums import sum_groups
from cassia_dagster.singlecell.markers import MarkerEngine, as_markers, rank_markers


@pytest.fixture
def three_clusters() -> anndata.AnnData:
    """Sixty cells: ``SHARED`` is high in the third cluster, so only the first pair alone shows it for the second."""
    rng = np.random.default_rng(0)
    noise = rng.exponential(0.3, size=60)
    genes = {
        "FIRST": noise + np.repeat([2, 0, 0], 20),
        "SHARED": noise + np.repeat([0, 1, 4], 20),
        "THIRD": noise + np.repeat([0, 0, 3], 20),
        "NOISE": noise,
    }
    return anndata.AnnData(
        X=sparse.csr_matrix(np.stack(list(genes.values()), axis=1), dtype=np.float32),
        obs=pd.DataFrame(index=[f"cell{number}" for number in range(60)]),
        var=pd.DataFrame(index=list(genes)),
    )


def in_turn(adata: anndata.AnnData, *sizes: int) -> pd.Series:
    ids = [str(cluster) for cluster, size in enumerate(sizes) for _ in range(size)]
    return pd.Series(ids, index=adata.obs_names, name="cluster")


def contrast(adata: anndata.AnnData, labels: pd.Series, one: str, other: str) -> tuple[Marker, ...]:
    return contrasts(adata, labels, sum_groups(adata, labels), {one: other})[one]


def test_a_contrast_finds_what_the_rest_of_the_data_hides(three_clusters: anndata.AnnData) -> None:
    labels = in_turn(three_clusters, 20, 20, 20)
    markers = rank_markers(three_clusters, labels)
    assert "SHARED" not in markers.loc[markers["cluster"] == "1", "gene"].tolist()
    assert [marker.gene for marker in contrast(three_clusters, labels, "1", "0")] == ["SHARED"]


@pytest.mark.parametrize("engine", list(MarkerEngine))
def test_the_genes_are_the_first_markers_of_the_two_clusters_alone(
    islets: anndata.AnnData, islets_labels: pd.Series, engine: MarkerEngine
) -> None:
    pair = islets_labels[islets_labels.isin(["1", "2"])]
    alone = rank_markers(islets[pair.index.to_numpy()].copy(), pair, engine=engine)
    expected = as_markers(alone[alone["cluster"] == "1"], N_CONTRAST)
    found = contrast(islets, islets_labels, "1", "2")
    assert len(found) == N_CONTRAST
    without = {"p_val_adj"}
    assert [one.model_dump(exclude=without) for one in found] == [one.model_dump(exclude=without) for one in expected]
    # Of the genes that cannot be markers none is tested, so the others are corrected for at least as many.
    adjusted = [(one.p_val_adj or 0, each.p_val_adj or 0) for one, each in zip(found, expected, strict=True)]
    assert all(smaller <= larger <= 10 * smaller for larger, smaller in adjusted)


def test_fractions_are_those_of_the_two_clusters(islets: anndata.AnnData, islets_labels: pd.Series) -> None:
    (best, *_) = contrast(islets, islets_labels, "1", "2")
    expressed = islets[:, best.gene].X.toarray().ravel() > 0
    assert best.pct_1 == rounded(expressed[(islets_labels == "1").to_numpy()].mean())
    assert best.pct_2 == rounded(expressed[(islets_labels == "2").to_numpy()].mean())


@pytest.mark.parametrize(("cluster", "other"), [("1", "0"), ("0", "1"), ("0", "nowhere")])
def test_a_contrast_with_a_cluster_of_one_cell_is_empty(
    three_clusters: anndata.AnnData, cluster: str, other: str
) -> None:
    assert contrast(three_clusters, in_turn(three_clusters, 40, 1, 19), cluster, other) == ()


@pytest.mark.parametrize("most_values", [None, 1, 200_000])
def test_many_contrasts_at_once_are_those_of_each_alone(
    islets: anndata.AnnData, islets_labels: pd.Series, most_values: int | None
) -> None:
    pairs = {"0": "1", "1": "2", "2": "0", "3": "1"}
    sums = sum_groups(islets, islets_labels)
    found = contrasts(islets, islets_labels, sums, pairs, most_values=most_values)
    assert found == {one: contrast(islets, islets_labels, one, other) for one, other in pairs.items()}
    assert all(found.values())


def test_cells_without_a_cluster_are_left_out(islets: anndata.AnnData, islets_labels: pd.Series) -> None:
    some = islets_labels[islets_labels.isin(["0", "1"])]
    assert contrast(islets, some, "0", "1") == contrast(islets, islets_labels, "0", "1")
