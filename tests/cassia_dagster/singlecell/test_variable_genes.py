"""Tests of finding variable genes: the same ones as Scanpy, from sums over blocks of cells."""

from __future__ import annotations

import anndata
import numpy as np
from scipy import sparse

from cassia_dagster.singlecell.variable_genes import GeneMoments, flag_variable_genes

BOUNDS = {"min_mean": 0.0125, "max_mean": 3.0, "min_disp": 0.5}


def test_the_same_genes_vary_as_in_scanpy(islets: anndata.AnnData) -> None:
    import scanpy as sc

    reference = anndata.AnnData(islets.X.copy(), var=islets.var[[]].copy())
    sc.pp.highly_variable_genes(reference, **BOUNDS)
    assert (reference.var["highly_variable"] == islets.var["highly_variable"]).all()
    np.testing.assert_allclose(islets.var["dispersions_norm"], reference.var["dispersions_norm"], atol=1e-4)


def test_moments_do_not_depend_on_the_blocks_that_they_were_gathered_from() -> None:
    matrix = sparse.random(100, 20, density=0.3, format="csr", random_state=0)
    moments = GeneMoments(20)
    for first, last in ((0, 1), (1, 60), (60, 100)):
        moments.add(matrix[first:last])
    dense = matrix.toarray()
    np.testing.assert_allclose(moments.mean, dense.mean(axis=0))
    np.testing.assert_allclose(moments.variance, dense.var(axis=0, ddof=1))


def test_a_gene_without_counts_is_not_variable() -> None:
    counts = np.random.default_rng(0).poisson(2.0, (50, 40)).astype(np.float32)
    counts[:, 7] = 0
    moments = GeneMoments(40)
    moments.add(sparse.csr_matrix(counts))
    genes = flag_variable_genes(moments, **BOUNDS)
    assert not genes["highly_variable"][7]
    assert np.isnan(genes["dispersions"][7])
