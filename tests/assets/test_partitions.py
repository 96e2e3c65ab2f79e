"""Tests of what the assets are partitioned by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.partitions import (
    BY_DATASET,
    BY_DATASET_AND_RESOLUTION,
    by_resolution,
    dataset_and_resolution,
    known_resolutions,
)
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home


def test_a_partition_of_both_gives_its_two_keys() -> None:
    key = dg.MultiPartitionKey({"resolution": "0.4", "dataset": "islets-v1.2"})
    assert dataset_and_resolution(dg.build_asset_context(partition_key=key)) == ("islets-v1.2", "0.4")


def test_a_partition_of_one_kind_only_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'islets' is not a partition of a dataset and a resolution"):
        dataset_and_resolution(dg.build_asset_context(partition_key="islets"))


def test_resolutions_stand_in_rising_order_whatever_order_they_came_in() -> None:
    fan_in = {"islets|given": "d", "islets|10.0": "c", "islets|0.4": "a", "islets|2.0": "b"}
    assert list(by_resolution(fan_in).items()) == [("0.4", "a"), ("2.0", "b"), ("10.0", "c"), ("given", "d")]


def test_datasets_come_and_go_while_the_project_runs() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["islets"])
        assert list(BY_DATASET.get_partition_keys(dynamic_partitions_store=instance)) == ["islets"]
        keys = BY_DATASET_AND_RESOLUTION.get_partition_keys(dynamic_partitions_store=instance)
        assert set(keys) == {f"islets|{resolution}" for resolution in ("0.4", "0.8", "1.2")}


def test_the_resolutions_are_those_of_the_projects_catalog(tmp_path: Path) -> None:
    first = DatasetEntry(name="islets", path=Path("x.h5ad"), tissue="pancreas", resolutions=("2", "0.1"))
    second = DatasetEntry(name="blood", path=Path("x.h5ad"), tissue="blood", clusters=("leiden", "cell_type"))
    home = Home(tmp_path)
    Catalog().with_entry(first).with_entry(second).write(home.catalog)
    assert known_resolutions(home) == ["0.1", "0.4", "0.8", "1.2", "2.0", "given", "given-cell_type"]


def test_a_broken_entry_hides_no_resolution_of_the_others(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.catalog.write_text("datasets: [{name: a, path: x, tissue: b, resolutions: [2]}, {name: broken}]")
    assert known_resolutions(home) == ["0.4", "0.8", "1.2", "2.0"]


def test_the_code_location_loads_although_the_catalog_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text("datasets: [")
    script = "from assets.partitions import BY_RESOLUTION; print(*BY_RESOLUTION.get_partition_keys())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"CASSIA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0.4", "0.8", "1.2"]
    assert "datasets.yaml is not valid YAML" in done.stderr
