"""Tests of making cells comparable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.normalize import adopt, normalize
from cassia_dagster.singlecell.values import tell_values


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


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda x: np.log1p(x * 1e4), id="as others do it"),
        pytest.param(lambda x: np.log1p(x * 1e6), id="of another total"),
        pytest.param(lambda x: np.log2(x * 1e4 + 1), id="to another base"),
        pytest.param(lambda x: x * 1e6, id="without logarithm"),
    ],
)
def test_what_others_normalised_comes_out_as_if_it_had_been_counts(islets_path: Path, made: Any) -> None:
    counts = load_counts(islets_path)[:100].copy()
    dense = counts.X.toarray().astype(np.float64)
    theirs = counts.copy()
    theirs.X = sparse.csr_matrix(made(dense / dense.sum(axis=1, keepdims=True)), dtype=np.float32)
    before = theirs.X.copy()
    ours, adopted = normalize(counts), adopt(theirs, tell_values(theirs.X))
    np.testing.assert_allclose(adopted.X.toarray(), ours.X.toarray(), rtol=1e-4, atol=1e-5)
    assert (adopted.var["highly_variable"] == ours.var["highly_variable"]).mean() > 0.999
    columns = ["n_genes", "pct_mito", "pct_ribo"]
    np.testing.assert_allclose(adopted.obs[columns], ours.obs[columns], rtol=1e-3)
    assert "n_counts" not in adopted.obs
    assert "counts" not in adopted.layers
    assert (before != theirs.X).nnz == 0


def test_logarithms_whose_totals_are_not_known_stay_as_they_are(constructed: anndata.AnnData) -> None:
    theirs = constructed.copy()
    theirs.X = sparse.csr_matrix(np.log1p(constructed.X.toarray() * 0.7), dtype=np.float32)
    adopted = adopt(theirs, tell_values(theirs.X))
    np.testing.assert_allclose(adopted.X.toarray(), theirs.X.toarray(), rtol=1e-5)


def test_totals_that_the_authors_left_are_the_counts_of_a_cell(constructed: anndata.AnnData) -> None:
    theirs = constructed.copy()
    theirs.X = sparse.csr_matrix(np.log1p(constructed.X.toarray() * 0.7), dtype=np.float32)
    theirs.obs["nCount_RNA"] = np.arange(theirs.n_obs)
    assert adopt(theirs, tell_values(theirs.X)).obs["n_counts"].tolist() == list(range(theirs.n_obs))
