"""A person's word laid over the models', as long as the evidence is what the person saw."""

import datetime as dt

import pytest
from pydantic import ValidationError

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.manual import ManualLabel, apply_manual_labels, evidence_digest, gone
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    ClusterEvidence,
    Finding,
    ManualOutcome,
    Marker,
    Rubric,
    Status,
)

ALPHA, BETA = "CL:0000171", "CL:0000169"


def annotated(*genes, cells="abc"):
    markers = tuple(Marker(gene=gene, avg_log2FC=3.0, pct_1=0.9, pct_2=0.1, score=9.0) for gene in genes)
    evidence = ClusterEvidence(cluster="3", n_cells=9, share=0.1, markers=markers, species="human", tissue="pancreas")
    return AnnotatedCluster(cluster="3", cells=cells, evidence=evidence, status=Status.OK, annotation=None, check=None)


SEEN = annotated("INS", "IAPP", "MAFA", "G6PC2")
MODELS = BoostedCluster(
    cluster="3",
    status=Status.OK,
    outcome=BoostOutcome.NOT_NEEDED,
    annotation=Annotation(general_celltype="endocrine cell", subtypes=("type B pancreatic cell",)),
    check=None,
    score=60,
    rubric=Rubric(identity=6, specificity=6, balance=6, alternatives=6),
)


def said(**fields):
    usual = {
        "dataset": "islets",
        "resolution": 0.4,
        "cluster": 3,
        "label": "alpha cells",
        "who": "ana",
        "why": "seen by eye",
        "date": dt.date(2026, 11, 26),
        "evidence": evidence_digest(SEEN),
    }
    return ManualLabel.model_validate(usual | fields)


def applied(label, seen=SEEN, models=MODELS):
    (row,) = apply_manual_labels([models], [seen], [label])
    return row


def test_a_persons_label_takes_the_place_of_the_models():
    row = applied(said())
    assert row.annotation.label == "alpha cells"
    assert row.check.cl_id == ALPHA
    assert (row.score, row.rubric) == (None, None)
    assert row.review.outcome is ManualOutcome.LABELLED
    assert (row.review.who, row.review.why, row.review.date) == ("ana", "seen by eye", "2026-11-26")


def test_a_persons_label_is_checked_against_the_data_too():
    row = applied(said(label="T cell"))
    assert Finding.LINEAGE_CONTRADICTION in row.check.findings


def test_words_of_ones_own_go_with_a_term():
    row = applied(said(label="my odd cells", cl_id=BETA))
    assert (row.annotation.label, row.check.cl_id) == ("my odd cells", BETA)
    assert Finding.LABEL_UNMAPPED not in row.check.findings


def test_a_label_that_is_meant_to_be_no_term_is_none():
    row = applied(said(label="SPP1 high tumour cells", cl_id="unknown"))
    assert row.check.cl_id is None
    assert row.annotation.label == "SPP1 high tumour cells"


def test_what_the_models_said_too_is_confirmed_and_keeps_its_score():
    row = applied(said(label="type B pancreatic cell"))
    assert row.review.outcome is ManualOutcome.CONFIRMED
    assert row.model_copy(update={"review": None}) == MODELS


def test_the_same_words_for_another_term_are_a_label_of_the_persons():
    checked = MODELS.model_copy(update={"check": applied(said(label="beta cells", cl_id=BETA)).check})
    row = applied(said(label="type B pancreatic cell", cl_id=ALPHA), models=checked)
    assert (row.review.outcome, row.check.cl_id) == (ManualOutcome.LABELLED, ALPHA)
    none = applied(said(label="type B pancreatic cell", cl_id="unknown"), models=checked)
    assert (none.review.outcome, none.check.cl_id) == (ManualOutcome.LABELLED, None)


def test_the_same_term_in_other_words_is_confirmed_in_the_words_of_the_person():
    checked = MODELS.model_copy(update={"check": applied(said(label="beta cells", cl_id=BETA)).check})
    row = applied(said(label="my beta cells", cl_id=BETA), models=checked)
    assert row.review.outcome is ManualOutcome.CONFIRMED
    assert row.annotation.label == "my beta cells"
    assert row.score == MODELS.score


@pytest.mark.parametrize(
    "now", [annotated("INS", "IAPP", "MAFA", "G6PC2", cells="other"), annotated("GCG", "IAPP", "MAFA", "G6PC2")]
)
def test_a_label_for_other_cells_or_markers_is_stale_and_not_applied(now):
    row = applied(said(), now)
    assert row.review.outcome is ManualOutcome.STALE
    assert row.annotation == MODELS.annotation


def test_the_order_of_markers_is_no_other_evidence():
    assert evidence_digest(annotated("G6PC2", "MAFA", "IAPP", "INS")) == evidence_digest(SEEN)


def test_where_no_cell_is_known_a_label_is_held_to_the_best_markers_and_not_to_every_number():
    def of_table(*genes, cells):
        row = annotated(*genes, cells=cells)
        return row.model_copy(update={"evidence": row.evidence.model_copy(update={"n_cells": None, "share": None})})

    seen = of_table("INS", "IAPP", cells="one digest of all numbers")
    assert evidence_digest(of_table("INS", "IAPP", cells="another")) == evidence_digest(seen)
    assert evidence_digest(of_table("GCG", "IAPP", cells="another")) != evidence_digest(seen)
    assert evidence_digest(seen) != evidence_digest(annotated("INS", "IAPP"))


def test_a_label_without_evidence_is_not_applied():
    assert applied(said(evidence="")).review.outcome is ManualOutcome.STALE


def test_a_failed_cluster_can_be_labelled():
    failed = MODELS.model_copy(update={"status": Status.FAILED, "status_reason": "no reply", "annotation": None})
    row = applied(said(), models=failed)
    assert (row.status, row.status_reason) == (Status.OK, "")


def test_a_label_that_names_no_one_term_is_an_error_with_the_way_out():
    with pytest.raises(InputError, match=r"'blorbocyte'.*names no one term.*cl_id unknown"):
        applied(said(label="blorbocyte"))


@pytest.mark.parametrize(
    ("fields", "trouble"),
    [
        ({"cl_id": "CL:9999999"}, "'CL:9999999' is no term of the Cell Ontology"),
        ({"label": None}, "say a label, a cl_id, or both"),
        ({"label": "", "cl_id": "unknown"}, "say a label, a cl_id, or both"),
        ({"why": ""}, "Field required"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(fields, trouble):
    with pytest.raises(ValidationError, match=trouble):
        said(**fields)


def test_clusters_that_are_gone_are_told():
    assert gone([said(), said(cluster="77")], [SEEN]) == ("77",)
