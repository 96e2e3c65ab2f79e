"""Tests of reading what stands around a file's matrices."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell import frame
from cassia_dagster.singlecell.frame import read_frame


def small() -> anndata.AnnData:
    obs = pd.DataFrame({"donor": pd.Categorical(["a", "b", "a"])}, index=["c1", "c2", "c3"])
    adata = anndata.AnnData(np.ones((3, 4), dtype="float32"), obs=obs, var=pd.DataFrame(index=list("wxyz")))
    adata.raw = adata.copy()
    adata = adata[:, :2].copy()
    adata.layers["counts"] = adata.X
    return adata


@pytest.fixture(params=["cells.h5ad", "cells.zarr"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = tmp_path / request.param
    small().write_h5ad(path) if path.suffix == ".h5ad" else small().write_zarr(path)
    return path


def test_the_tables_are_read_and_the_matrices_are_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "read", lambda path: pytest.fail(f"read all of {path}"))
    seen = read_frame(path)
    assert seen.cells.obs["donor"].tolist() == ["a", "b", "a"]
    assert seen.cells.X is None
    assert list(seen.cells.var_names) == ["w", "x"]
    assert seen.raw is not None
    assert list(seen.raw.var_names) == list("wxyz")
    assert seen.places == ("X", "layers/counts", "raw")


def test_a_table_has_no_columns_of_cells(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("cell,INS,GCG\nc1,1,0\nc2,0,2\n")
    seen = read_frame(tmp_path / "cells.csv")
    assert list(seen.cells.obs) == []
    assert (list(seen.cells.var_names), seen.raw, seen.places) == (["INS", "GCG"], None, ("X",))


def test_a_file_of_an_older_layout_is_read_as_a_whole(tmp_path: Path) -> None:
    small().write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        del file["raw/var"]
        del file["raw"]
        table = np.array([(b"w",), (b"x",)], dtype=[("index", "S1")])
        del file["var"]
        file["var"] = table
    assert list(read_frame(tmp_path / "cells.h5ad").cells.var_names) == ["w", "x"]


@pytest.mark.parametrize("content", [b"no HDF5", b""])
def test_a_file_that_cannot_be_read_is_refused_like_everywhere(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cells.h5ad").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read as an \.h5ad file"):
        read_frame(tmp_path / "cells.h5ad")


def test_a_file_that_was_cut_short_is_refused(islets_path: Path, tmp_path: Path) -> None:
    shutil.copy(islets_path, tmp_path / "cells.h5ad")
    with (tmp_path / "cells.h5ad").open("r+b") as file:
        file.truncate(islets_path.stat().st_size // 2)
    with pytest.raises(InputError, match="Was the download complete"):
        read_frame(tmp_path / "cells.h5ad")
