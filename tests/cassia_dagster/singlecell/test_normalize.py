"""Tests of making cells comparable."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.normalize import normalize


def cells_of(matrix: np.ndarray, genes: list[str]) -> anndata.AnnData:
    return anndata.AnnData(
        X=sparse.csr_matrix(matrix, dtype=np.float32),
        obs=pd.DataFrame(index=[f"cell{number}" for number in range(len(matrix))]),
        var=pd.DataFrame(index=genes),
    )


@pytest.fixture
def constructed() -> anndata.AnnData:
    """Random counts of eight genes, with the last cell empty and the first one known by heart."""
    matrix = np.random.default_rng(0).poisson(3, size=(30, 8))
    matrix[0] = [10, 20, 0, 5, 5, 40, 20, 0]
    matrix[-1] = 0
    return cells_of(matrix, ["MT-CO1", "mt-Nd1", "MTOR", "RPS6", "Rpl3", "INS", "GCG", "ARPS"])


def test_every_cell_has_the_same_total_in_linear_space(islets: anndata.AnnData) -> None:
    totals = np.expm1(islets.X.astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(totals, 1e4, rtol=1e-4)


def test_values_are_the_logarithm_of_the_cells_share(constructed: anndata.AnnData) -> None:
    adata = normalize(constructed, target_sum=1000)
    np.testing.assert_allclose(adata.X[0].toarray()[0], np.log1p([100, 200, 0, 50, 50, 400, 200, 0]), rtol=1e-6)


def test_counts_and_genes_are_all_kept(islets: anndata.AnnData, islets_path: Path) -> None:
    counts = load_counts(islets_path)
    assert list(islets.var_names) == list(counts.var_names)
    assert (islets.layers["counts"] != counts.X).nnz == 0


def test_the_counts_given_are_not_changed(constructed: anndata.AnnData) -> None:
    before = constructed.copy()
    normalize(constructed)
    np.testing.assert_array_equal(constructed.X.toarray(), before.X.toarray())
    pd.testing.assert_frame_equal(constructed.obs, before.obs)
    assert not constructed.layers.keys() - {None}


def test_quality_is_measured_in_percent_of_the_counts(constructed: anndata.AnnData) -> None:
    first = normalize(constructed).obs.iloc[0]
    assert first[["n_counts", "n_genes", "pct_mito", "pct_ribo"]].tolist() == [100, 6, 30, 10]


def test_a_cell_without_counts_stays_without_a_value_that_is_no_number(constructed: anndata.AnnData) -> None:
    adata = normalize(constructed)
    assert adata.X[-1].nnz == 0
    assert adata.obs.iloc[-1][["n_counts", "n_genes", "pct_mito", "pct_ribo"]].tolist() == [0, 0, 0, 0]
    assert np.isfinite(adata.X.data).all()


def test_the_genes_that_part_cell_types_are_among_the_variable_ones(islets: anndata.AnnData) -> None:
    variable = islets.var["highly_variable"]
    assert 300 < variable.sum() < islets.n_vars / 2
    assert variable[["PLVAP", "KRT19", "GHRL", "CPA1"]].all()
    assert not variable["ACTB"]
