"""Tests of integration: batches come together, cell types stay apart, and the same comes out each time."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from cassia_dagster.singlecell.cluster import leiden
from cassia_dagster.singlecell.embed import INTEGRATED, embed, umap_coordinates
from cassia_dagster.singlecell.integrate import integrate, mixing
from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.normalize import normalize

TYPES = pd.Series(np.repeat(["a", "b", "c"], 100))
BATCHES = pd.Series(np.tile(["first", "second"], 150))


@pytest.fixture(scope="module")
def shifted() -> np.ndarray:
    """Three cell types in two batches, which have hardly a neighbour in common."""
    rng = np.random.default_rng(0)
    centres = {"a": [8, 0], "b": [-4, 7], "c": [-4, -7]}
    points = rng.normal(size=(len(TYPES), 10))
    points[:, :2] += [centres[one] for one in TYPES]
    points[(BATCHES == "second").to_numpy(), 2:6] += 3
    return (points - points.mean(axis=0)).astype(np.float32)


def nearest_is_alike(points: np.ndarray) -> float:
    away = np.square(points[:, None] - points[None]).sum(axis=2)
    np.fill_diagonal(away, np.inf)
    return float((TYPES.to_numpy()[away.argmin(axis=1)] == TYPES.to_numpy()).mean())


def test_batches_come_together_and_types_stay_apart(shifted: np.ndarray) -> None:
    found = integrate(shifted, BATCHES)
    assert found.lisi_before < 1.05
    assert found.lisi_after > 1.9
    assert found.lisi_mixed == pytest.approx(2)
    assert nearest_is_alike(found.components) > 0.97


def test_the_same_comes_out_each_time_and_nothing_is_changed_in_place(shifted: np.ndarray) -> None:
    before = shifted.copy()
    first, second = integrate(shifted, BATCHES), integrate(shifted, BATCHES)
    assert first.components.tobytes() == second.components.tobytes()
    assert np.array_equal(shifted, before)


def test_a_batch_of_one_cell_and_few_cells_are_no_trouble() -> None:
    points = np.random.default_rng(0).normal(size=(12, 5))
    found = integrate(points, pd.Series(["many"] * 11 + ["one"]))
    assert found.components.shape == (12, 5)
    assert np.isfinite(found.components).all()


def test_mixing_of_large_data_is_that_of_a_sample() -> None:
    points = np.random.default_rng(0).normal(size=(6000, 3))
    assert mixing(points, pd.Series(np.tile(["first", "second"], 3000))) > 1.9


@pytest.mark.long
def test_neighbours_are_sought_where_batches_are_aligned(islets: anndata.AnnData) -> None:
    adata = anndata.AnnData(islets.X, obs=islets.obs[[]].copy(), var=islets.var.copy())
    adata.obs["batch"] = np.where(np.arange(adata.n_obs) % 2, "odd", "even")
    embed(adata, batch_key="batch")
    assert adata.uns["neighbors"]["params"]["use_rep"] == INTEGRATED
    assert adata.uns["integration"]["lisi_after"] > 1.8
    assert np.array_equal(adata.obsm["X_pca"], islets.obsm["X_pca"])
    assert umap_coordinates(adata).shape == (adata.n_obs, 2)


def test_three_chemistries_of_blood_are_mixed_and_its_types_are_not(evaluation_data) -> None:
    path = evaluation_data / "pbmc1200_3batch_symphony" / "pbmc1200_3batch_symphony.h5ad"
    adata = normalize(load_counts(path))
    types = adata.obs["cell_type"]
    plain = adjusted_rand_score(types, leiden(embed(adata), 0.8).labels)
    embed(adata, batch_key="donor")
    found = adata.uns["integration"]
    assert found["lisi_before"] + 0.2 < found["lisi_after"] <= found["lisi_mixed"] + 0.1
    assert adjusted_rand_score(types, leiden(adata, 0.8).labels) > plain - 0.02
