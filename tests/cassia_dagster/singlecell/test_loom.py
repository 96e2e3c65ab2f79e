"""Tests of reading loom files, in the layout that the format's specification gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell import guard, loom
from cassia_dagster.singlecell.formats import read
from cassia_dagster.singlecell.loom import read_loom

MATRIX = np.random.default_rng(0).poisson(0.5, size=(30, 250))
CELLS = [f"sample:ACGT{number}" for number in range(30)]
GENES = [f"GENE{number}" for number in range(250)]
TEXT = h5py.string_dtype()


def stored(path: Path, *, rows: dict[str, Any], columns: dict[str, Any]) -> Path:
    """Write a file as loompy 3 does: genes × cells, attributes as 1-D datasets, version in a dataset."""
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=MATRIX.T, chunks=(64, 30), compression="gzip")
        file.create_dataset("layers/unspliced", data=MATRIX.T.astype(np.uint16), chunks=(64, 30))
        file.create_dataset("attrs/LOOM_SPEC_VERSION", data="3.0.0", dtype=TEXT)
        for group, attributes in (("row_attrs", rows), ("col_attrs", columns)):
            file.create_group(group)
            for name, values in attributes.items():
                text = isinstance(values[0], str)
                file[group].create_dataset(name, data=values, dtype=TEXT if text else None)
        for group in ("row_graphs", "col_graphs"):
            file.create_group(group)
    return path


def test_genes_and_cells_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loom, "_BLOCK", 250 * 7)  # several blocks, the last of them not full
    path = stored(
        tmp_path / "cells.loom",
        rows={"Gene": GENES, "Accession": [f"ENSG{number:011}" for number in range(250)]},
        columns={"CellID": CELLS, "Cluster": np.arange(30) % 3, "_X": np.zeros((30, 2))},
    )
    adata = read_loom(path)
    assert adata.obs_names.to_list() == CELLS
    assert adata.var_names.to_list() == GENES
    np.testing.assert_array_equal(adata.X.toarray(), MATRIX)
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), MATRIX)
    assert adata.var["Accession"].iloc[1] == "ENSG00000000001"
    assert adata.obs["Cluster"].tolist() == [0, 1, 2] * 10
    assert list(adata.obs) == ["Cluster"], "an attribute of several values a cell is no column"


def test_names_under_another_convention_are_found(tmp_path: Path) -> None:
    adata = read_loom(stored(tmp_path / "a.loom", rows={"Accession": GENES}, columns={"obs_names": CELLS}))
    assert (adata.var_names[0], adata.obs_names[0]) == (GENES[0], CELLS[0])


@pytest.mark.parametrize(("rows", "columns"), [({"Gene": GENES[:9]}, {"CellID": CELLS}), ({"Gene": GENES}, {})])
def test_without_names_it_is_said_which_are_looked_for(
    tmp_path: Path, rows: dict[str, Any], columns: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"has none of (Gene|CellID).*Give the names"):
        read_loom(stored(tmp_path / "a.loom", rows=rows, columns=columns))


def test_another_hdf5_file_is_told_from_a_loom_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.loom", "w") as file:
        file["data"] = [1]
    with pytest.raises(InputError, match="no dataset 'matrix', so it is no loom file; it has: data"):
        read_loom(tmp_path / "a.loom")


def test_a_matrix_that_would_fit_once_its_zeros_are_left_out_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path / "cells.loom", rows={"Gene": GENES}, columns={"CellID": CELLS})
    declared = MATRIX.size * (MATRIX.itemsize + 2)
    monkeypatch.setattr(guard, "memory_of_machine", lambda: declared // 2)
    assert read(path).shape == (30, 250)
    monkeypatch.setattr(guard, "memory_of_machine", lambda: declared // 20)
    with pytest.raises(InputError, match="more than the"):
        read(path)
