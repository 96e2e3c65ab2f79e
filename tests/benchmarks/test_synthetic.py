"""Made cells look like those that they are made from."""

import anndata
import numpy as np
import pytest

from benchmarks.synthetic import TRUTH, islet_profiles, made_cells, write_cells


@pytest.fixture(scope="module")
def profiles():
    return islet_profiles(2000)


def test_made_cells_are_counts_of_one_type_at_a_real_depth(profiles):
    counts, types = made_cells(profiles, 500, np.random.default_rng(0))
    assert counts.shape == (500, 2000)
    assert set(types) <= set(profiles.types)
    assert (counts.data == np.round(counts.data)).all()
    assert counts.data.min() >= 1
    depth, real = (np.median(np.asarray(one.sum(axis=1))) for one in (counts, profiles.counts))
    assert depth == pytest.approx(real, rel=0.15)
    beta = np.flatnonzero(types == "beta")
    of_beta = profiles.counts[profiles.types == "beta"].mean(axis=0)
    assert np.corrcoef(np.ravel(counts[beta].mean(axis=0)), np.ravel(of_beta))[0, 1] > 0.98


def test_a_file_is_written_in_chunks_and_is_the_same_again(tmp_path):
    for name in ("one", "two"):
        write_cells(tmp_path / f"{name}.h5ad", 130, n_genes=500, chunk=50)
    one, two = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("one", "two"))
    assert one.shape == (130, 500)
    assert one.obs_names.is_unique
    assert (one.X != two.X).nnz == 0
    assert one.obs[TRUTH].tolist() == two.obs[TRUTH].tolist()


def test_genes_beyond_the_demos_are_rare():
    profiles = islet_profiles(14_300)
    assert len(profiles.genes) == len(set(profiles.genes)) == profiles.counts.shape[1] == 14_300
    extra = np.diff(profiles.counts.tocsc().indptr)[-30:]
    assert 0 < extra.max() <= 3
