"""Tests of what is refused before a library reads it, because it leads elsewhere, crashes, or never ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell import guard
from cassia_dagster.singlecell.formats import read

COUNTS = np.random.default_rng(0).poisson(0.5, size=(30, 250)).astype(np.float32)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5ad"
    obs, var = (pd.DataFrame(index=[f"{kind}{number}" for number in range(n)]) for kind, n in (("c", 30), ("G", 250)))
    adata = anndata.AnnData(sparse.csr_matrix(COUNTS), obs, var, layers={"dense": COUNTS}, uns={"note": np.arange(3)})
    adata.write_h5ad(path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


def to_another_file(file: h5py.File) -> None:
    file["uns/secret"] = h5py.ExternalLink("other.h5ad", "/X")


def shown_of_another_file(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = h5py.VirtualSource("other.h5ad", "uns/note", shape=(3,))
    file["uns"].create_virtual_dataset("secret", layout)


def bytes_of_another_file(file: h5py.File) -> None:
    file["uns"].create_dataset("secret", shape=(8,), dtype="u1", external=[("/etc/hostname", 0, 8)])


@pytest.mark.parametrize("lead_out", [to_another_file, shown_of_another_file, bytes_of_another_file])
def test_a_part_that_leads_to_another_file_is_refused(stored: Path, lead_out: Callable[[h5py.File], None]) -> None:
    with h5py.File(stored, "a") as file:
        lead_out(file)
    reason = refusal(stored)
    assert "/uns/secret leads to other" in reason
    assert "Write the data into one file" in reason


def test_a_link_within_the_file_is_followed(stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file["uns/same"] = h5py.SoftLink("/uns/note")
    assert read(stored).uns["same"].tolist() == [0, 1, 2]


def test_groups_that_hold_each_other_are_refused(stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file["uns/again"] = file["uns"]
        file["uns/other"] = file["uns"]
    assert "parts that hold each other" in refusal(stored)


def test_more_parts_than_a_file_of_cells_has_are_refused(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_PARTS", 500)
    with h5py.File(stored, "a") as file:
        for number in range(500):
            file[f"uns/part{number}"] = number
    assert "has more than 500 parts" in refusal(stored)


def test_more_values_than_fit_into_the_memory_are_refused_before_they_are_read(stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file["uns"].create_dataset("bomb", shape=(10**6, 10**7), chunks=(1, 10**4), dtype="f4")
    assert stored.stat().st_size < 10**6
    reason = refusal(stored)
    assert "declares 40,000 GB of values" in reason
    assert "Store the matrix sparse" in reason


def point_at(part: str, position: int, value: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[part][position] = value

    return change


def cut(part: str, length: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        held = file[part][:length]
        del file[part]
        file[part] = held

    return change


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(point_at("X/indices", 5, 10**6), id="gene beyond the last"),
        pytest.param(point_at("X/indices", 5, -1), id="gene before the first"),
        pytest.param(point_at("X/indptr", 5, 10**6), id="row beyond the last value"),
        pytest.param(point_at("X/indptr", 5, 0), id="rows that go back"),
        pytest.param(cut("X/indptr", 20), id="too few rows"),
        pytest.param(cut("X/data", 20), id="too few values"),
    ],
)
def test_a_sparse_matrix_that_points_outside_of_itself_is_refused(
    stored: Path, damage: Callable[[h5py.File], None]
) -> None:
    with h5py.File(stored, "a") as file:
        damage(file)
    assert "the sparse matrix X is damaged" in refusal(stored)


def test_a_shape_that_is_not_that_of_the_names_is_refused(stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file["X"].attrs["shape"] = [30, 251]
    assert "cannot be read" in refusal(stored)


def test_a_shape_without_bounds_is_refused(stored: Path) -> None:
    with h5py.File(stored, "a") as file:
        file["X"].attrs["shape"] = [10**12, 250]
    assert "Take fewer cells" in refusal(stored)


def test_a_file_that_the_user_has_linked_is_read(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link.h5ad").symlink_to(stored)
    assert read(tmp_path / "here" / "link.h5ad").shape == (30, 250)


def test_a_link_out_of_a_zarr_folder_is_refused(stored: Path, tmp_path: Path) -> None:
    store = tmp_path / "cells.zarr"
    read(stored).write_zarr(store)
    chunk = next(part for part in (store / "layers" / "dense").rglob("*") if part.is_file() and part.suffix != ".json")
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    reason = refusal(store)
    assert f"is a link to {tmp_path / 'elsewhere'}" in reason
    assert "Put the file itself into the folder" in reason


def test_a_zarr_folder_that_is_itself_a_link_is_read(stored: Path, tmp_path: Path) -> None:
    read(stored).write_zarr(tmp_path / "cells.zarr")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link.zarr").symlink_to(tmp_path / "cells.zarr")
    assert read(tmp_path / "here" / "link.zarr").shape == (30, 250)


def test_more_values_in_zarr_than_fit_into_the_memory_are_refused(stored: Path, tmp_path: Path) -> None:
    import zarr

    read(stored).write_zarr(tmp_path / "cells.zarr", consolidate_metadata=False)
    uns = zarr.open_group(tmp_path / "cells.zarr", mode="a")["uns"]
    uns.create_array("bomb", shape=(10**6, 10**7), chunks=(1, 10**4), dtype="f4")
    assert "declares 40,000 GB of values" in refusal(tmp_path / "cells.zarr")


@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_a_pickle_in_a_zarr_folder_is_never_loaded(tmp_path: Path, place: str) -> None:
    import json
    import pickle

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    folder = tmp_path / "cells.zarr"
    (folder / "X").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    codec = {"id": "pickle", "protocol": 5}
    plain = {"compressor": None, "filters": None, "fill_value": 0, "order": "C", "zarr_format": 2}
    array = plain | {"shape": [1], "chunks": [1], "dtype": "<f4", place: [codec] if place == "filters" else codec}
    (folder / "X" / ".zarray").write_text(json.dumps(array))
    (folder / "X" / "0").write_bytes(pickle.dumps(Trap()))
    refusal(folder)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Trap()))  # noqa: S301 - the trap does spring where it is loaded
    assert (tmp_path / "sprung").exists()
