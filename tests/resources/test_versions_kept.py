"""Tests of the past of small tables: who reads it finds what each run said, newest first, and never without bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from cassia_dagster.records import Grouping
from resources.storage import TableFile, TableIOManager, TableStorage
from resources.versions import version_of_records
from resources.versions_kept import KEPT, folder_of, versions_of

PAIRS = dg.MultiPartitionsDefinition(
    {
        "dataset": dg.StaticPartitionsDefinition(["islets"]),
        "resolution": dg.StaticPartitionsDefinition(["0.4"]),
    }
)
WHICH = ("merged", "islets", "0.4")


def said(name: str) -> list[Grouping]:
    return [Grouping(cluster="0", broad="leukocyte", intermediate="T cell", detailed=name)]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Materialize an asset with a value; gives the run's id."""
    with dg.DagsterInstance.ephemeral() as instance:

        def make(value: Any, asset: str = "merged", keep: int = 20) -> str:
            @dg.asset(name=asset, partitions_def=PAIRS, io_manager_key="tables", dagster_type=dg.Any)
            def made() -> Any:
                return value

            key = dg.MultiPartitionKey({"dataset": "islets", "resolution": "0.4"})
            storage = {"tables": TableStorage(root=str(tmp_path), keep=keep)}
            return dg.materialize([made], partition_key=key, instance=instance, resources=storage).run_id

        yield make


def test_a_table_has_a_past_with_the_run_that_wrote_it(write: Callable[..., str], tmp_path: Path) -> None:
    began = datetime.now(UTC)
    runs = [write(said(name)) for name in ("T cell", "CD8 T cell")]
    newest, first = versions_of(tmp_path, *WHICH)
    assert [first.run, newest.run] == runs
    assert began < first.written < newest.written < datetime.now(UTC)
    assert TableFile(first.path).records(Grouping) == said("T cell")
    assert TableFile(newest.path).records(Grouping) == said("CD8 T cell")
    assert newest.data_version == version_of_records(said("CD8 T cell")).value


def test_what_means_the_same_is_no_new_version_and_what_comes_back_is_one(
    write: Callable[..., str], tmp_path: Path
) -> None:
    for name in ("T cell", "T cell", "NK cell", "T cell"):
        write(said(name))
    names = [TableFile(one.path).records(Grouping)[0].detailed for one in versions_of(tmp_path, *WHICH)]
    assert names == ["T cell", "NK cell", "T cell"]


def test_only_so_many_versions_are_kept_and_the_present_one_is_among_them(
    write: Callable[..., str], tmp_path: Path
) -> None:
    for number in range(5):
        write(said(f"type {number}"), keep=2)
    names = [TableFile(one.path).records(Grouping)[0].detailed for one in versions_of(tmp_path, *WHICH)]
    assert names == ["type 4", "type 3"]


def test_a_clock_that_was_set_back_does_not_turn_the_order_round(write: Callable[..., str], tmp_path: Path) -> None:
    write(said("T cell"))
    (only,) = versions_of(tmp_path, *WHICH)
    only.path.rename(only.path.with_name(only.path.name.replace(only.path.name[:8], "21000101")))
    write(said("NK cell"))
    newest, first = versions_of(tmp_path, *WHICH)
    assert TableFile(newest.path).records(Grouping) == said("NK cell")
    assert first.written.year == newest.written.year == 2100


def test_tables_of_cells_have_a_past_and_markers_have_none(write: Callable[..., str], tmp_path: Path) -> None:
    frame = pd.DataFrame({"cell_id": ["a", "b"], "cluster": ["0", "1"]})
    for asset in ("leiden_clusters", "marker_table"):
        write(frame, asset)
    (version,) = versions_of(tmp_path, "leiden_clusters", "islets", "0.4")
    pd.testing.assert_frame_equal(TableFile(version.path).read(), frame)
    assert "marker_table" not in KEPT
    assert versions_of(tmp_path, "marker_table", "islets", "0.4") == []


def test_what_is_no_version_is_left_alone(write: Callable[..., str], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *WHICH)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    write(said("T cell"), keep=1)
    write(said("NK cell"), keep=1)
    assert len(versions_of(tmp_path, *WHICH)) == 1
    assert (folder / "notes.txt").read_text() == "mine"


def test_the_past_is_written_before_the_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("resources.storage.copy_to", refuse)
    context = dg.build_output_context(
        asset_key="merged", partition_key=dg.MultiPartitionKey({"dataset": "islets", "resolution": "0.4"}), run_id="r"
    )
    path = tmp_path / "merged" / "islets" / "0.4.parquet"
    with pytest.raises(OSError, match="No space left"):
        TableIOManager(tmp_path).dump_to_path(context, said("T cell"), path)  # type: ignore[arg-type]
    assert not path.exists()
