"""Tests of the rows of a matrix, block by block."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from cassia_dagster.singlecell.blocks import rows_of

MATRIX = sparse.random(100, 20, density=0.3, format="csr", dtype=np.float32, random_state=0)


@pytest.mark.parametrize("span", [slice(0, 10), slice(40, 47), slice(90, 120), slice(5, 5), slice(None)])
def test_rows_in_memory_are_those_of_the_matrix_and_no_copy(span: slice) -> None:
    rows = rows_of(MATRIX, span)
    np.testing.assert_array_equal(rows.toarray(), MATRIX[span].toarray())
    assert rows.dtype == MATRIX.dtype
    rows.copy().check_format()
    if rows.nnz:
        assert np.shares_memory(rows.data, MATRIX.data)
        assert np.shares_memory(rows.indices, MATRIX.indices)


def test_rows_of_another_kind_of_matrix_are_compressed() -> None:
    rows = rows_of(MATRIX.tocsc(), slice(3, 9))
    assert isinstance(rows, sparse.csr_matrix)
    np.testing.assert_array_equal(rows.toarray(), MATRIX[3:9].toarray())
