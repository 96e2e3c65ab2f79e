"""All roles over the wire: a language model behind LiteLLM, played by a server that others wrote."""

import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.boost import BoostStep, Conclusion, boost_cluster
from cassia_dagster.agents.merge import MergeReply, merge_clusters
from cassia_dagster.agents.score import ScoreReply, score_cluster
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.records import BoostOutcome, Expression, Grouping, Hypothesis, Rubric, Status, Verdict

QUESTIONS = {
    "annotate": "Which cell type is this cluster?",
    "validate": "Does the annotation hold?",
    "score": "Rate this label.",
    "boost": "What is this cluster, on second thoughts?",
    "merge": "Group these clusters",
}
"""How each role's prompt begins."""


@pytest.fixture
def door(aimock, store, named, monkeypatch) -> Door:
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    low = Rubric(identity=3, specificity=3, balance=3, alternatives=3)
    high = Rubric(identity=9, specificity=9, balance=9, alternatives=9)
    replies = {
        "annotate": named("pancreatic A cell", "epithelial cell", "PCSK1"),
        "validate": Verdict(accepted=True, reasons="PCSK1 fits"),
        "merge": MergeReply(
            groupings=(Grouping(cluster="0", broad="epithelial cell", intermediate="islet cell", detailed="beta cell"),)
        ),
    }
    # The first that matches answers: findings are in the question only after the genes were looked up.
    concluded = Conclusion(annotation=named("type B pancreatic cell", "epithelial cell", "INS"), explanation="INS")
    rivals = (Hypothesis(celltype="type B pancreatic cell", genes=("INS", "GCG")),)
    aimock.play(says("findings of round 1", BoostStep(conclusion=concluded)))
    aimock.play(says(QUESTIONS["boost"], BoostStep(hypotheses=rivals)))
    aimock.play(*(says(QUESTIONS[role], reply) for role, reply in replies.items()))
    aimock.play(says('"subtypes":["pancreatic A cell"]', ScoreReply(rubric=low, reasoning="no GCG")))
    aimock.play(says('"subtypes":["type B pancreatic cell"]', ScoreReply(rubric=high, reasoning="INS leads")))
    return Door(LiteLLMBackend("openai", "gpt-4o-mini", api_base=f"{aimock.url}/v1", api_key_env="TEST_API_KEY"), store)


def says(asked, reply):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return {"match": {"userMessage": asked}, "response": {"content": reply.model_dump_json(), "usage": usage}}


def test_a_cluster_passes_through_all_roles(aimock, door, store, beta_cells):
    subject = "islets/0.4/0"
    annotated = annotate_cluster(beta_cells, door, door, subject)
    scored = score_cluster(beta_cells, annotated, door, subject)
    boosted = boost_cluster(annotated, scored, door, door, subject, contrast=beta_cells.markers[:3])
    (grouping,), trouble = merge_clusters([boosted], "human", "pancreas", door, "islets/0.4")

    assert (annotated.status, scored.score) == (Status.OK, 30.0)
    assert (boosted.outcome, boosted.score) == (BoostOutcome.CHANGED, 90.0)
    assert boosted.annotation.label == "type B pancreatic cell"
    assert [one.expression for one in boosted.rounds[0].lookups] == [Expression.UP, Expression.NOT_LISTED]
    assert (grouping.detailed, trouble) == ("beta cell", "")

    bodies = [request["body"] for request in aimock.requests()]
    assert len(bodies) == 7
    assert all(body["response_format"]["json_schema"]["strict"] for body in bodies)
    totals = store.totals()
    assert (totals.calls, totals.cached, totals.unpriced) == (7, 0, 0)
    assert totals.usd > 0
    roles = [call.role for call in store.calls()]
    assert roles == ["annotate", "validate", "score", "boost", "boost", "score", "merge"]


def test_the_second_run_asks_nothing(aimock, door, store, beta_cells):
    first = annotate_cluster(beta_cells, door, door, "islets/0.4/0")
    asked = len(aimock.requests())
    assert annotate_cluster(beta_cells, door, door, "islets/0.4/0") == first
    assert len(aimock.requests()) == asked
    assert store.totals().cached == 2
