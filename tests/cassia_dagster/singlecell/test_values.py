"""Tests of telling by its values what was done to a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from cassia_dagster.singlecell.values import tell_values

COUNTS = np.random.default_rng(0).poisson(np.random.default_rng(1).gamma(0.3, 20, size=250), size=(60, 250))


def shares(total: float) -> np.ndarray:
    return COUNTS / COUNTS.sum(axis=1, keepdims=True) * total


@pytest.mark.parametrize(
    ("matrix", "kind", "base", "total"),
    [
        pytest.param(COUNTS, "counts", "e", None, id="counts"),
        pytest.param(np.log1p(shares(1e4)), "log", "e", 1e4, id="scanpy and seurat"),
        pytest.param(np.log1p(shares(1e6)), "log", "e", 1e6, id="logarithms of counts per million"),
        pytest.param(np.log2(shares(1e6) + 1), "log", "2", 1e6, id="to the base 2"),
        pytest.param(np.log10(shares(1e4) + 1), "log", "10", 1e4, id="to the base 10"),
        pytest.param(np.log1p(shares(1e4))[:, :200], "log", "e", None, id="logarithms of some of the genes"),
        pytest.param(shares(1e6), "normalised", "e", 1e6, id="counts per million"),
        pytest.param(shares(1), "normalised", "e", 1, id="shares"),
        pytest.param(COUNTS * 0.9, "normalised", "e", None, id="counts less the ambient ones"),
        pytest.param(np.where(COUNTS % 5, COUNTS, COUNTS * 0.5), "normalised", "e", None, id="a few estimated counts"),
        pytest.param(COUNTS - 1, "scaled", "e", None, id="centred"),
        pytest.param(COUNTS * 2.0**24, "damaged", "e", None, id="overflowed"),
        pytest.param(COUNTS * np.inf, "damaged", "e", None, id="infinite"),
        pytest.param(COUNTS * 0, "empty", "e", None, id="zeros"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_values_betray_what_was_done_to_them(matrix: Any, kind: str, base: str, total: float | None) -> None:
    values = tell_values(sparse.csr_matrix(matrix, dtype=np.float32))
    assert (values.kind, values.base) == (kind, base)
    assert values.total == (None if total is None else pytest.approx(total, rel=1e-3))


def test_a_cell_without_a_value_does_not_hide_the_total_of_the_others() -> None:
    matrix = np.log1p(shares(1e4))
    matrix[7] = 0
    assert tell_values(sparse.csr_matrix(matrix)).total == pytest.approx(1e4)
