"""Tests of the asset that reads the user's file: where it cannot be used, a check of its partition says why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import dagster as dg
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


def test_a_file_that_cannot_be_used_fails_the_check_of_its_own_partition(islets_path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5ad"
    broken.write_bytes(islets_path.read_bytes()[:5000])
    catalog = Catalog()
    for name, path in (("sound", islets_path), ("broken", broken)):
        catalog = catalog.with_entry(DatasetEntry(name=name, path=path, tissue="pancreas"))
    catalog.write(tmp_path / "datasets.yaml")
    resources = {
        "catalog": CatalogResource(path=str(tmp_path / "datasets.yaml")),
        "adata_storage": AdataStorage(root=str(tmp_path / "artifacts")),
    }
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
