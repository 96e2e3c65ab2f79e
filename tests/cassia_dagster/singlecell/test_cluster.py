"""Tests of cutting the graph into clusters, and of spelling resolutions."""

from __future__ import annotations

import anndata
import pandas as pd
import pytest

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.singlecell.cluster import canonical_resolution, leiden


@pytest.mark.parametrize(
    ("said", "meant"),
    [(1, "1.0"), ("1", "1.0"), ("0.40", "0.4"), (0.4, "0.4"), ("  .8 ", "0.8"), ("1e-1", "0.1"), (100, "100.0")],
)
def test_a_resolution_has_one_spelling(said: float | str, meant: str) -> None:
    assert canonical_resolution(said) == meant
    assert canonical_resolution(meant) == meant


@pytest.mark.parametrize("said", ["fine", "", 0, -0.4, "nan", "inf", 100.1, None, [0.4]])
def test_what_is_no_resolution_is_refused_by_name(said: float | str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        canonical_resolution(said)
    assert repr(said) in str(refused.value)
    assert "common are 0.4 to 2.0" in str(refused.value)


def test_cluster_ids_are_strings_and_the_first_is_the_largest(islets: anndata.AnnData) -> None:
    clustering = leiden(islets, 0.4)
    assert list(clustering.labels.index) == list(islets.obs_names)
    assert {type(cluster) for cluster in clustering.labels} == {str}
    sizes = clustering.sizes
    assert sizes.sum() == islets.n_obs
    assert [str(number) for number in range(len(sizes))] == sorted(sizes.index, key=int)
    assert sizes["0"] == sizes.max()
    assert sizes.index[0] == "0"


def test_the_same_graph_has_the_same_clusters(islets: anndata.AnnData, islets_labels: pd.Series) -> None:
    pd.testing.assert_series_equal(leiden(islets, 0.4).labels, islets_labels)


def test_clusters_agree_with_the_published_cell_types(islets: anndata.AnnData, islets_labels: pd.Series) -> None:
    from sklearn.metrics import adjusted_rand_score

    assert adjusted_rand_score(islets.obs["cell_type"], islets_labels) >= 0.85


def test_a_higher_resolution_has_more_clusters_and_all_are_communities(islets: anndata.AnnData) -> None:
    coarse, fine = leiden(islets, 0.4), leiden(islets, 2.0)
    assert len(fine.sizes) > len(coarse.sizes)
    assert 0.5 < fine.modularity < coarse.modularity < 1


def test_clustering_leaves_the_cells_as_they_are(islets: anndata.AnnData) -> None:
    obs, uns = islets.obs.copy(), set(islets.uns)
    leiden(islets, 0.8)
    pd.testing.assert_frame_equal(islets.obs, obs)
    assert set(islets.uns) == uns
