"""Cells that a process holds: read once, only where it is asked for and there is room, and never those of before."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from cassia_dagster.singlecell import held
from cassia_dagster.singlecell.expression import read_genes
from cassia_dagster.singlecell.expression_sums import sum_groups
from cassia_dagster.singlecell.held import holding_cells
from cassia_dagster.singlecell.markers import rank_markers
from cassia_dagster.singlecell.stored import StoredMatrix, blocks_of, open_cells, write_cells


@pytest.fixture
def path(islets: anndata.AnnData, tmp_path: Path) -> Path:
    place = tmp_path / "islets.h5ad"
    write_cells(islets, blocks_of(islets), place)
    return place


def test_what_is_held_is_read_once(path: Path) -> None:
    with holding_cells():
        with open_cells(path) as first:
            pass
        with open_cells(path) as second:
            assert second is first
    with open_cells(path) as third:
        assert isinstance(third.X, StoredMatrix)


def test_nothing_is_held_where_nobody_asks_for_it(path: Path) -> None:
    with open_cells(path) as cells:
        assert isinstance(cells.X, StoredMatrix)


def test_nothing_is_held_where_there_is_no_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_cells(path) as cells:
        n_bytes = cells.X.n_bytes
    for available, fits in ((4 * n_bytes, True), (4 * n_bytes - 4, False)):
        monkeypatch.setattr(held, "memory_available", lambda available=available: available)
        with holding_cells(), open_cells(path) as cells:
            assert isinstance(cells.X, StoredMatrix) is not fits


def test_a_file_that_took_the_place_of_another_is_read_anew(islets: anndata.AnnData, path: Path) -> None:
    with holding_cells():
        with open_cells(path) as cells:
            assert cells.n_obs == islets.n_obs
        few = islets[:100]
        write_cells(few, blocks_of(few), path.with_name("new"))
        path.with_name("new").replace(path)
        with open_cells(path) as cells:
            assert list(cells.obs_names) == list(few.obs_names)


def test_what_is_made_of_held_cells_is_what_is_made_of_the_file(path: Path, islets_labels: pd.Series) -> None:
    with open_cells(path) as cells:
        markers, sums = rank_markers(cells, islets_labels), sum_groups(cells, islets_labels)
    genes = read_genes(path, ["INS", "GCG"])
    with holding_cells(), open_cells(path) as cells:
        assert isinstance(cells.X, csr_matrix)
        pd.testing.assert_frame_equal(rank_markers(cells, islets_labels), markers)
        for group, of_group in sum_groups(cells, islets_labels).items():
            np.testing.assert_array_equal(of_group.total, sums[group].total)
        assert (read_genes(path, ["INS", "GCG"]).X != genes.X).nnz == 0
