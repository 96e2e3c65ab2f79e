"""The debate as an asset and as a command: who sits on the panel, what is kept, and models over the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from assets.symphony import SymphonyConfig, seats_of
from cassia_dagster.agents.compare import POINTS_OF_VIEW, Ballot, CandidateScore
from cassia_dagster.agents.debate import Debate
from cassia_dagster.errors import InputError
from cassia_dagster.records import Status
from resources.llm import ModelOverride, ModelResource
from tests.assets.served import ServedDemo, served_demo
from tests.servers.aimock import AIMock

__all__ = ["served_demo"]

QUESTION: dict[str, Any] = {"cluster": "2", "candidates": ["alpha cell", "beta cell"]}


@pytest.fixture
def decide(materialize: Callable[..., list[Debate]]) -> Callable[..., list[Debate]]:
    """Materialize the asset with a configuration; gives its rows."""
    return partial(materialize, "symphony", Debate)


def test_rules_decide_alone_and_say_so(decide: Any) -> None:
    (held,) = decide(**QUESTION)
    assert (held.verdict, held.members, held.deterministic, held.status) == (
        "alpha cell",
        ("embedded",),
        True,
        Status.OK,
    )
    assert "GCG" in {one.gene for one in held.deciding}


def test_debates_about_other_clusters_and_candidates_are_kept(decide: Any) -> None:
    (first,) = decide(**QUESTION)
    decide(cluster="10", candidates=["epsilon cell", "PP cell"])
    rows = decide(cluster="2", candidates=["beta cell", "alpha cell"])
    assert [(row.cluster, row.verdict) for row in rows] == [("2", "alpha cell"), ("10", "epsilon cell")]
    rows = decide(cluster="2", candidates=["alpha cell", "T cell"])
    assert [row.cluster for row in rows] == ["2", "2", "10"]
    assert first.verdict == rows[0].verdict


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (QUESTION | {"cluster": "99"}, "no cluster '99'; the clusters are 0, 1, 2"),
        (QUESTION | {"candidates": ["alpha cell"]}, "needs 2 to 4 candidates; these are 1"),
        (QUESTION | {"candidates": ["alpha cell", "A cell of pancreas", "alpha cells"]}, "one cell type"),
    ],
)
def test_a_question_that_cannot_be_decided_is_refused_before_anybody_is_asked(
    decide: Any, config: dict[str, Any], why: str
) -> None:
    with pytest.raises(RuntimeError, match=why):
        decide(**config)


GPT = ModelResource(provider="openai", model="gpt-5")


@pytest.mark.parametrize(
    ("usual", "models", "personas", "seats"),
    [
        (GPT, [], [], [("openai/gpt-5", POINTS_OF_VIEW[0]), ("openai/gpt-5 (2)", POINTS_OF_VIEW[1])]),
        (GPT, ["openai/o3", "openai/gpt-4.1"], [], [("openai/o3", ""), ("openai/gpt-4.1", "")]),
        (GPT, ["openai/o3", "embedded"], ["hasty"], [("openai/o3", "hasty"), ("embedded", "hasty")]),
        (ModelResource(), [], ["hasty", "slow"], [("embedded", "")]),
        (GPT, ["openai/o3", "embedded"], ["a", "b", "c", "d"], [("openai/o3", "a"), ("embedded", "b")]),
    ],
)
def test_every_model_and_every_point_of_view_has_a_seat_and_rules_have_one(
    usual: ModelResource, models: list[str], personas: list[str], seats: list[tuple[str, str]]
) -> None:
    config = SymphonyConfig(
        cluster="0",
        candidates=["a", "b"],
        models=[ModelOverride(model=model) if "/" in model else ModelOverride(provider=model) for model in models],
        personas=personas,
    )
    found = seats_of(usual, config)
    assert [(seat.title, seat.persona) for seat in found][:2] == seats[:2]
    assert sum(seat.deterministic for seat in found) <= 1
    assert len({seat.title for seat in found}) == len(found)


@pytest.mark.parametrize("persona", ["", "  ", "x" * 501])
def test_a_point_of_view_that_is_none_is_refused(persona: str) -> None:
    config = SymphonyConfig(cluster="0", candidates=["a", "b"], personas=[persona])
    with pytest.raises(InputError, match=rf"has {len(persona)} characters; give 1 to 500"):
        seats_of(GPT, config)


@pytest.mark.long
def test_three_models_decide_from_the_command_line_though_one_fails(served_demo: ServedDemo, aimock: AIMock) -> None:
    def says(alpha: int, beta: int) -> dict[str, Any]:
        scores = (CandidateScore(candidate="alpha cell", score=alpha, supporting_genes=("GCG", "INS")),)
        return {
            "content": Ballot(scores=(*scores, CandidateScore(candidate="beta cell", score=beta))).model_dump_json()
        }

    too_long = {"error": {"message": "Too long for <me>", "type": "invalid_request_error"}, "status": 400}
    responses = {"gpt-4o-mini": says(95, 5), "gpt-4o": too_long, "gpt-4.1": says(80, 30)}
    for model, response in responses.items():
        match = {"userMessage": "Which of the candidates is this cluster?", "model": model}
        aimock.play({"match": match, "response": response})
    models = [part for model in responses for part in ("--model", f"openai/{model}")]
    command = ("symphony", "demo", "--cluster", "2", "--candidate", "alpha cell", "--candidate", "beta cell", *models)

    said = served_demo.run(*command)
    assert "If every round is held: 9 calls and 0 answers from the cache: about 0.0" in said
    assert "cluster 2: alpha cell, by 100% of 2 members; without an answer: openai/gpt-4o" in said
    assert "Too long for <me>" in said
    (held,) = served_demo.rows("symphony", Debate)
    assert (held.verdict, held.failed, held.deterministic) == ("alpha cell", ("openai/gpt-4o",), False)
    of_alpha = held.rounds[0].statements[0].scores[0]
    assert (of_alpha.genes_up, of_alpha.genes_not_up) == (("GCG",), ("INS",))
    assert len(aimock.requests()) == 3
    told = json.loads((served_demo.folder / "demo_symphony.json").read_text())
    assert [row["verdict"] for row in told] == ["alpha cell"]
