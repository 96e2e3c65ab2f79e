"""Subclusters as an asset: no cell is lost, parts carry their parent's id, and a stranger among them is flagged."""

from __future__ import annotations

import pandas as pd
import pytest

from cassia_dagster.agents.subclusters import Subcluster, parts_of_now
from cassia_dagster.knowledge.ontology import Relation
from resources.catalog import Catalog


@pytest.fixture
def look_inside(materialize, final_labels):
    return lambda **config: materialize("subclusters", Subcluster, **config)


def cells_written(artifacts):
    entry = Catalog.read(artifacts / "datasets.yaml").entry("islets")
    return pd.read_csv(entry.folder / "leiden_res_0.4" / "islets_subclusters.csv", dtype=str)


def test_every_cell_of_two_clusters_together_is_in_one_part_and_ids_round_trip(
    artifacts, look_inside, islets_labels, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    rows = look_inside(clusters=["0", "2"], together=True)
    inside = islets_labels[islets_labels.isin(["0", "2"])]
    assert {row.parent for row in rows} == {"0+2"}
    assert all(row.cluster.startswith("0+2.") for row in rows)
    assert sum(row.n_cells for row in rows) == len(inside)
    table = cells_written(artifacts)
    assert table["cell_id"].tolist() == islets_labels.index.tolist()
    assert table["cluster"].tolist() == islets_labels.tolist()
    parts = table.loc[table["cluster"].isin(["0", "2"]), "subcluster"]
    assert parts.value_counts().to_dict() == {row.cluster: row.n_cells for row in rows}
    rest = table[~table["cluster"].isin(["0", "2"])]
    assert rest["subcluster"].tolist() == rest["cluster"].tolist()


def test_parts_of_all_parents_stand_in_the_whole_annotation_with_their_parent_and_source(
    artifacts, look_inside, islets_labels, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    look_inside(clusters=["0"])
    rows = look_inside(clusters=["2"])
    table = cells_written(artifacts).set_index("cell_id")
    assert table.index.tolist() == islets_labels.index.tolist()
    for row in rows:
        assert set(row.members) == set(table.index[table["subcluster"] == row.cluster])
        (cell,) = table.loc[list(row.members), ["label", "cl_id", "parent", "source"]].drop_duplicates().to_numpy()
        assert list(cell) == [row.annotation.label, row.check.cl_id, row.parent_label, "subclusters"]
    outside = table[~table["cluster"].isin(["0", "2"])]
    assert set(outside["source"]) == {"clusters"}
    assert outside["parent"].isna().all()
    assert (table["source"] == "subclusters").sum() == islets_labels.isin(["0", "2"]).sum()


def test_no_cell_is_in_two_parts_though_parents_share_it_and_parts_of_other_cells_are_dropped(
    look_inside, islets_labels, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    look_inside(clusters=["0"])
    rows = look_inside(clusters=["0", "2"], together=True)
    assert {row.parent for row in rows} == {"0+2"}
    cells = [cell for row in rows for cell in row.members]
    assert sorted(cells) == sorted(islets_labels.index[islets_labels.isin(["0", "2"])])
    assert parts_of_now(rows, islets_labels) == rows
    moved = islets_labels.copy()
    moved[cells[0]] = "5"
    assert parts_of_now(rows, moved) == []
    assert parts_of_now(rows, islets_labels.drop(cells[0])) == []
    assert parts_of_now(rows, islets_labels, {"2"}) == []


def test_two_types_that_were_joined_come_apart_again(look_inside, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    rows = look_inside(clusters=["0", "2"], together=True)
    labels = {row.annotation.label for row in rows if row.annotation and row.annotation.label}
    assert {"pancreatic D cell", "pancreatic A cell"} <= labels
    assert {row.relation for row in rows} <= {Relation.FINER, Relation.EXACT, None}


def test_parts_of_other_parents_are_kept_and_those_of_the_same_are_replaced(look_inside, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    look_inside(clusters=["0"])
    rows = look_inside(clusters=["2"])
    assert {row.parent for row in rows} == {"0", "2"}
    again = look_inside(clusters=["2"], inner_resolution=1.5)
    assert {row.parent for row in again} == {"0", "2"}
    assert len([row for row in again if row.parent == "2"]) >= len([row for row in rows if row.parent == "2"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"clusters": ["99"]}, "no cluster '99'"),
        ({"clusters": ["0"], "together": True}, "at least two clusters"),
        ({"clusters": ["11"]}, "Cluster 11 has 8 cells; at least 30 are needed"),
    ],
)
def test_what_cannot_be_looked_into_says_why(look_inside, config, message):
    with pytest.raises(RuntimeError, match=message):
        look_inside(**config)
