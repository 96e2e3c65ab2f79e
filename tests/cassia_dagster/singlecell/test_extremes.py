"""Counts of odd shapes go the whole way to markers: very many genes, a cell and a gene without any count."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from cassia_dagster.singlecell.cluster import leiden
from cassia_dagster.singlecell.embed import embed
from cassia_dagster.singlecell.frame import read_frame
from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.markers import rank_markers
from cassia_dagster.singlecell.normalize import normalize
from cassia_dagster.singlecell.streaming import CountsFile, prepare_by_blocks

N_CELLS, N_GENES, OWN = 500, 100_000, 200
BOUNDS = {"min_mean": 0.0125, "max_mean": 3.0, "min_disp": 0.5}


def test_a_hundred_thousand_genes_of_five_hundred_cells_are_clustered_and_ranked() -> None:
    rng = np.random.default_rng(0)
    types = np.arange(N_CELLS) % 2
    own = rng.poisson(np.where(np.repeat((0, 1), OWN) == types[:, None], 10, 0.01))
    # Genes of every cell, as many counts in all: beside them those of one type are seen to vary.
    common = rng.poisson(5, (N_CELLS, 8 * OWN))
    rare = sparse.random(N_CELLS, N_GENES - 10 * OWN, density=0.01, rng=rng, data_rvs=np.ones)
    counts = sparse.hstack([own, common, rare], format="csr", dtype=np.float32)
    names = {"obs": "cell", "var": "GENE"}
    frames = {
        slot: pd.DataFrame(index=[f"{name}{number}" for number in range(length)])
        for (slot, name), length in zip(names.items(), counts.shape, strict=True)
    }
    adata = embed(normalize(anndata.AnnData(counts, **frames)))
    labels = leiden(adata, 0.2).labels
    assert adjusted_rand_score(types, labels) == 1
    markers = rank_markers(adata, labels)
    best = markers.groupby("cluster").head(OWN // 2)
    of_type = best["gene"].str.removeprefix("GENE").astype(int) // OWN
    assert set(of_type) == {0, 1}, "none but the genes of the two types"
    assert best.assign(own=of_type).groupby("cluster")["own"].nunique().tolist() == [1, 1]


@pytest.fixture
def with_nothing(islets_path: Path, tmp_path: Path) -> Path:
    """The islets, with a cell and a gene without any count."""
    adata = anndata.read_h5ad(islets_path)[:600].copy()
    counts = adata.X.tolil()
    counts[7, :] = 0
    counts[:, 11] = 0
    anndata.AnnData(counts.tocsr(), obs=adata.obs[[]], var=adata.var[[]]).write_h5ad(tmp_path / "nothing.h5ad")
    return tmp_path / "nothing.h5ad"


def test_a_cell_and_a_gene_without_counts_stay_and_do_no_harm(with_nothing: Path) -> None:
    adata = embed(normalize(load_counts(with_nothing)))
    assert adata.n_obs == 600
    assert (adata.obs["n_counts"].iloc[7], adata.obs["pct_mito"].iloc[7]) == (0, 0)
    assert not adata.var["highly_variable"].iloc[11]
    for held in (adata.X.data, adata.obsm["X_pca"], adata.obsp["connectivities"].data):
        assert np.isfinite(held).all()
    labels = leiden(adata, 0.4).labels
    assert labels.notna().all()
    markers = rank_markers(adata, labels)
    assert adata.var_names[11] not in set(markers["gene"])
    numbers = markers.drop(columns=["cluster", "gene"]).to_numpy(dtype=float)
    assert np.isfinite(numbers).all()
    streamed = prepare_by_blocks(read_frame(with_nothing).cells, CountsFile(with_nothing, None), BOUNDS).tables
    np.testing.assert_array_equal(streamed.obsm["X_pca"], adata.obsm["X_pca"])
