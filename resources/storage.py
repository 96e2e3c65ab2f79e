"""Keeps artifacts as files under readable paths, and hands them on as light handles that open what is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

import dagster as dg
from upath import UPath

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import replacing
from cassia_dagster.records import Record
from resources.record_tables import read_records, to_arrow

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True, slots=True)
class AdataFile:
    """An h5ad artifact that was not opened yet."""

    path: Path

    def open(self) -> "AnnData":
        """Read the whole file."""
        import anndata

        return anndata.read_h5ad(self.path)

    def expression(self) -> "AnnData":
        """Read the normalised values with the names of cells and genes, and leave all else on disk."""
        import anndata
        import h5py

        with h5py.File(self.path, "r") as file:
            obs, var, values = (anndata.io.read_elem(file[part]) for part in ("obs", "var", "X"))
        return anndata.AnnData(X=values, obs=obs[[]], var=var[[]])

    def genes(self, names: Sequence[str]) -> "AnnData":
        """Read the normalised values of some genes, block by block, so that the matrix is never held as a whole."""
        from cassia_dagster.singlecell.expression import read_genes

        return read_genes(self.path, names)

    def read(self, *parts: str) -> "AnnData":
        """Read the cells' table and the named parts, such as ``"obsm/X_pca"``, and leave the matrices on disk."""
        import anndata
        import h5py

        with h5py.File(self.path, "r") as file:
            cells = anndata.AnnData(obs=anndata.io.read_elem(file["obs"]))
            for part in parts:
                slot, _, name = part.partition("/")
                getattr(cells, slot)[name] = anndata.io.read_elem(file[part])
        return cells


@dataclass(frozen=True, slots=True)
class TableFile:
    """A parquet artifact that was not opened yet."""

    path: Path

    def read(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Read the table, or some of its columns."""
        import pandas as pd

        return pd.read_parquet(self.path, columns=None if columns is None else list(columns))

    def records[R: Record](self, record: type[R]) -> list[R]:
        """Read the rows as records."""
        return read_records(self.path, record)


class AdataIOManager(dg.UPathIOManager):
    """Stores AnnData objects as h5ad."""

    extension = ".h5ad"

    @override
    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        with replacing(Path(str(path))) as temporary:
            obj.write_h5ad(temporary, compression="lzf")

    @override
    def load_from_path(self, context: dg.InputContext, path: UPath) -> AdataFile:
        return AdataFile(_existing(path))


class TableIOManager(dg.UPathIOManager):
    """Stores data frames, and sequences of records, as parquet."""

    extension = ".parquet"

    @override
    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = to_arrow(obj) if isinstance(obj, list) else pa.Table.from_pandas(obj)
        with replacing(Path(str(path))) as temporary:
            pq.write_table(table, temporary)

    @override
    def load_from_path(self, context: dg.InputContext, path: UPath) -> TableFile:
        return TableFile(_existing(path))


def _existing(path: UPath) -> Path:
    local = Path(str(path))
    if not local.exists():
        # UPathIOManager knows a missing partition by this type.
        raise FileNotFoundError(f"{local} does not exist. Materialize the asset that makes it first.")
    return local


def stored_cells(root: Path, dataset: str) -> AdataFile:
    """Return the normalised cells of a dataset, where the IO manager puts them."""
    return AdataFile(root / "normalized_adata" / f"{dataset}.h5ad")


def stored_table(root: Path, asset: str, dataset: str, resolution: str) -> TableFile:
    """Return the table that an asset made of a dataset at one resolution, where the IO manager puts it."""
    return TableFile(root / asset / dataset / f"{resolution}.parquet")


class AdataStorage(dg.ConfigurableIOManagerFactory):
    """Folder of the h5ad artifacts."""

    root: str

    @override
    def create_io_manager(self, context: dg.InitResourceContext) -> AdataIOManager:
        return AdataIOManager(_local_root(self.root))


class TableStorage(dg.ConfigurableIOManagerFactory):
    """Folder of the parquet artifacts."""

    root: str

    @override
    def create_io_manager(self, context: dg.InitResourceContext) -> TableIOManager:
        return TableIOManager(_local_root(self.root))


def _local_root(root: str) -> UPath:
    if "://" in root:
        raise ConfigurationError(f"Artifacts cannot be kept at {root!r} yet; give a local folder.")
    return UPath(root)
