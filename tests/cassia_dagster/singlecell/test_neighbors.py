"""Tests of the neighbour graph: exact for few cells, nearly so for many, with the weights of UMAP."""

from __future__ import annotations

import anndata
import numpy as np
import pytest

from cassia_dagster.singlecell import neighbors
from cassia_dagster.singlecell.neighbors import fuzzy_graph, nearest_cells

POINTS = np.random.default_rng(0).normal(size=(3000, 10)) + 4 * np.random.default_rng(1).integers(0, 6, (3000, 1))


def recall(found: np.ndarray, right: np.ndarray) -> float:
    return float(np.mean([len(set(one) & set(other)) / len(one) for one, other in zip(found, right, strict=True)]))


def test_few_cells_have_their_exact_neighbours() -> None:
    from sklearn.neighbors import NearestNeighbors

    indices, distances = nearest_cells(POINTS, 9)
    right_distances, right = NearestNeighbors(n_neighbors=9, algorithm="brute").fit(POINTS).kneighbors()
    assert recall(indices, right) == 1
    np.testing.assert_allclose(distances, right_distances)


def test_of_many_cells_nearly_all_neighbours_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, _ = nearest_cells(POINTS, 9)
    monkeypatch.setattr(neighbors, "MOST_EXACT", 100)
    found, distances = nearest_cells(POINTS, 9)
    assert recall(found, exact) > 0.98
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (found != np.arange(len(POINTS))[:, None]).all(), "no cell is its own neighbour"
    again, _ = nearest_cells(POINTS, 9)
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("most_exact", [100, 5000])
def test_cells_that_are_all_the_same_have_neighbours_too(monkeypatch: pytest.MonkeyPatch, most_exact: int) -> None:
    monkeypatch.setattr(neighbors, "MOST_EXACT", most_exact)
    indices, distances = nearest_cells(np.zeros((300, 5)), 9)
    assert (distances == 0).all()
    assert (indices != np.arange(300)[:, None]).all()
    graph = fuzzy_graph(indices, distances)
    assert np.isfinite(graph.data).all()


@pytest.mark.usefixtures("uncompiled_weights")
def test_the_weights_are_those_of_scanpy(islets: anndata.AnnData) -> None:
    import scanpy as sc

    reference = anndata.AnnData(obsm={"X_pca": islets.obsm["X_pca"]})
    sc.pp.neighbors(reference, n_neighbors=10, n_pcs=25, use_rep="X_pca", random_state=0)
    difference = abs(islets.obsp["connectivities"] - reference.obsp["connectivities"])
    assert difference.max() < 1e-4
    assert (islets.obsp["connectivities"] != islets.obsp["connectivities"].T).nnz == 0
