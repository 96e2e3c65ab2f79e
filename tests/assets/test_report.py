"""What a user takes home is of one piece: tables that do not fit are refused, and nothing is half-written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest

from assets import report
from cassia_dagster.definitions import build_defs
from cassia_dagster.errors import InputError
from cassia_dagster.records import AnnotatedCluster, Annotation, BoostedCluster, Record
from resources.record_tables import to_arrow
from resources.storage import AdataFile, stored_table

if TYPE_CHECKING:
    from anndata import AnnData

    from tests.conftest import Demo

OF_ONE, OF_ALL = "report", "annotated_adata"
JOBS = {
    OF_ONE: ("refresh_report", dg.MultiPartitionKey({"dataset": "demo", "resolution": "0.4"})),
    OF_ALL: ("write_annotated_file", "demo"),
}


@contextmanager
def kept(path: Path) -> Iterator[Path]:
    """Give a file back its content."""
    before = path.read_bytes()
    yield path
    path.write_bytes(before)


@contextmanager
def renamed[R: Record](demo: Demo, asset: str, record: type[R]) -> Iterator[None]:
    """Let one cluster have another label in the table of an asset, as if it alone were made anew."""
    table = stored_table(demo.home.artifacts, asset, "demo", "0.4")
    first, *others = table.records(record)
    other = first.model_copy(update={"annotation": Annotation(general_celltype="T cell")})
    with kept(Path(table.path)) as path:
        pq.write_table(to_arrow([other, *others]), path)
        yield


def failure(demo: Demo, asset: str) -> str:
    """Make an asset anew of what the demo has made; gives why that failed, or nothing."""
    job, key = JOBS[asset]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["demo"])
        whole = build_defs(demo.home).resolve_job_def(job)
        result = whole.execute_in_process(
            asset_selection=[dg.AssetKey(asset)], partition_key=key, instance=instance, raise_on_error=False
        )
    return "".join(event.step_failure_data.user_failure_data.description for event in result.get_step_failure_events())


def written(demo: Demo) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in demo.output.rglob("*") if path.is_file()}


@pytest.mark.parametrize("asset", [OF_ONE, OF_ALL])
def test_annotations_that_were_made_anew_alone_are_not_shown_with_labels_of_before(demo: Demo, asset: str) -> None:
    before = written(demo)
    with renamed(demo, "annotations", AnnotatedCluster):
        found = failure(demo, asset)
    assert "'demo', resolution 0.4: The score of cluster 0 is of an earlier annotation" in found
    assert written(demo) == before


@pytest.mark.parametrize("asset", [OF_ONE, OF_ALL])
def test_groupings_of_earlier_labels_are_not_shown_with_those_of_now(demo: Demo, asset: str) -> None:
    with renamed(demo, "reviewed", BoostedCluster):
        assert "The grouping of cluster 0 is of an earlier label" in failure(demo, asset)


@pytest.mark.parametrize("asset", [OF_ONE, OF_ALL])
def test_a_map_of_other_cells_is_refused_before_anything_is_written(demo: Demo, asset: str) -> None:
    before = written(demo)
    with kept(Path(str(demo.home.artifacts)) / "umap" / "demo.parquet") as path:
        table = pd.read_parquet(path)
        table.assign(cell_id=["of another run", *table["cell_id"][1:]]).to_parquet(path)
        assert "umap is of other cells than those of now" in failure(demo, asset)
    assert written(demo) == before


def test_a_matrix_of_other_cells_than_the_clusters_is_told(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    read = AdataFile.read

    def without_the_first(handle: AdataFile, *parts: str) -> AnnData:
        return read(handle, *parts)[1:].copy()

    monkeypatch.setattr(AdataFile, "read", without_the_first)
    assert "normalized_adata is of other cells than those of now" in failure(demo, OF_ONE)


def test_a_resolution_without_clusters_is_not_left_out_of_the_annotated_file(demo: Demo) -> None:
    with kept(Path(str(demo.home.artifacts)) / "leiden_clusters" / "demo" / "0.8.parquet") as path:
        path.unlink()
        assert "nothing was made of 0.8. Materialize that first" in failure(demo, OF_ALL)


def test_a_page_that_cannot_be_drawn_leaves_the_tables_of_before(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise InputError("It cannot be drawn.")

    monkeypatch.setattr(report, "render_report", refuse)
    before = written(demo)
    assert failure(demo, OF_ONE) == "It cannot be drawn."
    assert written(demo) == before
