"""Keeps artifacts as files under readable paths, and hands them on as light handles that open what is asked for."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

import dagster as dg
from pydantic import Field
from upath import UPath

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.records import Record
from cassia_dagster.singlecell.stored import (
    QUICK,
    SMALL,
    StoredCells,
    blocks_of,
    hold_written,
    open_cells,
    read_tables,
    stored_blocks,
    write_cells,
)
from cassia_dagster.singlecell.streaming import PreparedCells
from resources.artifact_files import copy_to, on_disk, putting
from resources.dataset_entry import check_name
from resources.places import Place, artifact_root
from resources.record_tables import read_records, to_arrow
from resources.versions import version_of_records, version_of_table
from resources.versions_kept import KEPT, MOST, next_version, versions_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix


_MAY_BE_ABSENT = "may_be_absent"

IF_CELLS = dg.AssetIn(metadata={_MAY_BE_ABSENT: True})
"""An input that a marker table has not: its handle may be of no file, which is told when it is opened."""


@dataclass(frozen=True, slots=True)
class AdataFile:
    """An h5ad artifact that was not opened yet."""

    path: Place

    def open(self) -> "AnnData":
        """Read the whole file."""
        import anndata

        return anndata.read_h5ad(on_disk(_existing(self.path)))

    def tables(self) -> "AnnData":
        """Read all but the normalised values and the counts."""
        return read_tables(on_disk(_existing(self.path)))

    def matrices(self) -> "Iterator[tuple[csr_matrix, csr_matrix | None]]":
        """Read the normalised values and the counts, if there are any, by blocks of cells."""
        return stored_blocks(on_disk(_existing(self.path)))

    def expression(self) -> AbstractContextManager[StoredCells]:
        """Open the normalised values with the names of cells and genes; what is not held is read block by block."""
        return open_cells(on_disk(_existing(self.path)))

    def genes(self, names: Sequence[str]) -> "AnnData":
        """Read the normalised values of some genes; what is not held is read block by block."""
        from cassia_dagster.singlecell.expression import read_genes

        return read_genes(on_disk(_existing(self.path)), names)

    def read(self, *parts: str) -> "AnnData":
        """Read the cells' table and the named parts, such as ``"obsm/X_pca"``, and leave the matrices on disk."""
        import anndata
        import h5py

        with h5py.File(on_disk(_existing(self.path)), "r") as file:
            cells = anndata.AnnData(obs=anndata.io.read_elem(file["obs"]))
            for part in parts:
                slot, _, name = part.partition("/")
                getattr(cells, slot)[name] = anndata.io.read_elem(file[part])
        return cells


