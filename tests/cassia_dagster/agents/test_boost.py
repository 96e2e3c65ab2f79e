import pytest
from pydantic import ValidationError

from cassia_dagster.agents.boost import (
    NO_RIVAL_YET,
    BoostPlan,
    BoostStep,
    BoostStrategy,
    Conclusion,
    boost_cluster,
    keep_as_is,
    needs_boost,
)
from cassia_dagster.agents.score import ScoreReply
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.errors import Refused
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostOutcome,
    Expression,
    Finding,
    Hypothesis,
    Rubric,
    ScoredCluster,
    Status,
)


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


def asks(*tests):
    """Test types by genes: ``asks("T cell: CD3D CD3E")``."""
    pairs = (test.split(": ") for test in tests)
    return BoostStep(hypotheses=tuple(Hypothesis(celltype=name, genes=tuple(genes.split())) for name, genes in pairs))


def concludes(annotation, explanation="INS decides", **said):
    return BoostStep(conclusion=Conclusion(annotation=annotation, explanation=explanation, **said))


RIVALS = asks("pancreatic A cell: GCG INS", "T cell: CD3D")


@pytest.fixture
def right(named):
    return named("type B pancreatic cell", "epithelial cell", "INS")


@pytest.fixture
def wrong(named):
    return named("T cell", "lymphocyte", "INS")


@pytest.fixture
def boosted(scripted, beta_cells):
    """Look again at the beta cells' label, with these replies; gives the row and what was asked."""

    def look(annotation, score, boost, scores=(), **said):
        door, backend = scripted(boost=list(boost), score=list(scores))
        row = boost_cluster(*row_of(beta_cells, annotation, score), door, door, "islets/0.4/0", **said)
        return row, backend.asked

    return look


def test_low_and_missing_scores_and_serious_findings_call_for_a_second_look(beta_cells, right, wrong):
    assert not needs_boost(*row_of(beta_cells, right, 75.0))
    assert needs_boost(*row_of(beta_cells, right, 74.9))
    assert needs_boost(*row_of(beta_cells, right, None))
    assert needs_boost(*row_of(beta_cells, wrong, 95.0))


def test_genes_are_looked_up_between_hypotheses_and_conclusion(boosted, beta_cells, right, wrong):
    row, asked = boosted(wrong, 30.0, [RIVALS, concludes(right)], [rated(9)])
    (tested,) = row.rounds
    assert tested.hypotheses == RIVALS.hypotheses
    assert {one.gene: one.expression for one in tested.lookups} == {
        "GCG": Expression.NOT_LISTED,
        "INS": Expression.UP,
        "CD3D": Expression.NOT_LISTED,
    }
    assert (asked[0].evidence, asked[0].rounds) == (beta_cells, ())
    assert asked[1].rounds == row.rounds
    assert (asked[0].rounds_left, asked[1].rounds_left) == (3, 2)


def test_a_better_label_replaces_the_first(boosted, right, wrong):
    row, _ = boosted(wrong, 30.0, [RIVALS, concludes(right)], [rated(9)])
    assert row.outcome is BoostOutcome.CHANGED
    assert (row.annotation, row.score) == (right, 90.0)
    assert row.check.cl_id == "CL:0000169"
    assert row.supporting_genes == ("INS",)
    assert [exchange.role for exchange in row.history] == ["boost", "boost", "score"]


def test_in_breadth_all_hypotheses_of_a_round_are_tested_at_once(boosted, right):
    row, asked = boosted(right, 60.0, [RIVALS, asks("pancreatic D cell: SST"), concludes(right)])
    assert [len(each.hypotheses) for each in row.rounds] == [2, 1]
    assert asked[2].rounds == row.rounds


def test_in_depth_one_hypothesis_is_tested_a_round(boosted, right):
    plan = BoostPlan(strategy=BoostStrategy.DEPTH)
    row, asked = boosted(right, 60.0, [RIVALS, asks("T cell: CD3D"), concludes(right)], plan=plan)
    assert [[one.celltype for one in each.hypotheses] for each in row.rounds] == [["pancreatic A cell"], ["T cell"]]
    assert [one.gene for one in row.rounds[0].lookups] == ["GCG", "INS"]
    assert asked[0].strategy is BoostStrategy.DEPTH


def test_after_the_last_round_only_a_conclusion_is_asked_for(boosted, right):
    steps = [RIVALS, asks("T cell: CD3E"), Conclusion(annotation=right, explanation="enough")]
    row, asked = boosted(right, 60.0, steps, plan=BoostPlan(max_rounds=2))
    assert [request.rounds_left for request in asked] == [2, 1, 0]
    assert (row.outcome, row.explanation) == (BoostOutcome.CONFIRMED, "enough")


def test_a_gene_is_answered_once(boosted, right):
    row, _ = boosted(right, 60.0, [RIVALS, asks("T cell: CD3D CD3E"), concludes(right)])
    assert [[one.gene for one in each.lookups] for each in row.rounds] == [["GCG", "INS", "CD3D"], ["CD3E"]]


