import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.uncertainty import RepeatPlan, Voice, measure_uncertainty
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.errors import BudgetExhausted, Refused
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.records import Status, Strategy

EVERY_RUN = RepeatPlan(stop_when_decided=False)


@pytest.fixture
def alpha(named):
    return named("pancreatic A cell", "epithelial cell", "PCSK1")


@pytest.fixture
def beta(named):
    return named("type B pancreatic cell", "epithelial cell", "INS")


@pytest.fixture
def embedded(store):
    return Door(EmbeddedBackend(), store)


@pytest.fixture
def row(embedded, beta_cells):
    """The beta cells, named by the embedded model, at once."""
    return annotate_cluster(beta_cells, embedded, embedded, "islets/0.4/0", Strategy.ONE_SHOT)


@pytest.fixture
def measured(scripted, row):
    """Name the beta cells again with these answers; gives the row and what was asked."""

    def measure(*answers, plan=None):
        door, backend = scripted(annotate=list(answers))
        voice = Voice("scripted", door, door)
        return measure_uncertainty(row, [voice], "islets/0.4/0", plan=plan), backend.asked

    return measure


def test_identical_replies_are_full_consistency(measured, beta):
    found, asked = measured(*[beta] * 5, plan=EVERY_RUN)
    assert (found.consistency, found.consensus.modal_share, found.consensus.entropy) == (100.0, 1.0, 0.0)
    assert (found.consensus.label, found.relation) == ("type B pancreatic cell", Relation.EXACT)
    assert len(asked) == len(found.runs) == 5


def test_planted_disagreement_is_the_planted_share(measured, alpha, beta):
    found, _ = measured(beta, alpha, beta, alpha, beta)
    assert found.consensus.modal_share == 0.6
    assert (found.consensus.label, found.consensus.support) == ("type B pancreatic cell", 3)
    assert 0 < found.consistency < 100
    assert [run.label for run in found.runs] == [said.label for said in (beta, alpha, beta, alpha, beta)]


def test_no_run_is_made_that_could_change_nothing(measured, beta):
    found, asked = measured(beta, beta, beta)
    assert (len(asked), found.planned, found.decided) == (3, 5, True)


def test_a_failed_run_has_no_vote_and_says_why(measured, beta):
    found, _ = measured(beta, Refused("no"), beta, beta)
    assert [run.status for run in found.runs] == [Status.OK, Status.REFUSED, Status.OK, Status.OK]
    assert (found.status, found.consensus.votes, found.runs[1].status_reason) == (Status.OK, 3, "no")


def test_a_cluster_whose_runs_all_failed_is_a_row_with_the_reason(measured):
    found, _ = measured(*[Refused("no")] * 5)
    assert (found.status, found.status_reason) == (Status.REFUSED, "no")
    assert (found.consistency, found.consensus, found.relation) == (None, None, None)


def test_a_spent_budget_ends_the_runs_and_keeps_what_was_said(measured, beta):
    found, asked = measured(beta, BudgetExhausted("spent"))
    assert (found.status, len(asked), found.decided) == (Status.BUDGET_EXHAUSTED, 2, False)
    assert found.consensus.modal_label == "type B pancreatic cell"
    assert found.consensus.label is None, "one vote is too few for a consensus of five"


def test_rules_are_deterministic_and_measure_no_uncertainty(row, embedded):
    voice = Voice("embedded", embedded, embedded)
    found = measure_uncertainty(row, [voice], "islets/0.4/0", plan=EVERY_RUN)
    assert {run.label for run in found.runs} == {row.annotation.label}
    assert (len(found.runs), found.deterministic, found.consistency) == (5, True, None)


def test_a_run_that_rules_stood_in_for_says_so(row, scripted, embedded, store):
    silent, _ = scripted(annotate=[Refused("no")] * 5)
    door = Door(silent._backends[0], store, [EmbeddedBackend()])
    found = measure_uncertainty(row, [Voice("scripted", door, door)], "x", plan=RepeatPlan(runs=2))
    assert ([run.deterministic for run in found.runs], found.consistency) == ([True, True], None)


def test_a_cluster_without_markers_is_not_asked_about(embedded, evidence_of):
    nothing = annotate_cluster(evidence_of("7", ""), embedded, embedded, "x")
    found = measure_uncertainty(nothing, [Voice("embedded", embedded, embedded)], "x")
    assert (found.status, found.runs, found.deterministic) == (Status.UNRESOLVED, (), False)


def test_the_first_run_is_the_annotation_itself(row, embedded, store):
    before = store.totals().calls
    voice = Voice("embedded", embedded, embedded)
    measure_uncertainty(row, [voice], "islets/0.4/0", plan=RepeatPlan(runs=2))
    assert store.totals().calls == before + 1


def test_voices_take_turns_and_each_counts_its_own_repetitions(row, scripted, alpha, beta):
    doors = [scripted(annotate=[beta] * 3)[0], scripted(annotate=[alpha] * 2)[0]]
    voices = [Voice(title, door, door) for title, door in zip("ab", doors, strict=True)]
    found = measure_uncertainty(row, voices, "x", plan=EVERY_RUN)
    assert [(run.model, run.replicate) for run in found.runs] == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]


@pytest.mark.parametrize("wrong", [{"runs": 1}, {"runs": 51}, {"agreement": 0.5}, {"agreement": 1.1}])
def test_a_plan_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RepeatPlan(**wrong)


def test_over_the_wire_one_model_disagrees_with_itself(aimock, store, row, alpha, beta, monkeypatch):
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    for number, answer in enumerate((beta, alpha, beta, beta, alpha)):
        match = {"userMessage": "Which cell type is this cluster?", "sequenceIndex": number}
        aimock.play({"match": match, "response": {"content": answer.model_dump_json()}})
    backend = LiteLLMBackend("openai", "gpt-4o-mini", api_base=f"{aimock.url}/v1", api_key_env="TEST_API_KEY")
    door = Door(backend, store)
    voices = [Voice("openai/gpt-4o-mini", door, door)]
    found = measure_uncertainty(row, voices, "x", plan=EVERY_RUN)
    assert found.consensus.modal_share == 0.6
    assert len(aimock.requests()) == 5
    assert measure_uncertainty(row, voices, "x", plan=EVERY_RUN) == found
    assert len(aimock.requests()) == 5, "no run is bought twice"
