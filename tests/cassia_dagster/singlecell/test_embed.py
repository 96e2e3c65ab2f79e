"""Tests of components, neighbours and layout: the same input gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.cluster import leiden
from cassia_dagster.singlecell.embed import MIN_VARIABLE_GENES, embed, umap_coordinates
from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.normalize import normalize

MANY_CELLS = 8500
"""More than 8,192: from there on neighbours are sought by another, approximate algorithm."""


@pytest.fixture(scope="module")
def again(islets_path: Path) -> anndata.AnnData:
    return embed(normalize(load_counts(islets_path)))


@pytest.fixture(scope="module")
def many(islets: anndata.AnnData) -> anndata.AnnData:
    """Many cells: counts drawn about the mean of a type of islet cell, at the depth of one of its cells."""
    rng = np.random.default_rng(0)
    variance = islets.X.power(2).mean(axis=0) - np.square(islets.X.mean(axis=0))
    genes = np.sort(np.argsort(-np.asarray(variance).ravel())[:600])
    counts = islets.layers["counts"][:, genes].toarray()
    types = islets.obs["cell_type"].astype(str)
    means = pd.DataFrame(counts, index=islets.obs_names).groupby(types).mean()
    drawn = types.sample(MANY_CELLS, replace=True, random_state=0)
    depth = counts.sum(axis=1)[islets.obs_names.get_indexer(drawn.index)]
    expected = means.loc[drawn].to_numpy()
    simulated = rng.poisson(expected / expected.sum(axis=1, keepdims=True) * depth[:, None])
    obs = pd.DataFrame({"cell_type": drawn.to_numpy()}, index=[f"cell{number}" for number in range(MANY_CELLS)])
    matrix = sparse.csr_matrix(simulated, dtype=np.float32)
    return embed(normalize(anndata.AnnData(X=matrix, obs=obs, var=islets.var.iloc[genes][[]])))


def test_the_embedding_is_one_row_a_cell(islets: anndata.AnnData) -> None:
    assert islets.obsm["X_pca"].shape == (1065, 50)
    assert islets.obsm["X_pca"].dtype == np.float32
    assert islets.uns["pca"]["variance_ratio"].shape == (50,)
    assert (np.diff(islets.uns["pca"]["variance_ratio"]) <= 0).all()
    for graph in ("distances", "connectivities"):
        assert islets.obsp[graph].shape == (1065, 1065)
    assert (np.diff(islets.obsp["distances"].indptr) == 9).all(), "ten neighbours, the cell itself among them"


def test_the_same_counts_have_the_same_embedding_to_the_last_bit(
    islets: anndata.AnnData, again: anndata.AnnData
) -> None:
    np.testing.assert_array_equal(islets.obsm["X_pca"], again.obsm["X_pca"])
    for graph in ("distances", "connectivities"):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(islets.obsp[graph], part), getattr(again.obsp[graph], part))


def test_another_seed_gives_the_same_space(islets: anndata.AnnData) -> None:
    other = embed(islets.copy(), seed=1)
    for component in range(10):
        pair = np.corrcoef(islets.obsm["X_pca"][:, component], other.obsm["X_pca"][:, component])
        assert abs(pair[0, 1]) > 0.999


def test_twenty_five_cells_are_enough(islets_path: Path) -> None:
    few = load_counts(islets_path)[::43].copy()
    assert few.n_obs == 25
    adata = embed(normalize(few))
    assert adata.obsm["X_pca"].shape == (25, 24)
    assert leiden(adata, 0.4).sizes.sum() == 25
    assert np.isfinite(umap_coordinates(adata)).all()


def test_cells_of_one_kind_are_refused(islets: anndata.AnnData) -> None:
    adata = islets.copy()
    adata.var["highly_variable"] = np.arange(adata.n_vars) < MIN_VARIABLE_GENES - 1
    with pytest.raises(InputError, match=r"Only 19 genes vary between the cells; at least 20 are needed\. Are the"):
        embed(adata)


def test_many_cells_find_their_nearest_neighbours(many: anndata.AnnData) -> None:
    from sklearn.neighbors import NearestNeighbors

    asked = np.arange(0, MANY_CELLS, 40)
    space = many.obsm["X_pca"][:, :25]
    exact = NearestNeighbors(n_neighbors=10).fit(space).kneighbors(space[asked], return_distance=False)
    distances = many.obsp["distances"]
    found = [len(set(distances[cell].indices) & set(truth)) for cell, truth in zip(asked, exact, strict=True)]
    assert np.mean(found) > 0.9 * 9


def test_many_cells_are_clustered_by_their_type(many: anndata.AnnData) -> None:
    from sklearn.metrics import adjusted_rand_score

    clustering = leiden(many, 0.4)
    assert clustering.sizes.sum() == MANY_CELLS
    assert adjusted_rand_score(many.obs["cell_type"], clustering.labels) > 0.9


def test_many_cells_have_the_same_graph_twice(many: anndata.AnnData) -> None:
    again = embed(many.copy())
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(
            getattr(again.obsp["connectivities"], part), getattr(many.obsp["connectivities"], part)
        )


def test_a_layout_is_finite_and_the_same_twice(islets: anndata.AnnData, again: anndata.AnnData) -> None:
    coordinates = umap_coordinates(islets)
    assert coordinates.shape == (1065, 2)
    assert coordinates.dtype == np.float32
    assert np.isfinite(coordinates).all()
    np.testing.assert_array_equal(coordinates, umap_coordinates(again))


def test_a_layout_leaves_the_cells_as_they_are(again: anndata.AnnData) -> None:
    uns, slots = deepcopy(again.uns), (set(again.obs), set(again.obsm), set(again.obsp))
    connectivities = again.obsp["connectivities"].copy()
    umap_coordinates(again)
    assert (set(again.obs), set(again.obsm), set(again.obsp)) == slots
    assert again.uns.keys() == uns.keys()
    assert again.uns["neighbors"] == uns["neighbors"]
    assert (again.obsp["connectivities"] != connectivities).nnz == 0


APART = """
import sys
from pathlib import Path
from cassia_dagster.singlecell.cluster import leiden
from cassia_dagster.singlecell import neighbors
from cassia_dagster.singlecell.embed import embed
from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.markers import rank_markers
from cassia_dagster.singlecell.normalize import normalize
from resources.versions import version_of_adata, version_of_table

