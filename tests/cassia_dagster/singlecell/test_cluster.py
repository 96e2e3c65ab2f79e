"""Tests of cutting the graph into clusters."""

from __future__ import annotations

import anndata
import pandas as pd

from cassia_dagster.singlecell.cluster import leiden


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
