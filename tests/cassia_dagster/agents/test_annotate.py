import pytest
from pydantic import ValidationError

from cassia_dagster.agents.annotate import (
    MAX_LOOKUPS,
    MAX_ROUNDS,
    AnnotateStep,
    annotate_cluster,
    refuse_silence,
)
from cassia_dagster.agents.shown import N_MARKERS
from cassia_dagster.errors import ModelError
from cassia_dagster.llm.errors import Refused, Rejected
from cassia_dagster.records import Annotation, Expression, Finding, Status, Strategy, Unresolved, Verdict

YES = Verdict(accepted=True, reasons="fine")
NO = Verdict(accepted=False, reasons="INS is unexplained")


def test_an_accepted_label_takes_one_round(scripted, beta_cells, named):
    door, backend = scripted(annotate=[named("type B pancreatic cell", "epithelial cell", "INS")], validate=[YES])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    assert row.status is Status.OK
    assert row.annotation.label == "type B pancreatic cell"
    assert row.check.cl_id == "CL:0000169"
    assert row.rounds == (YES,)
    assert [exchange.role for exchange in row.history] == ["annotate", "validate"]
    assert len(backend.asked) == 2


def test_the_annotator_learns_why_it_was_sent_back(scripted, beta_cells, named):
    first, second = named("T cell", "lymphocyte"), named("type B pancreatic cell", "epithelial cell")
    door, backend = scripted(annotate=[first, second], validate=[NO, YES])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    assert row.annotation == second
    assert row.rounds == (NO, YES)
    (attempt,) = backend.asked[2].earlier
    assert (attempt.annotation, attempt.reasons) == (first, "INS is unexplained")


def test_rounds_are_bounded_and_the_last_answer_stands(scripted, beta_cells, named):
    last = named("acinar cell", "epithelial cell")
    answers = [named("T cell", "lymphocyte")] * (MAX_ROUNDS - 1) + [last]
    door, backend = scripted(annotate=answers, validate=[NO] * MAX_ROUNDS)
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    assert len(backend.asked) == 2 * MAX_ROUNDS
    assert row.annotation == last
    assert [verdict.accepted for verdict in row.rounds] == [False] * MAX_ROUNDS


def test_a_cluster_without_markers_keeps_its_row_and_asks_nobody(scripted, evidence_of):
    door, backend = scripted()
    row = annotate_cluster(evidence_of("7", ""), door, door, "islets/0.4/7")
    assert (row.cluster, row.status) == ("7", Status.UNRESOLVED)
    assert row.annotation.unresolved is Unresolved.NO_MARKERS
    assert backend.asked == []


def test_a_refused_question_is_a_row_with_a_reason(scripted, beta_cells):
    door, _ = scripted(annotate=[Refused("the model declined")])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    assert (row.status, row.annotation) == (Status.REFUSED, None)
    assert "declined" in row.status_reason


def test_a_label_survives_the_failure_of_its_validation(scripted, beta_cells, named):
    answer = named("type B pancreatic cell", "epithelial cell")
    door, _ = scripted(annotate=[answer], validate=[Refused("the model declined")])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    assert row.status is Status.REFUSED
    assert row.annotation == answer
    assert [exchange.role for exchange in row.history] == ["annotate"]


def test_what_dooms_all_clusters_is_no_row(scripted, beta_cells):
    door, _ = scripted(annotate=[ModelError("the key is wrong")])
    with pytest.raises(ModelError, match="key"):
        annotate_cluster(beta_cells, door, door, "islets/0.4/0")


def test_an_answer_without_a_name_is_unresolved(scripted, beta_cells):
    nothing = Annotation(general_celltype=None, unresolved=Unresolved.WEAK_SUPPORT)
    door, _ = scripted(annotate=[nothing], validate=[YES])
    assert annotate_cluster(beta_cells, door, door, "islets/0.4/0").status is Status.UNRESOLVED


def test_an_invented_gene_is_found_by_code(scripted, beta_cells, named):
    answer = named("type B pancreatic cell", "epithelial cell", "INS", "NOTAGENE")
    door, backend = scripted(annotate=[answer], validate=[YES])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    assert row.check.cited_genes_absent == ("NOTAGENE",)
    assert Finding.GENE_ABSENT in row.check.findings
    assert backend.asked[1].check == row.check


def test_a_model_sees_the_best_markers_only(scripted, evidence_of, named):
    many = evidence_of("0", " ".join(f"GENE{number}" for number in range(120)))
    door, backend = scripted(annotate=[named("acinar cell", "epithelial cell")], validate=[YES])
    row = annotate_cluster(many, door, door, "islets/0.4/0")
    assert len(backend.asked[0].evidence.markers) == N_MARKERS
    assert len(row.evidence.markers) == 120


def test_one_shot_asks_no_validator(scripted, beta_cells, named):
    door, backend = scripted(annotate=[named("T cell", "lymphocyte")])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0", Strategy.ONE_SHOT)
    assert (row.annotation.label, row.rounds, row.strategy) == ("T cell", (), Strategy.ONE_SHOT)
    assert Finding.LINEAGE_CONTRADICTION in row.check.findings
    assert len(backend.asked) == 1


def test_the_fused_annotator_has_genes_looked_up_before_it_answers(scripted, beta_cells, named):
    answer = named("type B pancreatic cell", "epithelial cell", "INS")
    steps = [AnnotateStep(genes=("INS", "GCG")), AnnotateStep(genes=("SST", "INS")), AnnotateStep(annotation=answer)]
    door, backend = scripted(annotate=steps)
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0", Strategy.FUSED)
    assert (row.annotation, row.status) == (answer, Status.OK)
    assert [(one.gene, one.expression) for one in row.lookups] == [
        ("INS", Expression.UP),
        ("GCG", Expression.NOT_LISTED),
        ("SST", Expression.NOT_LISTED),
    ]
    assert [len(request.lookups) for request in backend.asked] == [0, 2, 3]
    assert len(row.history) == 3


def test_the_fused_annotator_asks_a_bounded_number_of_times(scripted, beta_cells, named):
    answer = named("type B pancreatic cell", "epithelial cell", "INS")
    door, backend = scripted(annotate=[AnnotateStep(genes=("INS",))] * MAX_LOOKUPS + [answer])
    row = annotate_cluster(beta_cells, door, door, "islets/0.4/0", Strategy.FUSED)
    assert row.annotation == answer
    assert [request.rounds_left for request in backend.asked] == [5, 4, 3, 2, 1, 0]


def test_a_step_is_either_genes_or_an_annotation(named):
    with pytest.raises(ValidationError, match="either"):
        AnnotateStep()
    with pytest.raises(ValidationError, match="either"):
        AnnotateStep(genes=("INS",), annotation=named("T cell", "lymphocyte"))


def test_silence_on_all_clusters_is_an_error_and_on_some_it_is_not(scripted, beta_cells, named):
    door, _ = scripted(annotate=[Rejected("Too long."), named("B cell", "lymphocyte")], validate=[YES])
    silent = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    heard = annotate_cluster(beta_cells, door, door, "islets/0.4/1")
    with pytest.raises(ModelError, match=r"None of the 2 clusters got an answer\. Too long\."):
        refuse_silence([silent, silent])
    refuse_silence([silent, heard])
