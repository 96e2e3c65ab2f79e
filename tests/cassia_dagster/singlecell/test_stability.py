"""Tests of the stability of clusters."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.singlecell.cluster import LeidenEngine, leiden
from cassia_dagster.singlecell.stability import agreement_between, leiden_with_stability, sweep


def graph_of(connectivities: np.ndarray) -> anndata.AnnData:
    cells = anndata.AnnData(np.zeros((len(connectivities), 1), dtype="float32"))
    cells.obsp["connectivities"] = sparse.csr_matrix(connectivities)
    return cells


def test_groups_that_nothing_joins_are_found_from_every_seed() -> None:
    cells = graph_of(np.kron(np.eye(4), np.ones((20, 20))) - np.eye(80))
    (level,) = sweep(cells, [1.0])
    assert (level.clusters, level.stability, level.is_stable) == (4, 1.0, True)
    assert level.modularity == pytest.approx(0.75)


def test_edges_by_chance_have_no_stable_clusters() -> None:
    edges = np.triu(np.random.default_rng(0).random((300, 300)) < 0.05, 1).astype(float)
    (level,) = sweep(graph_of(edges + edges.T), [1.0])
    assert level.stability < 0.5
    assert not level.is_stable


def test_clusterings_that_differ_agree_less() -> None:
    halves, thirds = ["a"] * 6 + ["b"] * 6, ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert agreement_between([halves, halves]) == 1
    assert 0 < agreement_between([halves, thirds]) < 1


def test_the_levels_of_the_islets_come_in_order_and_are_the_same_again(islets: anndata.AnnData) -> None:
    levels = list(sweep(islets, [0.4, 2.0]))
    assert [level.resolution for level in levels] == [0.4, 2.0]
    assert levels[0].clusters < levels[1].clusters
    assert levels[0].is_stable


@pytest.mark.parametrize("engine", [None, *LeidenEngine])
def test_with_its_stability_the_clustering_is_the_same_as_alone(
    islets: anndata.AnnData, engine: LeidenEngine | None
) -> None:
    clustering, same = leiden_with_stability(islets, 0.8, seed=3, engine=engine)
    alone = leiden(islets, 0.8, seed=3, engine=engine)
    pd.testing.assert_series_equal(clustering.labels, alone.labels)
    assert (clustering.quality, clustering.engine) == (alone.quality, alone.engine)
    assert same == next(sweep(islets, [0.8], seed=3)).stability
