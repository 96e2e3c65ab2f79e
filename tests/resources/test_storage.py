"""Tests of artifacts: readable paths, light handles, and files that are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from upath import UPath

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.records import Grouping
from cassia_dagster.singlecell.held import holding_cells
from resources.storage import AdataFile, AdataIOManager, AdataStorage, TableFile, TableIOManager, TableStorage

DATASETS = dg.DynamicPartitionsDefinition(name="dataset")
PAIRS = dg.MultiPartitionsDefinition({"dataset": DATASETS, "resolution": dg.StaticPartitionsDefinition(["0.4", "1.0"])})
FRAME = pd.DataFrame({"cell_id": ["a", "b"], "cluster": ["0", "10"], "x": [0.5, np.nan]})
ROWS = [Grouping(cluster="0", broad="leukocyte", intermediate="T cell", detailed="CD8 T cell")]
CELLS = anndata.AnnData(
    X=sparse.csr_matrix(np.eye(3, dtype=np.float32)),
    obs=pd.DataFrame(index=["a", "b", "c"]),
    var=pd.DataFrame(index=["INS", "GCG", "SST"]),
    obsm={"X_pca": np.ones((3, 2), dtype=np.float32)},
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        ephemeral.add_dynamic_partitions("dataset", ["islets-v1.2", "blood"])
        yield ephemeral


def key(dataset: str, resolution: str) -> dg.MultiPartitionKey:
    return dg.MultiPartitionKey({"dataset": dataset, "resolution": resolution})


def make(
    instance: dg.DagsterInstance,
    root: Path,
    value: Any,
    *,
    partition: str,
    partitions: dg.PartitionsDefinition[Any] = PAIRS,
    storage: str = "table_storage",
    then: Any = None,
) -> None:
    """Materialize an asset ``made`` of that value; with ``then``, hand it to another asset, which calls it."""

    @dg.asset(partitions_def=partitions, io_manager_key=storage, dagster_type=dg.Any)
    def made() -> Any:
        return value

    @dg.asset(partitions_def=partitions, ins={"made": dg.AssetIn()})
    def taken(made: Any) -> None:
        then(made)

    resources = {"table_storage": TableStorage(root=str(root)), "adata_storage": AdataStorage(root=str(root))}
    assets = [made, taken] if then else [made]
    assert dg.materialize(assets, partition_key=partition, instance=instance, resources=resources).success


def test_a_table_lies_under_its_asset_dataset_and_resolution(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    make(instance, tmp_path, FRAME, partition=key("islets-v1.2", "0.4"))
    make(instance, tmp_path, FRAME, partition=key("blood", "1.0"))
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"made/islets-v1.2/0.4.parquet", "made/blood/1.0.parquet"}


def test_an_h5ad_lies_under_its_asset_and_dataset(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    make(instance, tmp_path, CELLS, partition="islets-v1.2", partitions=DATASETS, storage="adata_storage")
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert files == ["made/islets-v1.2.h5ad"]


def test_a_table_comes_as_a_handle_that_reads_whole_or_by_columns(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    taken: list[TableFile] = []
    make(instance, tmp_path, FRAME, partition=key("blood", "0.4"), then=taken.append)
    (handle,) = taken
    assert isinstance(handle, TableFile)
    pd.testing.assert_frame_equal(handle.read(), FRAME)
    pd.testing.assert_frame_equal(handle.read(["x", "cell_id"]), FRAME[["x", "cell_id"]])


def test_records_come_as_a_handle_that_reads_them_as_records(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    taken: list[TableFile] = []
    make(instance, tmp_path, ROWS, partition=key("blood", "0.4"), then=taken.append)
    assert taken[0].records(Grouping) == ROWS


def made_cells(instance: dg.DagsterInstance, root: Path) -> AdataFile:
    taken: list[AdataFile] = []
    make(
        instance,
        root,
        CELLS,
        partition="blood",
        partitions=DATASETS,
        storage="adata_storage",
        then=taken.append,
    )
    (handle,) = taken
    return handle


def test_cells_come_as_a_handle_that_opens_whole_or_leaves_the_matrix_on_disk(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    handle = made_cells(instance, tmp_path)
    assert isinstance(handle, AdataFile)
    np.testing.assert_array_equal(handle.open().X.toarray(), np.eye(3))
    part = handle.read("obsm/X_pca")
    assert list(part.obs_names) == ["a", "b", "c"]
    np.testing.assert_array_equal(part.obsm["X_pca"], CELLS.obsm["X_pca"])
    assert part.X is None
    with handle.expression() as cells:
        np.testing.assert_array_equal(cells.X[:].toarray(), np.eye(3))
        assert (list(cells.obs_names), list(cells.var_names)) == (["a", "b", "c"], ["INS", "GCG", "SST"])
    assert handle.tables().X is None


def test_cells_that_were_written_where_they_are_held_are_not_read_again(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with holding_cells():
        handle = made_cells(instance, tmp_path)
        with handle.expression() as cells:
            assert cells.X is CELLS.X
    with handle.expression() as cells:
        assert cells.X is not CELLS.X


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "0.4.parquet"
    path.write_bytes(b"no parquet")
    handle = TableIOManager(UPath(tmp_path)).load_from_path(dg.build_input_context(), UPath(path))
    with pytest.raises(pa.ArrowInvalid):
        handle.read()


@pytest.mark.parametrize("manager", [TableIOManager, AdataIOManager])
def test_an_artifact_that_is_missing_is_named_with_the_way_out(
    tmp_path: Path, manager: type[TableIOManager | AdataIOManager]
) -> None:
    missing = tmp_path / "made" / "blood"
    with pytest.raises(FileNotFoundError, match=r"blood does not exist\. Materialize the asset that makes it first"):
        manager(UPath(tmp_path)).load_from_path(dg.build_input_context(), UPath(missing))


def test_a_dataset_gets_those_of_its_resolutions_that_were_made(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    make(instance, tmp_path, FRAME, partition=key("blood", "1.0"))
    taken: list[dict[str, TableFile]] = []
    made = dg.AssetSpec("made", partitions_def=PAIRS, metadata={"dagster/io_manager_key": "table_storage"})

    @dg.asset(partitions_def=DATASETS, ins={"made": dg.AssetIn(metadata={"allow_missing_partitions": True})})
    def whole(made: dict[str, TableFile]) -> None:
        taken.append(made)

    resources = {"table_storage": TableStorage(root=str(tmp_path))}
    assert dg.materialize(
        [made, whole], partition_key="blood", instance=instance, resources=resources, selection=["whole"]
    ).success
    assert taken == [{"blood|1.0": TableFile(tmp_path / "made" / "blood" / "1.0.parquet")}]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, path = TableIOManager(UPath(tmp_path)), tmp_path / "made" / "0.4.parquet"
    manager.dump_to_path(dg.build_output_context(), FRAME, UPath(path))

    def break_off(table: pa.Table, where: Path, **_: Any) -> None:
        where.write_bytes(b"half a table")
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", break_off)
    with pytest.raises(OSError, match="No space left"):
        manager.dump_to_path(dg.build_output_context(), FRAME.tail(1), UPath(path))
    assert list(path.parent.iterdir()) == [path]
    pd.testing.assert_frame_equal(TableFile(path).read(), FRAME)


def test_cells_that_cannot_be_written_leave_the_old_ones(tmp_path: Path) -> None:
    manager, path = AdataIOManager(UPath(tmp_path)), tmp_path / "made" / "blood.h5ad"
    manager.dump_to_path(dg.build_output_context(), CELLS, UPath(path))
    unwritable = CELLS.copy()
    unwritable.X *= 2
    unwritable.uns["not for a file"] = object()
    with pytest.raises(Exception, match="not for a file"):
        manager.dump_to_path(dg.build_output_context(), unwritable, UPath(path))
    assert list(path.parent.iterdir()) == [path]
    np.testing.assert_array_equal(AdataFile(path).open().X.toarray(), np.eye(3))


@pytest.mark.parametrize("storage", [TableStorage, AdataStorage])
def test_an_address_that_nothing_can_be_kept_at_is_refused(storage: type[TableStorage | AdataStorage]) -> None:
    with pytest.raises(ConfigurationError, match=r"'ftp://host/atlas'.*begins with s3://, gs://, az://"):
        storage(root="ftp://host/atlas").create_io_manager(dg.build_init_resource_context())
