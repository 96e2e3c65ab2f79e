"""Tests of the asset that reads the user's file: where it cannot be used, a check of its partition says why."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from dagster import AssetCheckKey

from assets.normalized_adata import normalized_adata
from resources.catalog import Catalog, CatalogResource, DatasetEntry
from resources.storage import AdataStorage

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
