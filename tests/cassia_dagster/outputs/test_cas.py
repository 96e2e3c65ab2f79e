"""The annotations as Cell Annotation Schema JSON, checked against the public schema."""

import json
from pathlib import Path

import jsonschema
import pytest

from cassia_dagster.outputs.cas import LONGEST_RATIONALE, cell_annotations, write_cas
from cassia_dagster.records import ManualOutcome, ManualReview

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "CAP_schema.json").read_text(encoding="utf-8"))


def refused(document):
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document)]


@pytest.fixture
def document(blood):
    return cell_annotations([blood, blood.model_copy(update={"resolution": "0.8"})])


def test_it_follows_the_public_schema(document):
    assert refused(document) == []


def test_the_schema_would_refuse_what_is_missing(document):
    del document["labelsets"][0]["name"]
    document["annotations"][0]["rationale"] = "x" * (LONGEST_RATIONALE + 1)
    assert len(refused(document)) == 2


def test_each_resolution_is_a_labelset_named_as_its_column(document):
    assert [one["name"] for one in document["labelsets"]] == ["CASSIA_annotation_res_0.4", "CASSIA_annotation_res_0.8"]
    assert {one["labelset"] for one in document["annotations"]} == {one["name"] for one in document["labelsets"]}
    assert document["labelsets"][0]["annotation_method"] == "algorithmic"


def test_every_cluster_is_in_one_annotation_of_its_resolution(document):
    of_first = [one for one in document["annotations"] if one["labelset"] == "CASSIA_annotation_res_0.4"]
    listed = [cluster for one in of_first for cluster in one["author_annotation_fields"]["cassia_clusters"].split(", ")]
    assert sorted(listed) == sorted(["0", "2", "10", "3", "T?"])
    assert len({one["cell_label"] for one in of_first}) == len(of_first)


def test_a_label_comes_with_its_term_reason_and_genes(document):
    (b_cell,) = [one for one in document["annotations"] if one["cell_label"] == "B cell"][:1]
    assert b_cell["cell_ontology_term_id"] == "CL:0000236"
    assert b_cell["rationale"] == "Cluster 2: MS4A1 is found in this cell type only."
    assert b_cell["marker_gene_evidence"] == ["CD79A", "CD79B", "MS4A1"]


def test_a_label_of_a_person_is_told_as_such(blood):
    review = ManualReview(
        outcome=ManualOutcome.CONFIRMED, label="B cell", cl_id=None, who="ana", why="by eye", date="2026-11-26"
    )
    first = blood.clusters[1].model_copy(
        update={"boosted": blood.clusters[1].boosted.model_copy(update={"review": review})}
    )
    others = [row for row in blood.clusters if row.cluster != first.cluster]
    document = cell_annotations([blood.model_copy(update={"clusters": (first, *others)})])
    assert refused(document) == []
    assert document["labelsets"][0]["annotation_method"] == "both"
    told = [one["author_annotation_fields"]["cassia_reviewed_by"] for one in document["annotations"]]
    assert max(told) == "ana"


def test_the_file_is_the_document(blood, tmp_path):
    path = tmp_path / "blood.json"
    write_cas([blood], path)
    assert json.loads(path.read_text(encoding="utf-8")) == cell_annotations([blood])


def test_the_demos_file_follows_the_schema(demo):
    document = json.loads((demo.output / "demo" / "demo_cell_annotations.json").read_text(encoding="utf-8"))
    assert refused(document) == []
    assert len(document["labelsets"]) == 2
