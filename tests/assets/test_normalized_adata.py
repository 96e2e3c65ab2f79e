"""Tests of the asset that reads the user's file: where it cannot be used, a check of its partition says why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import pytest
from dagster import AssetCheckKey

from assets import normalized_adata as module
from assets.normalized_adata import normalized_adata
from assets.raw_adata import observe
from resources.catalog import Catalog, CatalogResource, DatasetEntry
from resources.storage import AdataStorage

if TYPE_CHECKING:
    from anndata import AnnData

CHECK = AssetCheckKey(dg.AssetKey("normalized_adata"), "file_can_be_annotated")


def make_resources(folder: Path, *entries: DatasetEntry) -> dict[str, Any]:
    catalog = Catalog()
    for entry in entries:
        catalog = catalog.with_entry(entry)
    catalog.write(folder / "datasets.yaml")
    return {
        "catalog": CatalogResource(path=str(folder / "datasets.yaml")),
        "adata_storage": AdataStorage(root=str(folder / "artifacts")),
    }


def test_a_file_that_cannot_be_used_fails_the_check_of_its_own_partition(islets_path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5ad"
    broken.write_bytes(islets_path.read_bytes()[:5000])
    paths = {"sound": islets_path, "broken": broken}
    entries = [DatasetEntry(name=name, path=path, tissue="pancreas") for name, path in paths.items()]
    resources = make_resources(tmp_path, *entries)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["sound", "broken"])
        done = {
            name: dg.materialize(
                [normalized_adata],
                partition_key=name,
                instance=instance,
                resources=resources,
                raise_on_error=False,
            ).success
            for name in ("sound", "broken")
        }
        records = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    assert done == {"sound": True, "broken": False}
    said = [record.event.dagster_event.event_specific_data for record in records]
    seen = {one.partition: one for one in said if isinstance(one, dg.AssetCheckEvaluation)}
    assert {name: one.passed for name, one in seen.items()} == done
    assert str(broken) in seen["broken"].metadata["trouble"].value


@pytest.fixture(scope="module")
def few(islets_path: Path) -> AnnData:
    return anndata.read_h5ad(islets_path)[:150].copy()


@pytest.mark.parametrize("when", ["never", "before it is read", "while it is read"])
def test_a_file_that_is_replaced_after_it_was_looked_at_is_refused(
    few: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    path, other = tmp_path / "cells.h5ad", tmp_path / "other.h5ad"
    few.write_h5ad(path)
    few[:140].write_h5ad(other)
    entry = DatasetEntry(name="mine", path=path, tissue="pancreas")
    Catalog().with_entry(entry).write(tmp_path / "datasets.yaml")
    load = module.load_checked

    def load_and_replace(entry: DatasetEntry):
        loaded = load(entry)
        other.replace(path)
        return loaded

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["mine"])
        instance.report_runless_asset_event(observe(entry))
        if when == "before it is read":
            other.replace(path)
        if when == "while it is read":
            monkeypatch.setattr(module, "load_checked", load_and_replace)
        done = dg.materialize(
            [normalized_adata],
            partition_key="mine",
            instance=instance,
            resources={
                "catalog": CatalogResource(path=str(tmp_path / "datasets.yaml")),
                "adata_storage": AdataStorage(root=str(tmp_path / "artifacts")),
            },
            raise_on_error=False,
        )
        (record,) = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=1)
    said = record.event.dagster_event.event_specific_data
    if when == "never":
        assert done.success
        return
    assert not done.success
    assert f"{path} was replaced after raw_adata looked at it" in said.metadata["trouble"].value
    assert "cassia-dagster run --name mine" in said.metadata["trouble"].value
    assert not list((tmp_path / "artifacts").rglob("*.h5ad"))


@pytest.fixture
def rich_path(islets_path: Path, tmp_path: Path) -> Path:
    """The islets with two batches, and with more than the counts: as files of authors are."""
    adata = anndata.read_h5ad(islets_path)
    adata.obs["batch"] = pd.Categorical(np.where(np.arange(adata.n_obs) % 2, "one", "two"))
    adata.layers["spliced"] = adata.X.copy()
    adata.obsm["X_umap"] = np.zeros((adata.n_obs, 2), dtype=np.float32)
    adata.raw = adata.copy()
    adata.write_h5ad(tmp_path / "rich.h5ad")
    return tmp_path / "rich.h5ad"


@pytest.mark.long
def test_streamed_or_in_memory_the_asset_is_the_same(
    rich_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cassia_dagster.singlecell.blocks.CELLS", 300)
    entry = DatasetEntry(name="islets", path=rich_path, tissue="pancreas", batch_key="batch")
    made, files = {}, {}
    for way, free in (("streamed", 1_000_000_000), ("in memory", 1_000_000_000_000)):
        monkeypatch.setattr("assets.normalized_adata.memory_available", lambda free=free: free)
        (tmp_path / way).mkdir()
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("dataset", ["islets"])
            resources = make_resources(tmp_path / way, entry)
            done = dg.materialize([normalized_adata], partition_key="islets", instance=instance, resources=resources)
        (made[way],) = done.asset_materializations_for_node("normalized_adata")
        files[way] = anndata.read_h5ad(tmp_path / way / "artifacts" / "normalized_adata" / "islets.h5ad")
    versions = {way: (one.tags or {})["dagster/data_version"] for way, one in made.items()}
    assert versions["streamed"] == versions["in memory"]
    one, other = files["streamed"], files["in memory"]
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)
    for left, right in ((one.X, other.X), (one.layers["counts"], other.layers["counts"])):
        assert (left != right).nnz == 0
    assert (one.obsp["connectivities"] != other.obsp["connectivities"]).nnz == 0
    said = {way: [str(note) for note in one.metadata["notes"].value] for way, one in made.items()}
    *as_in_memory, left_behind, why = said["streamed"]
    assert as_in_memory == said["in memory"]
    assert left_behind.endswith("stays there: raw, layers/spliced, obsm/X_umap, uns/note, uns/species, uns/tissue.")
    assert why.startswith("Streamed from the file")
    assert one.uns["cassia_input"]["notes"].endswith(left_behind), "the report shows it"
    assert set(other.layers) - {None} == {"counts", "spliced"}
