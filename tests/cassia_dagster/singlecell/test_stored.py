"""Tests of cells in a file: any program reads them whole, ours read them by blocks."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.singlecell.contrasts import contrasts
from cassia_dagster.singlecell.expression_sums import sum_groups
from cassia_dagster.singlecell.markers import rank_markers
from cassia_dagster.singlecell.stored import (
    COMMON,
    QUICK,
    SMALL,
    StoredMatrix,
    blocks_of,
    open_cells,
    read_tables,
    stored_blocks,
    write_cells,
)


@pytest.fixture(scope="module", params=[QUICK, SMALL], ids=["quick", "small"])
def path(request: pytest.FixtureRequest, islets: anndata.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stored") / "islets.h5ad"
    write_cells(islets, blocks_of(islets), place, packing=request.param)
    return place


def test_anndata_reads_what_was_written(islets: anndata.AnnData, path: Path) -> None:
    read = anndata.read_h5ad(path)
    assert (read.X != islets.X).nnz == 0
    assert (read.layers["counts"] != islets.layers["counts"]).nnz == 0
    pd.testing.assert_frame_equal(read.obs, islets.obs)
    np.testing.assert_array_equal(read.obsm["X_pca"], islets.obsm["X_pca"])
    assert (read.obsp["connectivities"] != islets.obsp["connectivities"]).nnz == 0


def test_indices_are_stored_once(path: Path) -> None:
    with h5py.File(path) as file:
        assert file["X/indices"] == file["layers/counts/indices"]


def test_values_are_packed_only_for_a_network(islets: anndata.AnnData, tmp_path: Path) -> None:
    for name, packing in {"quick": QUICK, "small": SMALL}.items():
        write_cells(islets, blocks_of(islets), tmp_path / name, packing=packing)
        with h5py.File(tmp_path / name) as file:
            packed = [file[part].compression for part in ("X/data", "X/indices", "layers/counts/data")]
            assert packed == [*([None, None] if name == "quick" else ["lzf", "lzf"]), "lzf"]
            assert file["X/indices"].shuffle == (name == "small")


def test_a_copy_by_blocks_is_the_same_and_packed_as_other_languages_read_it(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5ad"
    write_cells(read_tables(path), stored_blocks(path), copy, packing=COMMON)
    one, other = anndata.read_h5ad(copy), anndata.read_h5ad(path)
    assert (one.X != other.X).nnz == 0
    assert (one.layers["counts"] != other.layers["counts"]).nnz == 0
    pd.testing.assert_frame_equal(one.obs, other.obs)
    with h5py.File(copy) as file:
        assert file["X/data"].compression == "gzip"


def test_markers_from_the_file_are_those_from_memory(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame, path: Path
) -> None:
    with open_cells(path) as cells:
        pd.testing.assert_frame_equal(rank_markers(cells, islets_labels), islets_markers)
        sums = sum_groups(islets, islets_labels)
        found = contrasts(cells, islets_labels, sums, {"0": "1"})
    assert found == contrasts(islets, islets_labels, sums, {"0": "1"})


@pytest.mark.parametrize(("n_values", "bytes_a_value"), [(2**31 - 1, 8), (2**31, 12)])
def test_more_values_than_a_narrow_index_can_count_are_counted_with_wide_ones(
    tmp_path: Path, n_values: int, bytes_a_value: int
) -> None:
    with h5py.File(tmp_path / "large.h5", "w") as file:
        for part, kind in (("data", "f4"), ("indices", "i4")):
            file.create_dataset(part, shape=(n_values,), dtype=kind, chunks=True)  # takes no room before it is written
        file["indptr"] = np.array([0, n_values], dtype=np.int64)
        file.attrs["shape"] = (1, 2**31 - 1)
        assert StoredMatrix(file).n_bytes == n_values * bytes_a_value + 16
