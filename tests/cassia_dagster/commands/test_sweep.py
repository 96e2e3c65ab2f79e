"""The command `sweep`: which resolutions of a dataset are stable."""

from __future__ import annotations

import dagster as dg
import pytest
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.errors import ConfigurationError, InputError
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home


def swept(home: Home, *words: str) -> str:
    done = CliRunner().invoke(app, ["sweep", *words, "--home", str(home.root)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_sweep_says_the_same_of_a_resolution_as_the_metadata_of_its_clusters(demo) -> None:
    key = dg.MultiPartitionKey({"dataset": "demo", "resolution": "0.4"})
    with dg.DagsterInstance.from_config(str(demo.home.dagster)) as instance:
        records = instance.get_event_records(
            dg.EventRecordsFilter(
                dg.DagsterEventType.ASSET_MATERIALIZATION, dg.AssetKey("leiden_clusters"), asset_partitions=[key]
            )
        )
    metadata = records[0].asset_materialization.metadata
    said = swept(demo.home, "demo", "--resolution", "2", "--resolution", "0.40")
    rows = [line.split() for line in said.splitlines() if line.strip().startswith(("0.4 ", "2.0 "))]
    assert [row[0] for row in rows] == ["0.4", "2.0"]
    assert rows[0][3:] == [f"{metadata['stability'].value:.2f}", "stable"]
    assert int(rows[0][1]) < int(rows[1][1])
    assert "those of igraph" in said
    assert f"{metadata['engine'].value} finds those of a run" in said


def test_cells_that_were_not_prepared_and_names_that_nobody_knows_are_told(tmp_path) -> None:
    home = Home(tmp_path)
    Catalog().with_entry(DatasetEntry(name="later", path=tmp_path / "later.h5ad", tissue="blood")).write(home.catalog)
    with pytest.raises(InputError, match="later were not prepared yet"):
        swept(home, "later")
    with pytest.raises(ConfigurationError, match="no dataset 'other'; it has: later"):
        swept(home, "other")
    with pytest.raises(ConfigurationError, match="'-1' is not a number above 0"):
        swept(home, "later", "--resolution", "-1")