@dataclass(frozen=True, slots=True)
class TableFile:
    """A parquet artifact that was not opened yet."""

    path: Place

    def read(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Read the table, or some of its columns."""
        import pandas as pd

        return pd.read_parquet(
            str(on_disk(_existing(self.path))),  # see read_records
            columns=None if columns is None else list(columns),
            page_checksum_verification=True,
        )

    def records[R: Record](self, record: type[R]) -> list[R]:
        """Read the rows as records."""
        return read_records(self.path, record)

    def fits(self, record: type[Record]) -> bool:
        """Tell whether its columns are a record's; those of a table that an earlier version wrote may be others."""
        import pyarrow.parquet as pq

        return set(pq.read_schema(str(on_disk(_existing(self.path)))).names) == set(record.model_fields)


class _KeptInside(dg.UPathIOManager):
    """Keeps nothing outside of its root, whatever a partition is called that somebody adds by hand."""

    @override
    def get_path_for_partition(self, context: dg.InputContext | dg.OutputContext, path: UPath, partition: str) -> UPath:
        try:
            for part in partition.split("/"):
                check_name(part)
        except ValueError as error:
            raise ConfigurationError(
                f"Partition {partition!r} names no file of the project: {error}. Delete it in the user interface; a "
                "dataset in the catalog makes its own."
            ) from error
        return super().get_path_for_partition(context, path, partition)


class AdataIOManager(_KeptInside):
    """Stores prepared cells as h5ad, block by block; what does not fit into memory is made as it is written."""

    extension = ".h5ad"

    @override
    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        packing = QUICK if isinstance(path, Path) else SMALL
        with putting(path) as temporary:
            if isinstance(obj, PreparedCells):
                obj.write(temporary, packing)
            else:
                write_cells(obj, blocks_of(obj), temporary, packing=packing)
                if isinstance(path, Path):  # else what is read will be a download
                    hold_written(temporary, obj)

    @override
    def load_from_path(self, context: dg.InputContext, path: UPath) -> AdataFile:
        return AdataFile(path if _may_be_absent(context) else _existing(path))


class TableIOManager(_KeptInside):
    """Stores data frames, and sequences of records, as parquet, and keeps the versions of those that have a past."""

    extension = ".parquet"

    def __init__(self, base_path: Place, keep: int = MOST) -> None:
        super().__init__(base_path)  # type: ignore[arg-type] # a local folder is a path that UPath made
        self.root, self._keep = base_path, keep

    @override
    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = to_arrow(obj) if isinstance(obj, list) else pa.Table.from_pandas(obj)
        with putting(path) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)
            # First the past, then the present: a run that is killed between the two has lost nothing.
            self._keep_version(context, obj, temporary)
        context.add_output_metadata({"dagster/row_count": table.num_rows})

    def _keep_version(self, context: dg.OutputContext, obj: Any, file: Path) -> None:
        if not context.has_asset_key or context.asset_key.to_user_string() not in KEPT:
            return
        keys = context.partition_key
        if not isinstance(keys, dg.MultiPartitionKey):
            return
        by = keys.keys_by_dimension
        which = (self.root, context.asset_key.to_user_string(), by["dataset"], by["resolution"])
        version = version_of_records(obj) if isinstance(obj, list) else version_of_table(obj)
        if place := next_version(*which, version.value, context.run_id):
            copy_to(place, file)
            for old in versions_of(*which)[self._keep :]:
                old.path.unlink(missing_ok=True)

    @override
    def load_from_path(self, context: dg.InputContext, path: UPath) -> TableFile:
        return TableFile(path if _may_be_absent(context) else _existing(path))

    def made_before(self, asset: str, dataset: str, resolution: str) -> TableFile | None:
        """Return what an asset made of a partition the last time, if it did."""
        table = stored_table(self.root, asset, dataset, resolution)
        return table if table.path.exists() else None


def _may_be_absent(context: dg.InputContext) -> bool:
    return bool(context.definition_metadata.get(_MAY_BE_ABSENT))


def _existing(path: Place) -> Place:
    if not path.exists():
        # UPathIOManager knows a missing partition by this type.
        raise FileNotFoundError(f"{path} does not exist. Materialize the asset that makes it first.")
    return path


def stored_cells(root: Place, dataset: str) -> AdataFile:
    """Return the normalised cells of a dataset, where the IO manager puts them."""
    return AdataFile(root / "normalized_adata" / f"{dataset}.h5ad")


def stored_table(root: Place, asset: str, dataset: str, resolution: str) -> TableFile:
    """Return the table that an asset made of a dataset at one resolution, where the IO manager puts it."""
    return TableFile(root / asset / dataset / f"{resolution}.parquet")


class AdataStorage(dg.ConfigurableIOManagerFactory):
    """Where the h5ad artifacts lie."""

    root: str = Field(description="A folder, or an address such as s3://bucket/atlas.")

    @override
    def create_io_manager(self, context: dg.InitResourceContext) -> AdataIOManager:
        return AdataIOManager(artifact_root(self.root))  # type: ignore[arg-type] # UPath made it


class TableStorage(dg.ConfigurableIOManagerFactory):
    """Where the parquet artifacts lie, and how many versions of each are kept."""

    root: str = Field(description="A folder, or an address such as s3://bucket/atlas.")
    keep: int = Field(default=MOST, ge=1, description="Versions of a table that are kept, the present one among them.")

    @override
    def create_io_manager(self, context: dg.InitResourceContext) -> TableIOManager:
        return TableIOManager(artifact_root(self.root), self.keep)
