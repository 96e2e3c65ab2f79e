"""Tests of preparing cells by blocks: the same bits as in memory, and clear words where it cannot be done."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.frame import read_frame
from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.stored import blocks_of, write_cells
from cassia_dagster.singlecell.streaming import CountsFile, PreparedCells, count_stored, prepare_by_blocks
from resources.versions import version_of_adata

BOUNDS = {"min_mean": 0.0125, "max_mean": 3.0, "min_disp": 0.5}
N_GENES = 2000
"""Enough for cells to be told apart where it is not the cells that are looked at."""


@pytest.fixture
def in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cassia_dagster.singlecell.blocks.CELLS", 300)


def streamed(path: Path, place: str | None = None) -> PreparedCells:
    return prepare_by_blocks(read_frame(path).cells, CountsFile(path, place), BOUNDS)


@pytest.mark.usefixtures("in_small_blocks")
def test_streamed_cells_are_those_prepared_in_memory_to_the_last_bit(islets_path: Path, tmp_path: Path) -> None:
    from cassia_dagster.singlecell.embed import embed
    from cassia_dagster.singlecell.normalize import normalize

    memory = embed(normalize(load_counts(islets_path)))
    prepared = streamed(islets_path)
    assert version_of_adata(prepared.tables, matrix=prepared.digest) == version_of_adata(memory)
    prepared.write(tmp_path / "streamed.h5ad")
    write_cells(memory, blocks_of(memory), tmp_path / "memory.h5ad")
    one, other = (anndata.read_h5ad(tmp_path / name) for name in ("streamed.h5ad", "memory.h5ad"))
    for left, right in ((one.X, other.X), (one.layers["counts"], other.layers["counts"])):
        assert (left != right).nnz == 0
    np.testing.assert_array_equal(one.obsm["X_pca"], other.obsm["X_pca"])
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)


@pytest.mark.parametrize("place", ["X", "layers/raw_counts"])
def test_a_dense_matrix_and_a_layer_are_read_by_blocks_too(islets: anndata.AnnData, tmp_path: Path, place: str) -> None:
    counts = islets.layers["counts"][:200, :N_GENES]
    few = anndata.AnnData(counts, obs=islets.obs[:200][[]], var=islets.var.iloc[:N_GENES][[]])
    few.layers["raw_counts"] = few.X.copy()
    few.X = few.X.toarray()
    few.write_h5ad(tmp_path / "few.h5ad")
    blocks = list(CountsFile(tmp_path / "few.h5ad", place).blocks())
    assert (sparse.vstack(blocks) != counts).nnz == 0


def test_values_are_counted_without_being_read(islets_path: Path, tmp_path: Path) -> None:
    assert count_stored(islets_path, None) == load_counts(islets_path).X.nnz
    table = tmp_path / "counts.csv"
    table.write_text("cell,INS\na,1\n")
    assert count_stored(table, None) is None


def test_what_is_stored_by_gene_is_refused_with_the_way_out(islets: anndata.AnnData, tmp_path: Path) -> None:
    by_gene = anndata.AnnData(sparse.csc_matrix(islets.layers["counts"][:50]))
    by_gene.write_h5ad(tmp_path / "by_gene.h5ad")
    with pytest.raises(InputError, match=r"stored by gene .* adata\.X = adata\.X\.tocsr"):
        list(CountsFile(tmp_path / "by_gene.h5ad", "X").blocks())


def test_values_that_are_no_counts_are_refused(islets: anndata.AnnData, tmp_path: Path) -> None:
    anndata.AnnData(islets.X[:50]).write_h5ad(tmp_path / "logs.h5ad")
    with pytest.raises(InputError, match="must be raw counts, which it does not have"):
        CountsFile(tmp_path / "logs.h5ad", None)


@pytest.mark.usefixtures("in_small_blocks")
def test_counts_that_end_in_the_middle_of_the_file_are_refused(islets: anndata.AnnData, tmp_path: Path) -> None:
    mixed = sparse.vstack([islets.layers["counts"][:300], islets.X[300:]], format="csr")
    anndata.AnnData(mixed).write_h5ad(tmp_path / "mixed.h5ad")
    with pytest.raises(InputError, match="in the cells from number 301 on"):
        list(CountsFile(tmp_path / "mixed.h5ad", "X").blocks())


@pytest.mark.usefixtures("in_small_blocks")
@pytest.mark.parametrize("change", ["other values", "fewer cells", "more cells"])
def test_a_file_that_is_replaced_before_the_cells_are_written_is_refused(
    islets: anndata.AnnData, tmp_path: Path, change: str
) -> None:
    def store(n_cells: int, factor: int = 1) -> None:
        path.unlink(missing_ok=True)
        counts = islets.layers["counts"][:n_cells, :N_GENES] * factor
        anndata.AnnData(counts, var=islets.var.iloc[:N_GENES][[]]).write_h5ad(path)

    path = tmp_path / "cells.h5ad"
    store(500)
    prepared = streamed(path)
    store({"fewer cells": 400, "more cells": 700}.get(change, 500), 2 if change == "other values" else 1)
    with pytest.raises(InputError, match="was replaced or written to while it was read"):
        prepared.write(tmp_path / "prepared.h5ad")
