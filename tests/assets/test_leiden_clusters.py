"""Tests of the asset of clusters where they are given: nothing is computed, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.leiden_clusters import LeidenConfig, leiden_clusters
from cassia_dagster.singlecell.cluster import digest_clusters
from resources.catalog import Catalog, CatalogResource, DatasetEntry
from resources.storage import AdataFile

CELLS = [f"cell{number}" for number in range(6)]


@pytest.fixture
def cells(tmp_path: Path) -> AdataFile:
    """A file of cells without a graph, so that Leiden could not run on it."""
    mine = pd.Categorical(["10", "2", "10", "2", "10", "10"], categories=["2", "3", "10"])
    obs = pd.DataFrame({"mine": mine, "gaps": ["a", None, "a", "b", "b", "a"], "other": [True] * 6}, index=CELLS)
    anndata.AnnData(np.ones((6, 1), dtype="float32"), obs=obs).write_h5ad(tmp_path / "cells.h5ad")
    return AdataFile(tmp_path / "cells.h5ad")


def made(cells: AdataFile, key: str, *columns: str) -> dg.MaterializeResult:
    entry = DatasetEntry(name="islets", path=cells.path, tissue="pancreas", clusters=columns)
    catalog = cells.path.with_name("datasets.yaml")
    Catalog().with_entry(entry).write(catalog)
    pair = dg.MultiPartitionKey({"dataset": "islets", "resolution": key})
    with dg.build_asset_context(partition_key=pair) as context:
        result = leiden_clusters(context, LeidenConfig(), CatalogResource(path=str(catalog)), normalized_adata=cells)
    assert isinstance(result, dg.MaterializeResult)
    return result


def test_given_clusters_are_those_of_the_column(cells: AdataFile) -> None:
    result = made(cells, "given", "mine")
    assert result.value.to_dict("list") == {"cell_id": CELLS, "cluster": ["10", "2", "10", "2", "10", "10"]}
    assert result.metadata["given_by"] == dg.MetadataValue.text("mine")
    assert (result.metadata["clusters"], result.metadata["smallest_cluster"]) == (2, 2)
    assert "modularity" not in result.metadata


def test_each_column_has_a_key_of_its_own(cells: AdataFile) -> None:
    result = made(cells, "given-other", "mine", "other")
    assert set(result.value["cluster"]) == {"True"}


def test_cells_without_a_cluster_fail_the_step_in_plain_words(cells: AdataFile) -> None:
    with pytest.raises(dg.Failure) as failed:
        made(cells, "given", "gaps")
    assert "'gaps' says nothing of 1 of 6 cells" in str(failed.value.description)


def test_a_key_that_stands_for_no_column_is_refused_with_those_that_do(cells: AdataFile) -> None:
    with pytest.raises(dg.Failure) as failed:
        made(cells, "given-lost", "mine")
    assert "'given-lost'; it brings: given (column mine)" in str(failed.value.description)


def test_a_cluster_without_cells_is_told_by_its_markers(tmp_path: Path) -> None:
    def digests(text: str) -> dict[str, str]:
        (tmp_path / "lists.csv").write_text(text)
        entry = DatasetEntry(name="lists", path=tmp_path / "lists.csv", tissue="blood", kind="markers")
        Catalog().with_entry(entry).write(tmp_path / "datasets.yaml")
        pair = dg.MultiPartitionKey({"dataset": "lists", "resolution": "given"})
        nothing = AdataFile(tmp_path / "none.h5ad")
        with dg.build_asset_context(partition_key=pair) as context:
            catalog = CatalogResource(path=str(tmp_path / "datasets.yaml"))
            result = leiden_clusters(context, LeidenConfig(), catalog, normalized_adata=nothing)
        assert isinstance(result, dg.MaterializeResult)
        assert set(result.value["cell_id"]) == {""}
        return digest_clusters(result.value)

    before = digests('cluster,markers\nB,"MS4A1,CD79A,CD19"\nT,"CD3D,CD3E,IL7R"\n')
    after = digests('cluster,markers\nB,"MS4A1,CD79A,CD19"\nT,"CD3D,CD3E,CD8A"\n')
    assert before["B"] != before["T"]
    assert before["B"] == after["B"]
    assert before["T"] != after["T"]
