"""Tests of artifacts on a real S3 server: whole or not there, checked, and downloaded once."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.records import Grouping
from resources import artifact_files, places
from resources.artifact_files import on_disk, putting
from resources.home import Home
from resources.places import artifact_root
from resources.storage import AdataIOManager, AdataStorage, TableIOManager, TableStorage, stored_cells, stored_table
from resources.versions_kept import versions_of

PAIR = dg.MultiPartitionKey({"dataset": "blood", "resolution": "0.4"})
PAIRS = dg.MultiPartitionsDefinition(
    {
        "dataset": dg.StaticPartitionsDefinition(["blood"]),
        "resolution": dg.StaticPartitionsDefinition(["0.4"]),
    }
)
CELLS = anndata.AnnData(
    X=sparse.csr_matrix(np.eye(3, dtype=np.float32)),
    obs=pd.DataFrame(index=["a", "b", "c"]),
    var=pd.DataFrame(index=["INS", "GCG", "SST"]),
    obsm={"X_pca": np.ones((3, 2), dtype=np.float32)},
)
ROWS = [Grouping(cluster="0", broad="leukocyte", intermediate="T cell", detailed="CD8 T cell")]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.setenv("CASSIA_HOME", str(tmp_path))
    return Home.from_environment()


def write(place: places.Place, text: bytes) -> None:
    with putting(place) as temporary:
        temporary.write_bytes(text)


def test_assets_hand_cells_and_tables_on_through_a_bucket_as_through_a_folder(bucket: str, home: Home) -> None:
    @dg.asset(partitions_def=PAIRS, io_manager_key="adata_storage", dagster_type=dg.Any)
    def cells() -> Any:
        return CELLS

    @dg.asset(partitions_def=PAIRS, io_manager_key="table_storage", dagster_type=dg.Any)
    def merged(cells: Any) -> Any:
        np.testing.assert_array_equal(cells.open().X.toarray(), CELLS.X.toarray())
        np.testing.assert_array_equal(cells.read("obsm/X_pca").obsm["X_pca"], CELLS.obsm["X_pca"])
        with cells.expression() as values:
            assert list(values.var_names) == ["INS", "GCG", "SST"]
        return ROWS

    storages = {"adata_storage": AdataStorage(root=bucket), "table_storage": TableStorage(root=bucket)}
    assert dg.materialize([cells, merged], partition_key=PAIR, resources=storages).success
    root = artifact_root(bucket)
    assert stored_table(root, "merged", "blood", "0.4").records(Grouping) == ROWS
    assert list(stored_table(root, "merged", "blood", "0.4").read(["broad"])["broad"]) == ["leukocyte"]
    (version,) = versions_of(root, "merged", "blood", "0.4")
    assert version.path.exists()
    downloads = [path for path in home.downloads.iterdir() if not path.name.startswith(".")]
    assert len(downloads) == 2, "what is read several times is downloaded once: the cells, and the table"


def test_what_is_replaced_is_downloaded_anew_and_what_is_not_is_not(bucket: str) -> None:
    place = artifact_root(bucket) / "normalized_adata" / "blood.h5ad"
    write(place, b"first")
    first = on_disk(place)
    assert on_disk(place) == first
    write(place, b"second")
    assert on_disk(place).read_bytes() == b"second"


def test_an_artifact_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"blood\.parquet does not exist"):
        TableIOManager(artifact_root(bucket)).load_from_path(
            dg.build_input_context(),
            artifact_root(bucket) / "blood.parquet",  # type: ignore[arg-type]
        )


def test_what_cannot_be_written_leaves_the_old_object(bucket: str) -> None:
    place = artifact_root(bucket) / "blood.h5ad"
    manager = AdataIOManager(artifact_root(bucket))  # type: ignore[arg-type]
    manager.dump_to_path(dg.build_output_context(), CELLS, place)  # type: ignore[arg-type]
    unwritable = CELLS.copy()
    unwritable.uns["not for a file"] = object()
    with pytest.raises(Exception, match="not for a file"):
        manager.dump_to_path(dg.build_output_context(), unwritable, place)  # type: ignore[arg-type]
    assert [path.name for path in artifact_root(bucket).iterdir()] == ["blood.h5ad"]
    np.testing.assert_array_equal(anndata.read_h5ad(on_disk(place)).X.toarray(), CELLS.X.toarray())


def test_an_object_that_is_not_what_was_written_is_refused(bucket: str) -> None:
    place = artifact_root(bucket) / "blood.h5ad"
    write(place, b"right")
    said = place.fs.metadata(place.path)
    place.fs.pipe_file(place.path, b"wrong", Metadata=said)
    with pytest.raises(OSError, match="another checksum than when it was written"):
        on_disk(place)
    assert not [path for path in Home.from_environment().downloads.iterdir() if path.name.endswith(".h5ad")]


def test_what_others_put_back_meanwhile_is_no_damage(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = artifact_root(bucket) / "blood.h5ad"
    write(place, b"right")
    others = itertools.cycle([{"sha256": "one"}, {"sha256": "another"}])
    monkeypatch.setattr(place.fs, "metadata", lambda _: next(others))
    with pytest.raises(OSError, match="was replaced 5 times while it was read"):
        on_disk(place)


@pytest.mark.parametrize("where", ["bucket", "folder"])
def test_readers_see_one_of_two_writers_and_never_a_mixture(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = (
        artifact_root(request.getfixturevalue("bucket") if where == "bucket" else str(tmp_path / "made")) / "blood.h5ad"
    )
    texts = [letter * 300_000 for letter in (b"a", b"b")]
    write(place, texts[0])
    seen, troubles = set(), []

    def repeat(what: Callable[[], Any]) -> None:
        try:
            for _ in range(15):
                what()
        except Exception as error:  # noqa: BLE001 - told by the test's thread
            troubles.append(error)

    threads = [threading.Thread(target=repeat, args=(lambda text=text: write(place, text),)) for text in texts]
    threads.append(threading.Thread(target=repeat, args=(lambda: seen.add(on_disk(place).read_bytes()),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not [trouble for trouble in troubles if "times while it was read" not in str(trouble)]
    assert seen <= set(texts)


def test_a_flipped_bit_of_a_table_is_an_error_and_no_other_number(tmp_path: Path) -> None:
    path = tmp_path / "0.4.parquet"
    frame = pd.DataFrame({"x": np.arange(1000, dtype=np.float64)})
    TableIOManager(artifact_root(str(tmp_path))).dump_to_path(dg.build_output_context(), frame, path)  # type: ignore[arg-type]
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"CRC|checksum"):
        stored_table(tmp_path.parent, tmp_path.name, "", "0.4").read()


def test_downloads_make_room_for_the_next_one_but_stay_while_somebody_may_open_them(
    bucket: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_files, "MOST_BYTES", 10)
    root = artifact_root(bucket)
    for name in ("one", "two"):
        write(root / f"{name}.h5ad", b"12345678")
    first = on_disk(root / "one.h5ad")
    on_disk(root / "two.h5ad")
    assert first.exists(), "it was asked for within the hour"
    for minutes, stays in ((80, True), (100, False)):  # a mark is renewed by half hours
        os.utime(first, (0, time.time() - minutes * 60))
        name = f"{minutes}.h5ad"
        write(root / name, b"12345678")
        on_disk(root / name)
        assert first.exists() is stays


@pytest.mark.parametrize(("minutes", "is_renewed"), [(10, False), (40, True)])
def test_a_download_that_is_asked_for_is_marked_now_and_then(bucket: str, *, minutes: int, is_renewed: bool) -> None:
    place = artifact_root(bucket) / "blood.h5ad"
    write(place, b"cells")
    near = on_disk(place)
    marked = time.time() - minutes * 60
    os.utime(near, (0, marked))
    assert on_disk(place) == near
    assert (near.stat().st_mtime - marked > 60) is is_renewed


def test_a_download_that_another_process_removes_as_it_is_asked_for_comes_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = artifact_root(bucket) / "blood.h5ad"
    write(place, b"cells")
    near = on_disk(place)
    os.utime(near, (0, 0))

    def removed_meanwhile(path: Path) -> None:
        path.unlink()
        raise FileNotFoundError(path)

    monkeypatch.setattr(artifact_files.os, "utime", removed_meanwhile)
    assert on_disk(place).read_bytes() == b"cells"


def test_a_home_keeps_its_artifacts_where_the_environment_says(
    bucket: str, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    monkeypatch.setenv("CASSIA_ARTIFACTS", f"{bucket}/atlas")
    place = stored_cells(home.artifacts, "blood").path
    assert str(place) == f"{bucket}/atlas/normalized_adata/blood.h5ad"


def test_a_client_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigurationError, match="--extra gs"):
        artifact_root("gs://bucket/atlas")
