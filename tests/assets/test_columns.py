"""The columns that the user interface explains are those that the artifacts have."""

import pyarrow.parquet as pq
import pytest

from assets.columns import column_schema

TABLES = ("leiden_clusters", "marker_table", "annotations", "scores", "boosted", "reviewed", "merged")


def explained(asset):
    return [column.name for column in column_schema(asset)["dagster/column_schema"].columns]


@pytest.mark.parametrize("asset", TABLES)
def test_every_column_is_explained_in_its_order(demo, asset):
    path = demo.home.artifacts / asset / "demo" / "0.4.parquet"
    of_marker_tables = {("leiden_clusters", "markers")}
    said = [column for column in explained(asset) if (asset, column) not in of_marker_tables]
    assert said == pq.read_schema(path).names


def test_the_map_is_explained_too(demo):
    assert explained("umap") == pq.read_schema(demo.home.artifacts / "umap" / "demo.parquet").names


def test_what_is_no_table_has_no_columns():
    assert column_schema("report") == {}
