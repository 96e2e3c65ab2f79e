"""Tests of the rank-sum test: scipy's answer, gene by gene, however the matrix is cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell import ranks
from cassia_dagster.singlecell.ranks import (
    LEAST_VALUES,
    MOST_VALUES,
    adjust,
    sum_ranks,
    values_at_a_time,
    z_scores,
)

RNG = np.random.default_rng(0)
VALUES = (RNG.integers(1, 6, (90, 40)) * (RNG.random((90, 40)) < 0.4) / 2).astype(np.float32)
VALUES[:, 3] = 0
VALUES[7] = 0
CODES = RNG.integers(0, 4, 90)


def ranked_by_scipy(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Genes × clusters."""
    of_genes = stats.rankdata(values, axis=0)
    return np.stack([of_genes[codes == cluster].sum(axis=0) for cluster in range(4)], axis=1)


def test_rank_sums_are_scipys_with_ties_zeros_empty_genes_and_empty_cells() -> None:
    sums = sum_ranks(sparse.csr_matrix(VALUES), CODES, 4)
    np.testing.assert_array_equal(sums.ranks, ranked_by_scipy(VALUES, CODES))
    for cluster in range(4):
        held = VALUES[cluster == CODES]
        np.testing.assert_array_equal(sums.expressing[:, cluster], (held > 0).sum(axis=0))
        np.testing.assert_allclose(sums.totals[:, cluster], held.sum(axis=0))


@pytest.mark.parametrize("most", [1, 50, 10_000])
def test_in_as_many_passes_as_memory_asks_for_the_sums_are_the_same(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(ranks, "_VALUES", 64)
    sums = sum_ranks(sparse.csr_matrix(VALUES), CODES, 4, most=most)
    np.testing.assert_array_equal(sums.ranks, ranked_by_scipy(VALUES, CODES))


def test_cells_without_a_cluster_are_left_out() -> None:
    codes = np.where(np.arange(90) % 3, CODES, -1)
    sums = sum_ranks(sparse.csr_matrix(VALUES), codes, 4)
    np.testing.assert_array_equal(sums.ranks, ranked_by_scipy(VALUES[codes >= 0], codes[codes >= 0]))


def test_a_z_score_is_that_of_a_rank_sum_test() -> None:
    sums, sizes = sum_ranks(sparse.csr_matrix(VALUES), CODES, 4), np.bincount(CODES)
    scores = z_scores(sums.ranks, sizes, 90)
    for gene in (0, 5, 20):
        right = stats.ranksums(VALUES[CODES == 1, gene], VALUES[CODES != 1, gene]).statistic
        assert scores[gene, 1] == pytest.approx(right)


def test_adjusted_p_values_are_scipys() -> None:
    p_values = RNG.random((50, 3)) ** 3
    np.testing.assert_allclose(adjust(p_values), stats.false_discovery_control(p_values, axis=0))


def test_scaled_values_are_refused() -> None:
    with pytest.raises(InputError, match="none of which is negative"):
        sum_ranks(sparse.csr_matrix(VALUES - 1), CODES, 4)


def test_a_hundred_thousand_genes_are_ranked() -> None:
    values = sparse.random(500, 100_000, density=0.005, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    codes = np.arange(500) % 7
    sums = sum_ranks(values, codes, 7)
    np.testing.assert_allclose(sums.ranks.sum(axis=1), 500 * 501 / 2)
    gene = 77_777
    column = stats.rankdata(values[:, [gene]].toarray())
    np.testing.assert_array_equal(sums.ranks[gene], np.bincount(codes, column))


def test_where_little_memory_is_free_fewer_values_are_held_at_a_time() -> None:
    assert values_at_a_time(64_000_000_000) == MOST_VALUES
    assert values_at_a_time(700_000_000) * 6 < 300_000_000
    assert values_at_a_time(0) == LEAST_VALUES


def test_how_much_memory_is_free_does_not_change_the_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sparse.random(300, 2000, density=0.1, format="csr", dtype=np.float32, random_state=0)
    codes = np.arange(300) % 5
    roomy = sum_ranks(values, codes, 5)
    monkeypatch.setattr("cassia_dagster.singlecell.ranks.LEAST_VALUES", 1000)
    monkeypatch.setattr("cassia_dagster.singlecell.ranks.memory_available", lambda: 0)
    for one, other in zip(roomy, sum_ranks(values, codes, 5), strict=True):
        np.testing.assert_array_equal(one, other)
