"""Reads what stands around a file's matrices, so that what is said of the file can be checked before they are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.formats import check_format, read
from cassia_dagster.singlecell.guard import check_hdf5, check_zarr
from cassia_dagster.singlecell.load import places

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, slots=True)
class Frame:
    """A file without its values."""

    cells: AnnData
    """``obs`` and ``var``, and no matrix."""
    raw: AnnData | None
    """The same with the genes of ``raw``."""
    places: tuple[str, ...]
    """The matrices that there are, as `load_cells` takes them."""


def read_frame(path: Path) -> Frame:
    """Read the tables of cells and genes, and the names of the matrices.

    Parameters
    ----------
    path
        Anything that `formats.read` takes; of a format that has no tables apart, all is read.

    Raises
    ------
    InputError
        As `formats.read` does.
    """
    import h5py

    suffix = check_format(path)
    try:
        if suffix == ".h5ad":
            check_hdf5(path, unread=("X", "layers", "raw/X", "obsp", "varp"))
            with h5py.File(path, "r") as file:
                return _frame_of(file)
        if suffix == ".zarr":
            import zarr

            check_zarr(path)
            return _frame_of(zarr.open_group(path, mode="r"))
    except InputError:
        raise
    except Exception:  # noqa: BLE001, S110 - the reader of whole files knows older layouts too, or says what is wrong
        pass
    adata = read(path)
    raw = None if adata.raw is None else _without_values(adata.obs, adata.raw.var)
    return Frame(_without_values(adata.obs, adata.var), raw, tuple(places(adata)))


def _frame_of(group: Any) -> Frame:
    from anndata.io import read_elem

    obs = read_elem(group["obs"])
    raw = _without_values(obs, read_elem(group["raw"]["var"])) if "raw" in group else None
    layers = [f"layers/{name}" for name in group["layers"]] if "layers" in group else []
    there = [*(["X"] if "X" in group else []), *layers, *(["raw"] if raw is not None else [])]
    return Frame(_without_values(obs, read_elem(group["var"])), raw, tuple(there))


def _without_values(obs: Any, var: Any) -> AnnData:
    import anndata

    return anndata.AnnData(obs=obs, var=var)