neighbors.MOST_EXACT = int(sys.argv[2])
adata = embed(normalize(load_counts(Path(sys.argv[1]))))
labels = leiden(adata, 1.0, engine=sys.argv[3]).labels
print(version_of_adata(adata).value, version_of_table(rank_markers(adata, labels)).value)
"""


def found_apart(path: Path, most_exact: int, engine: str, **environment: str) -> str:
    """Prepare and cluster cells in a process of its own, and return the versions of what came out."""
    done = subprocess.run(
        [sys.executable, "-c", APART, str(path), str(most_exact), engine],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.long
def test_any_number_of_threads_gives_the_same_bits(islets_path: Path) -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    said = {found_apart(islets_path, 500, "igraph", **dict.fromkeys(names, threads)) for threads in ("1", "2", "4")}
    assert len(said) == 1


@pytest.mark.long
def test_an_older_processor_finds_the_same_cells_and_clusters(islets_path: Path) -> None:
    """OpenBLAS has code for each kind of processor, and sums in another order with each; of ARM's it ignores these.

    With the kind comes its cache: the code of a Haswell, with the larger one of a later processor, ends in a fault.
    """
    kinds = ({"OPENBLAS_CORETYPE": kind, "OPENBLAS_L2_SIZE": "256"} for kind in ("Nehalem", "Sandybridge", "Haswell"))
    said = {found_apart(islets_path, 20_000, "leidenalg", **kind) for kind in ({}, *kinds)}
    assert len(said) == 1
