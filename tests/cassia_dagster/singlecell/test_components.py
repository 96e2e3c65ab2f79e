"""Tests of components: those of the scaled, dense matrix, which is never made."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from scipy import sparse

from cassia_dagster.singlecell import components
from cassia_dagster.singlecell.components import principal_components, scale_implicitly


def scaled_densely(values: np.ndarray) -> np.ndarray:
    import scanpy as sc

    return np.asarray(sc.pp.scale(values.astype(np.float64), max_value=10))


def rare_and_common() -> sparse.csr_matrix:
    """Genes of all kinds: rare, common, constant, absent, and one whose mean is more than ten deviations."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 1.0, (400, 30)) * (rng.random((400, 30)) < 0.3)
    values[:, 0] = 0
    values[:, 1] = 3.0
    values[:, 2] = 5 + rng.normal(0, 0.01, 400)
    values[3, 2] = 0
    values[:, 3] = 0
    values[5, 3] = 4.0
    values[:, 4] = 5 + rng.normal(0, 0.001, 400)
    return sparse.csr_matrix(values, dtype=np.float32)


def test_centred_columns_are_those_of_the_scaled_matrix() -> None:
    values = rare_and_common()
    ours = scale_implicitly(values).toarray().astype(np.float64)
    dense = scaled_densely(values.toarray())
    np.testing.assert_allclose(ours - ours.mean(axis=0), dense - dense.mean(axis=0), atol=2e-4)
    assert values.toarray()[:, 4].mean() > 10 * values.toarray()[:, 4].std(), "zeros are clipped below, too"


def test_components_are_those_of_the_plain_workflow(islets: anndata.AnnData) -> None:
    import scanpy as sc

    variable = anndata.AnnData(islets.X[:, islets.var["highly_variable"].to_numpy()].toarray())
    sc.pp.scale(variable, max_value=10)
    sc.tl.pca(variable, n_comps=50, svd_solver="arpack", random_state=0)
    for number in range(25):
        pair = np.corrcoef(islets.obsm["X_pca"][:, number], variable.obsm["X_pca"][:, number])
        assert abs(pair[0, 1]) > 0.9999
    np.testing.assert_allclose(islets.uns["pca"]["variance_ratio"], variable.uns["pca"]["variance_ratio"], rtol=1e-5)


def test_many_genes_and_few_have_the_same_components(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = scale_implicitly(sparse.random(300, 80, density=0.2, format="csr", dtype=np.float32, random_state=1))
    few, share = principal_components(scaled, 10)
    monkeypatch.setattr(components, "WIDEST_COVARIANCE", 50)
    many, other_share = principal_components(scaled, 10)
    np.testing.assert_allclose(many, few, atol=1e-4)
    np.testing.assert_allclose(other_share, share, rtol=1e-6)
