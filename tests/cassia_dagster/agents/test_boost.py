import pytest

from cassia_dagster.agents.boost import BoostReply, boost_cluster, keep_as_is, needs_boost
from cassia_dagster.agents.score import ScoreReply
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.errors import Refused
from cassia_dagster.records import AnnotatedCluster, BoostOutcome, Rubric, ScoredCluster, Status


def rated(number):
    rubric = Rubric(identity=number, specificity=number, balance=number, alternatives=number)
    return ScoreReply(rubric=rubric, reasoning=f"rated {number}")


def row_of(evidence, annotation, score):
    annotated = AnnotatedCluster(
        cluster=evidence.cluster,
        evidence=evidence,
        status=Status.OK,
        annotation=annotation,
        check=check_annotation(annotation, evidence),
    )
    scored = ScoredCluster(cluster=evidence.cluster, status=Status.OK, score=score, rubric=None)
    return annotated, scored


@pytest.fixture
def right(named):
    return named("type B pancreatic cell", "epithelial cell", "INS")


@pytest.fixture
def wrong(named):
    return named("T cell", "lymphocyte", "INS")


def test_low_and_missing_scores_and_serious_findings_call_for_a_second_look(beta_cells, right, wrong):
    assert not needs_boost(*row_of(beta_cells, right, 75.0))
    assert needs_boost(*row_of(beta_cells, right, 74.9))
    assert needs_boost(*row_of(beta_cells, right, None))
    assert needs_boost(*row_of(beta_cells, wrong, 95.0))


def test_a_better_label_replaces_the_first(scripted, beta_cells, right, wrong):
    door, backend = scripted(boost=[BoostReply(annotation=right, explanation="INS")], score=[rated(9)])
    row = boost_cluster(beta_cells, *row_of(beta_cells, wrong, 30.0), (), door, door, "islets/0.4/0")
    assert row.outcome is BoostOutcome.CHANGED
    assert (row.annotation, row.score) == (right, 90.0)
    assert row.check.cl_id == "CL:0000169"
    assert [exchange.role for exchange in row.history] == ["boost", "score"]
    assert backend.asked[0].evidence == beta_cells


def test_a_change_that_lowers_the_score_is_not_accepted(scripted, beta_cells, right, named):
    other = named("pancreatic A cell", "epithelial cell", "INS")
    door, _ = scripted(boost=[BoostReply(annotation=other, explanation="GCG")], score=[rated(3)])
    row = boost_cluster(beta_cells, *row_of(beta_cells, right, 60.0), (), door, door, "islets/0.4/0")
    assert row.outcome is BoostOutcome.CONFIRMED
    assert (row.annotation, row.score) == (right, 60.0)
    assert "GCG" in row.explanation


def test_a_change_against_the_evidence_is_not_accepted_however_well_it_scores(scripted, beta_cells, right, wrong):
    door, _ = scripted(boost=[BoostReply(annotation=wrong, explanation="sure")], score=[rated(10)])
    row = boost_cluster(beta_cells, *row_of(beta_cells, right, 60.0), (), door, door, "islets/0.4/0")
    assert row.annotation == right


def test_the_same_label_again_is_a_confirmation_without_another_scoring(scripted, beta_cells, right):
    door, backend = scripted(boost=[BoostReply(annotation=right, explanation="still INS")])
    row = boost_cluster(beta_cells, *row_of(beta_cells, right, 60.0), (), door, door, "islets/0.4/0")
    assert row.outcome is BoostOutcome.CONFIRMED
    assert len(backend.asked) == 1


def test_a_failed_boost_leaves_the_label_as_it_was(scripted, beta_cells, right):
    door, _ = scripted(boost=[Refused("the model declined")])
    row = boost_cluster(beta_cells, *row_of(beta_cells, right, 60.0), (), door, door, "islets/0.4/0")
    assert (row.outcome, row.status, row.annotation) == (BoostOutcome.FAILED, Status.OK, right)
    assert "declined" in row.explanation


def test_a_label_that_needs_no_second_look_is_carried_over(beta_cells, right):
    annotated, scored = row_of(beta_cells, right, 90.0)
    row = keep_as_is(annotated, scored)
    assert (row.outcome, row.annotation, row.score) == (BoostOutcome.NOT_NEEDED, right, 90.0)