@pytest.mark.parametrize("alone", ["type B pancreatic cell: INS", "pancreatic beta cell: INS"])
def test_a_label_is_not_concluded_on_before_a_rival_was_tested(boosted, right, alone):
    steps = [asks(alone), concludes(right), RIVALS, Conclusion(annotation=right, explanation="INS")]
    row, asked = boosted(right, 60.0, steps)
    assert [request.objection for request in asked] == ["", NO_RIVAL_YET, NO_RIVAL_YET, ""]
    assert row.outcome is BoostOutcome.CONFIRMED


def test_a_booster_that_names_no_rival_changes_nothing(boosted, right, wrong):
    row, asked = boosted(right, 60.0, [concludes(wrong)] * 3)
    assert (row.outcome, row.annotation, row.status) == (BoostOutcome.FAILED, right, Status.OK)
    assert len(asked) == len(row.history) == 3


def test_a_change_that_lowers_the_score_is_not_accepted(boosted, right, named):
    other = named("pancreatic A cell", "epithelial cell", "INS")
    row, _ = boosted(right, 60.0, [RIVALS, concludes(other, "GCG")], [rated(3)])
    assert row.outcome is BoostOutcome.CONFIRMED
    assert (row.annotation, row.score) == (right, 60.0)
    assert "pancreatic A cell" in row.explanation
    assert "GCG" in row.explanation


def test_a_change_against_the_evidence_is_not_accepted_however_well_it_scores(boosted, right, wrong):
    row, _ = boosted(right, 60.0, [RIVALS, concludes(wrong)], [rated(10)])
    assert row.annotation == right


def test_the_same_type_in_other_words_is_a_confirmation_without_another_scoring(boosted, right, named):
    again = named("pancreatic beta cell", "epithelial cell", "INS", "IAPP")
    row, asked = boosted(right, 60.0, [RIVALS, concludes(again)])
    assert (row.outcome, row.annotation) == (BoostOutcome.CONFIRMED, right)
    assert row.supporting_genes == ("INS", "IAPP")
    assert len(asked) == 2


def test_a_gene_that_was_found_up_may_be_cited(boosted, wrong, named):
    cited = named("type B pancreatic cell", "epithelial cell", "INS", "SLC2A2")

    def up(genes):
        from tests.cassia_dagster.agents.test_embedded import found

        return tuple(found(gene, Expression.UP) for gene in genes)

    steps = [asks("type B pancreatic cell: SLC2A2"), concludes(cited)]
    row, asked = boosted(wrong, 30.0, steps, [rated(9)], look_up=up)
    assert row.outcome is BoostOutcome.CHANGED
    assert Finding.GENE_ABSENT not in row.check.findings
    assert [one.gene for one in asked[2].lookups] == ["SLC2A2"]


def test_the_extra_question_and_its_answer_are_kept(boosted, right):
    plan = BoostPlan(additional_task="Is this malignant?")
    row, asked = boosted(right, 60.0, [RIVALS, concludes(right, additional_answer="No sign of it.")], plan=plan)
    assert (row.additional_task, row.additional_answer) == ("Is this malignant?", "No sign of it.")
    assert asked[0].additional_task == "Is this malignant?"


def test_a_failed_boost_leaves_the_label_as_it_was_and_keeps_what_was_said(boosted, right):
    row, _ = boosted(right, 60.0, [RIVALS, Refused("the model declined")])
    assert (row.outcome, row.status, row.annotation) == (BoostOutcome.FAILED, Status.OK, right)
    assert "declined" in row.explanation
    assert (len(row.rounds), len(row.history)) == (1, 1)


def test_an_unresolved_cluster_that_stays_so_is_confirmed(boosted):
    nothing = Annotation(general_celltype=None, unresolved="weak_support")
    row, asked = boosted(nothing, None, [RIVALS, concludes(nothing)])
    assert row.outcome is BoostOutcome.CONFIRMED
    assert len(asked) == 2


def test_a_label_that_needs_no_second_look_is_carried_over(beta_cells, right):
    annotated, scored = row_of(beta_cells, right, 90.0)
    row = keep_as_is(annotated, scored)
    assert (row.outcome, row.annotation, row.score) == (BoostOutcome.NOT_NEEDED, right, 90.0)


@pytest.mark.parametrize("step", [{}, {"hypotheses": RIVALS.hypotheses, "conclusion": "both"}])
def test_a_step_is_either_hypotheses_or_a_conclusion(step, right):
    if step:
        step["conclusion"] = Conclusion(annotation=right, explanation="both")
    with pytest.raises(ValidationError, match="either"):
        BoostStep(**step)


@pytest.mark.parametrize("rounds", [0, 5])
def test_rounds_are_bounded(rounds):
    with pytest.raises(ValueError, match="between 1 and 4"):
        BoostPlan(max_rounds=rounds)


def test_a_change_that_nobody_could_judge_is_a_failure_with_its_reason(boosted, right, wrong):
    row, _ = boosted(wrong, 30.0, [RIVALS, concludes(right)], [Refused("no more budget")])
    assert row.outcome is BoostOutcome.FAILED
    assert row.annotation == wrong
    assert "could not be judged: no more budget" in row.explanation
