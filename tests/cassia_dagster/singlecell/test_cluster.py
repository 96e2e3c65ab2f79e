"""Tests of cutting the graph into clusters."""

from __future__ import annotations

import anndata
import pandas as pd
import pytest

from cassia_dagster.singlecell.cluster import LeidenEngine, engine_for, leiden, neighbour_graph


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


def test_the_reference_s_labels_are_scanpy_s_on_the_same_graph(islets: anndata.AnnData) -> None:
    import scanpy as sc

    plain = anndata.AnnData(obs=islets.obs[[]].copy())
    sc.tl.leiden(
        plain,
        resolution=0.8,
        adjacency=islets.obsp["connectivities"],
        flavor="leidenalg",
        random_state=0,
        directed=True,
    )
    ours = leiden(islets, 0.8, engine=LeidenEngine.leidenalg).labels
    assert ours.tolist() == plain.obs["leiden"].astype(str).tolist()


@pytest.mark.parametrize("engine", list(LeidenEngine))
def test_one_graph_serves_all_resolutions_of_an_engine(islets: anndata.AnnData, engine: LeidenEngine) -> None:
    graph = neighbour_graph(islets, directed=engine == LeidenEngine.leidenalg)
    for resolution in (0.4, 1.2):
        from_graph, from_cells = leiden(graph, resolution), leiden(islets, resolution, engine=engine)
        pd.testing.assert_series_equal(from_graph.labels, from_cells.labels)
        assert from_graph.engine == engine
        assert from_graph.sizes.is_monotonic_decreasing


def test_the_best_of_a_few_tries_is_no_worse_than_the_reference(islets: anndata.AnnData) -> None:
    qualities = {engine: leiden(islets, 1.0, engine=engine).quality for engine in LeidenEngine}
    assert qualities[LeidenEngine.igraph] >= qualities[LeidenEngine.leidenalg] - 0.001
    assert qualities[LeidenEngine.igraph] >= leiden(neighbour_graph(islets), 1.0, n_tries=1).quality


def test_a_graph_that_was_made_for_the_other_engine_is_refused(islets: anndata.AnnData) -> None:
    for engine in LeidenEngine:
        with pytest.raises(ValueError, match="made by neighbour_graph"):
            leiden(neighbour_graph(islets, directed=engine == LeidenEngine.igraph), 1.0, engine=engine)


def test_few_cells_are_clustered_by_the_reference_and_many_by_what_is_quick() -> None:
    assert engine_for(20_000) == LeidenEngine.leidenalg
    assert engine_for(20_001) == LeidenEngine.igraph
