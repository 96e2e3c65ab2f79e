"""Tests of the nouns: what they refuse, and what they derive."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cassia_dagster.records import (
    MOST_GENES,
    Annotation,
    EvidenceCheck,
    Finding,
    Hypothesis,
    Marker,
    NearbyCluster,
    Record,
    Rubric,
    ScoredCluster,
    Unresolved,
    Verdict,
    natural_order,
)


def test_clusters_sort_as_a_person_would_sort_them() -> None:
    assert natural_order(["10", "T cells", "2", "0", "B cells", "1.5", "02"]) == [
        "0",
        "02",
        "2",
        "10",
        "1.5",
        "B cells",
        "T cells",
    ]


@pytest.mark.parametrize("ids", [[], ["²", "3", "٣", "-1"]])
def test_any_text_is_a_cluster_id_that_can_be_sorted(ids: list[str]) -> None:
    assert sorted(natural_order(ids)) == sorted(ids)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        NearbyCluster(cluster="0", similarity=0.5).cluster = "1"  # type: ignore[misc]


def test_a_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Annotation.model_validate({"general_celltype": "T cell", "celltype": "T cell"})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Marker(gene="INS", avg_log2FC=number, pct_1=1, pct_2=0, p_val_adj=0, score=1)


@pytest.mark.parametrize(("score", "accepted"), [(0, True), (85.5, True), (100, True), (-1, False), (850, False)])
def test_a_score_is_between_0_and_100(score: float, accepted: bool) -> None:  # noqa: FBT001
    row = {"cluster": "0", "status": "ok", "score": score, "rubric": None}
    if accepted:
        assert ScoredCluster.model_validate(row).score == score
    else:
        with pytest.raises(ValidationError):
            ScoredCluster.model_validate(row)


@pytest.mark.parametrize("rating", [-1, 11, 7.5])
def test_a_rating_is_a_whole_number_between_0_and_10(rating: float) -> None:
    with pytest.raises(ValidationError):
        Rubric.model_validate({"identity": rating, "specificity": 5, "balance": 5, "alternatives": 5})


def test_an_annotation_has_three_subtypes_at_most_and_commas_do_not_split_them() -> None:
    subtypes = ("CD8-positive, alpha-beta T cell", "memory T cell", "T cell")
    assert Annotation(general_celltype="lymphocyte", subtypes=subtypes).subtypes == subtypes
    with pytest.raises(ValidationError, match="at most 3"):
        Annotation(general_celltype="lymphocyte", subtypes=(*subtypes, "NK cell"))
    with pytest.raises(ValidationError, match="valid tuple"):
        Annotation.model_validate({"general_celltype": "lymphocyte", "subtypes": "CD8"})


GENES = tuple(f"GENE{number}" for number in range(MOST_GENES + 1))


@pytest.mark.parametrize(
    ("record", "too_much"),
    [
        (Annotation, {"general_celltype": "T cell", "supporting_genes": GENES}),
        (Annotation, {"general_celltype": "T cell", "contradicting_genes": GENES}),
        (Annotation, {"general_celltype": "T cell", "mixed_celltypes": GENES}),
        (Annotation, {"general_celltype": "T cell", "rationale": "because " * 1000}),
        (Annotation, {"general_celltype": "T cell", "cell_state": "cycling " * 100}),
        (Verdict, {"accepted": False, "reasons": "because " * 1000}),
        (Hypothesis, {"celltype": "T cell", "genes": GENES}),
        (Hypothesis, {"celltype": "T cell", "genes": ()}),
    ],
)
def test_what_a_model_says_is_bounded(record: type[Record], too_much: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"at (most|least)"):
        record.model_validate(too_much)


def test_the_label_is_the_most_detailed_name() -> None:
    assert Annotation(general_celltype="T cell", subtypes=("CD8 T cell", "CD4 T cell")).label == "CD8 T cell"
    assert Annotation(general_celltype="T cell").label == "T cell"
    assert Annotation(general_celltype=None, unresolved=Unresolved.NO_MARKERS).label is None


@pytest.mark.parametrize(("findings", "passed"), [((), True), ((Finding.GENE_ABSENT,), False)])
def test_a_check_passes_when_nothing_was_found(findings: tuple[Finding, ...], passed: bool) -> None:  # noqa: FBT001
    check = EvidenceCheck(
        cl_id=None,
        cl_label=None,
        support=0,
        cited_genes_up=(),
        cited_genes_absent=(),
        candidates=(),
        findings=findings,
    )
    assert check.passed is passed
