import pytest
from pydantic import ValidationError

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.score import WEIGHTS, ScoreReply, score_cluster, total
from cassia_dagster.llm.errors import Refused
from cassia_dagster.records import Rubric, Status, Verdict

GOOD = ScoreReply(rubric=Rubric(identity=9, specificity=8, balance=7, alternatives=6), reasoning="INS leads")


@pytest.fixture
def annotated(scripted, beta_cells, named):
    door, _ = scripted(
        annotate=[named("type B pancreatic cell", "epithelial cell", "INS")],
        validate=[Verdict(accepted=True, reasons="fine")],
    )
    return annotate_cluster(beta_cells, door, door, "islets/0.4/0")


def test_full_ratings_make_one_hundred_and_none_make_nothing():
    parts = dict.fromkeys(WEIGHTS, 10)
    assert total(Rubric(**parts)) == 100
    assert total(Rubric(**dict.fromkeys(WEIGHTS, 0))) == 0


def test_the_total_is_ours_to_compute(scripted, beta_cells, annotated):
    door, _ = scripted(score=[GOOD])
    row = score_cluster(beta_cells, annotated, door, "islets/0.4/0")
    assert row.score == 4 * 9 + 2 * 8 + 2 * 7 + 2 * 6
    assert row.reasoning == "INS leads"


@pytest.mark.parametrize("rating", [-1, 11, 850])
def test_a_rating_out_of_bounds_is_not_accepted(rating):
    with pytest.raises(ValidationError):
        Rubric(identity=rating, specificity=5, balance=5, alternatives=5)


def test_a_failed_scoring_is_a_missing_score_with_a_reason(scripted, beta_cells, annotated):
    door, _ = scripted(score=[Refused("the model declined")])
    row = score_cluster(beta_cells, annotated, door, "islets/0.4/0")
    assert (row.score, row.status) == (None, Status.REFUSED)
    assert "declined" in row.status_reason


def test_a_cluster_without_a_label_is_not_scored_but_kept(scripted, evidence_of):
    door, backend = scripted()
    unnamed = annotate_cluster(evidence_of("7", ""), door, door, "islets/0.4/7")
    row = score_cluster(unnamed.evidence, unnamed, door, "islets/0.4/7")
    assert (row.cluster, row.score, row.status) == ("7", None, Status.UNRESOLVED)
    assert backend.asked == []


def test_the_scorer_sees_the_validators_word(scripted, beta_cells, annotated):
    door, backend = scripted(score=[GOOD])
    score_cluster(beta_cells, annotated, door, "islets/0.4/0")
    assert backend.asked[0].verdicts == annotated.rounds
