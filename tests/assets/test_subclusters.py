"""Subclusters as an asset: no cell is lost, parts carry their parent's id, and a stranger among them is flagged."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.score import ScoreReply
from cassia_dagster.agents.subclusters import Subcluster, markers_of_part, parts_of_now
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, Annotation, BoostedCluster, Rubric, Verdict
from cassia_dagster.singlecell.cluster import digest_cells, leiden
from cassia_dagster.singlecell.embed import embed
from cassia_dagster.singlecell.load import load_counts
from cassia_dagster.singlecell.markers import as_markers
from cassia_dagster.singlecell.normalize import normalize
from cassia_dagster.singlecell.profile import gather_evidence
from cassia_dagster.singlecell.subset import recluster
from resources.catalog import Catalog
from resources.record_tables import to_arrow
from resources.storage import stored_table


@pytest.fixture(scope="module", autouse=True)
def cut_once():
    """Let the cells of a parent be clustered once: others look at the same parent, and find the same parts there."""
    found = {}

    def recluster_once(values, labels, parents, **how):
        key = (*digest_cells(labels).items(), *parents, *how.items())
        if key not in found:
            found[key] = recluster(values, labels, parents, **how)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.parts.recluster", recluster_once)
        yield


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
    assert {(row.parent, row.parents) for row in rows} == {("0+2", ("0", "2"))}
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


@pytest.mark.long
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
    assert parts_of_now(rows, islets_labels.rename({cells[0]: "another cell"})) == []
    assert parts_of_now(rows, islets_labels, {"2"}) == []


def test_all_clusters_of_a_cell_type_are_one_compartment(look_inside, monkeypatch, tmp_path, artifacts, final_labels):
    monkeypatch.chdir(tmp_path)
    words = stored_table(artifacts, "reviewed", "islets", "0.4").records(BoostedCluster)
    endocrine = tuple(
        row.cluster
        for row in words
        if row.check and "CL:0000164" in load_ontology().ancestors(row.check.cl_id or "CL:0000000")
    )
    assert len(endocrine) > 1
    for label in ("enteroendocrine cell", "cl:0000164"):
        rows = look_inside(labels=[label])
        assert {row.parents for row in rows} == {endocrine}


def test_two_types_that_were_joined_come_apart_again(look_inside, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    rows = look_inside(clusters=["0", "2"], together=True)
    labels = {row.annotation.label for row in rows if row.annotation and row.annotation.label}
    assert {"pancreatic D cell", "pancreatic A cell"} <= labels
    assert {row.relation for row in rows} <= {Relation.FINER, Relation.EXACT, None}


@pytest.mark.long
def test_parts_of_other_parents_are_kept_and_those_of_the_same_are_replaced(look_inside, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    look_inside(clusters=["0"])
    rows = look_inside(clusters=["2"])
    assert {row.parent for row in rows} == {"0", "2"}
    again = look_inside(clusters=["2"], inner_resolution=1.5)
    assert {row.parent for row in again} == {"0", "2"}
    assert len([row for row in again if row.parent == "2"]) >= len([row for row in rows if row.parent == "2"])


def test_parts_of_a_cluster_that_had_the_id_before_give_way_to_those_that_bear_it_now(
    artifacts, look_inside, islets_labels, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    before = [
        row.model_copy(update={"parent": "0", "cluster": row.cluster.replace("2.", "0.")})
        for row in look_inside(clusters=["2"])
    ]
    pq.write_table(to_arrow(before), stored_table(artifacts, "subclusters", "islets", "0.4").path)
    rows = look_inside(clusters=["0"])
    cells = [cell for row in rows for cell in row.members]
    assert sorted(cells) == sorted(islets_labels.index[islets_labels == "0"])


def test_over_the_wire_a_model_is_told_of_the_parent_and_a_stranger_is_flagged(
    execute, artifacts, final_labels, aimock, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    sure = ScoreReply(rubric=Rubric(identity=10, specificity=10, balance=10, alternatives=10), reasoning="clear")
    stranger = Annotation(general_celltype="T cell", subtypes=("T cell",))
    for asked, reply in (
        ("Which cell type is this cluster?", stranger),
        ("Does the annotation hold?", Verdict(accepted=True, reasons="it does")),
        ("Rate this label.", sure),
    ):
        aimock.play({"match": {"userMessage": asked}, "response": {"content": reply.model_dump_json()}})
    model = {"model": "openai/gpt-4o-mini", "api_base": f"{aimock.url}/v1", "api_key_env": "TEST_API_KEY"}
    cast = dict.fromkeys(("annotation_llm", "validation_llm", "score_llm"), model)
    done = execute("subclusters", clusters=["2"], **cast)
    rows = stored_table(artifacts, "subclusters", "islets", "0.4").records(Subcluster)
    assert {(row.annotation.label, row.within_parent) for row in rows} == {("T cell", False)}
    assert len(aimock.requests()) == 3 * len(rows)
    first = json.dumps(aimock.requests()[0]["body"])
    assert "a part of a cluster that was named pancreatic A cell" in first
    said = done.asset_materializations_for_node("subclusters")[0].metadata
    assert said["expected_calls"].value == said["calls"].value == 3 * len(rows)
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed
    again = execute("subclusters", clusters=["2"], **cast)
    assert again.asset_materializations_for_node("subclusters")[0].metadata["calls"].value == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"clusters": ["99"]}, "no cluster '99'"),
        ({"clusters": ["0"], "together": True}, "at least two clusters"),
        ({"clusters": ["11"]}, "Cluster 11 has 8 cells; at least 30 are needed"),
        ({"labels": ["hepatocyte"]}, "No cluster is called 'hepatocyte', or a kind of it"),
        ({"clusters": ["2"], "labels": ["enteroendocrine cell"]}, "Cluster 2 is in two of what is to be looked into"),
        ({"together": True}, "at least two clusters"),
    ],
)
def test_what_cannot_be_looked_into_says_why(look_inside, config, message):
    with pytest.raises(RuntimeError, match=message):
        look_inside(**config)


def test_without_a_name_those_are_looked_into_that_ask_for_it_and_it_is_said_why(
    execute, artifacts, final_labels, islets_labels, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    words = stored_table(artifacts, "reviewed", "islets", "0.4").records(BoostedCluster)
    of = {row.cluster: row for row in words}
    doubtful = of["2"].model_copy(update={"score": 74.6})
    pq.write_table(
        to_arrow([doubtful if row.cluster == "2" else row.model_copy(update={"score": 90.0}) for row in words]),
        artifacts / "reviewed" / "islets" / "0.4.parquet",
    )
    # At a finer resolution half of cluster 0 has the name of cluster 2.
    cut = islets_labels.copy()
    inside = cut.index[cut == "0"]
    cut[inside[: len(inside) // 2]] = "2"
    annotated = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)
    of_now = [row.model_copy(update={"cells": digest_cells(cut)[row.cluster]}) for row in annotated]
    why, stale = {}, {}
    for told, named in ((why, of_now), (stale, annotated)):  # the latter are names of an earlier cut, of the same ids
        tables = {
            "leiden_clusters": pa.Table.from_pandas(cut.rename("cluster").rename_axis("cell_id").reset_index()),
            "annotations": to_arrow(named),
            "reviewed": to_arrow(words),
        }
        for asset, table in tables.items():
            pq.write_table(table, artifacts / asset / "islets" / "0.8.parquet")
        try:
            done = execute("subclusters")
        finally:
            for asset in tables:
                (artifacts / asset / "islets" / "0.8.parquet").unlink()
        told.update(done.asset_materializations_for_node("subclusters")[0].metadata["looked_into"].value)
    assert stale == {cluster: reason for cluster, reason in why.items() if cluster != "0"}
    assert why["2"] == "scored 74.6"
    names = {of[cluster].check.cl_label for cluster in ("0", "2")}
    assert set(why["0"].removesuffix(" at 0.8").split(" and ")) == names
    assert "3" not in why


@pytest.mark.long
def test_the_t_and_nk_cells_of_blood_come_apart_without_losing_a_cell(evaluation_data, tmp_path):
    cells = embed(normalize(load_counts(evaluation_data / "pbmc3k" / "pbmc3k.h5ad")))
    clusters = leiden(cells, 0.4).labels
    gold = cells.obs["cell_type"].astype(str)
    lymphoid = {"Naive CD4 T": "CD4", "Memory CD4 T": "CD4", "CD8 T": "CD8 or NK", "NK": "CD8 or NK"}
    majority = gold.groupby(clusters).agg(lambda labels: labels.mode()[0])
    compartment = [cluster for cluster in majority.index if majority[cluster] in lymphoid]
    inside = recluster(cells, clusters, compartment)
    assert sorted(inside.labels.index) == sorted(clusters.index[clusters.isin(compartment)])
    kinds = gold.reindex(inside.labels.index).map(lymphoid).fillna("other")
    of_part = kinds.groupby(inside.labels).agg(lambda labels: labels.mode()[0])
    assert set(of_part) == {"CD4", "CD8 or NK"}
    assert (kinds == inside.labels.map(of_part)).mean() > 0.9

    refined = clusters.where(~clusters.isin(compartment), inside.labels.reindex(clusters.index))
    siblings = dict(iter(inside.against_siblings.groupby("cluster", observed=True)))
    named = {}
    with Store.open(tmp_path / "models.sqlite") as store:
        door = Door(EmbeddedBackend(), store)
        for one in gather_evidence(cells, refined, inside.against_all, species="human", tissue="blood"):
            if one.cluster in siblings:
                markers = markers_of_part(as_markers(siblings[one.cluster], 100), one.markers)
                row = annotate_cluster(one.model_copy(update={"markers": markers}), door, door, "x")
                named[of_part[one.cluster]] = row.check.cl_id
    # Of CD4 there is little messenger RNA in such cells: marker knowledge stops at the T cell, and says nothing wrong.
    assert load_ontology().relation(named["CD4"], "CL:0000624") in {Relation.EXACT, Relation.COARSER}
    assert {"CL:0000625", "CL:0000623"} & load_ontology().ancestors(named["CD8 or NK"])
