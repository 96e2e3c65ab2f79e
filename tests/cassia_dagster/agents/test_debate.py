import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.compare import Ballot, CandidateScore
from cassia_dagster.agents.debate import DebatePlan, compare_candidates
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.panel import Member
from cassia_dagster.errors import InputError, ModelError
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.errors import Refused
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.records import Expression, Status, Strategy

A, B = "pancreatic A cell", "type B pancreatic cell"


def ballot(a, b, genes=(), **more):
    """Score A and B, B with these genes."""
    scores = {A: (a, ()), B: (b, genes)} | {name: (score, ()) for name, score in more.items()}
    return Ballot(
        scores=tuple(
            CandidateScore(candidate=name, score=score, supporting_genes=own, reasoning=f"{name} {score}")
            for name, (score, own) in scores.items()
        )
    )


@pytest.fixture
def embedded(store):
    return Door(EmbeddedBackend(), store)


@pytest.fixture
def row(embedded, beta_cells):
    return annotate_cluster(beta_cells, embedded, embedded, "x", Strategy.ONE_SHOT)


@pytest.fixture
def debate(scripted, row):
    """Let a panel debate A and B, each member with its ballots; gives the row and what each was asked."""

    def hold(*ballots, candidates=(A, B), **plan):
        scripts = [scripted(compare=list(own)) for own in ballots]
        members = [Member(f"m{number}", door) for number, (door, _) in enumerate(scripts)]
        held = compare_candidates(row, candidates, members, "x", plan=DebatePlan(max_workers=1, **plan))
        return held, [backend.asked for _, backend in scripts]

    return hold


def test_two_thirds_that_put_one_first_end_the_debate(debate):
    held, asked = debate([ballot(10, 90)], [ballot(20, 80)], [ballot(60, 40)])
    assert (held.verdict, held.status, len(held.rounds)) == (B, Status.OK, 1)
    assert held.agreement == pytest.approx(2 / 3)
    assert [(one.name, one.votes, one.mean_score) for one in held.contenders] == [(B, 2, 70.0), (A, 1, 30.0)]
    assert all(len(each) == 1 for each in asked)


def test_who_disagrees_sees_the_others_scores_and_may_be_convinced(debate):
    split = [ballot(10, 90, ("INS", "GCG"))], [ballot(90, 10), ballot(30, 70)], [ballot(50, 50), ballot(40, 60)]
    held, asked = debate([*split[0], ballot(10, 90)], split[1], split[2])
    assert (held.verdict, len(held.rounds), held.agreement) == (B, 2, 1.0)
    first, second = asked[1]
    assert first.earlier == ()
    assert [opinion.own for opinion in second.earlier] == [False, True, False]
    assert "m0" not in second.model_dump_json(), "nobody is told whose opinion it is"
    of_b = second.earlier[0].scores[1]
    assert (of_b.genes_up, of_b.genes_not_up) == (("INS",), ("GCG",)), "genes are looked up, not believed"


def test_a_panel_that_cannot_agree_in_three_rounds_gives_no_verdict(debate):
    held, asked = debate([ballot(10, 90)] * 3, [ballot(90, 10)] * 3)
    assert (held.verdict, held.status, len(held.rounds)) == (None, Status.UNRESOLVED, 3)
    assert "After 3 rounds" in held.status_reason
    assert [len(each) for each in asked] == [3, 3]


def test_a_member_that_fails_has_no_vote_and_is_named(debate):
    held, asked = debate([ballot(10, 90)], [Refused("I must not")], [ballot(20, 80)])
    assert (held.verdict, held.failed, held.agreement) == (B, ("m1",), 1.0)
    assert held.rounds[0].statements[1].status_reason == "I must not"
    assert len(asked[1]) == 1


def test_a_member_that_failed_is_not_asked_again(debate):
    held, asked = debate([ballot(10, 90)] * 3, [Refused("no")], [ballot(90, 10)] * 3)
    assert [len(each) for each in asked] == [3, 1, 3]
    assert held.verdict is None


def test_one_voice_alone_is_no_verdict(debate):
    held, _ = debate([ballot(10, 90)], [Refused("no")], [Refused("no")])
    assert (held.verdict, held.status) == (None, Status.UNRESOLVED)
    assert held.status_reason == f"Only m0 gave an answer, which puts {B} first."


def test_a_panel_without_any_answer_is_a_row_with_the_reason(debate):
    held, _ = debate([Refused("no")], [Refused("no")])
    assert (held.status, held.verdict, held.contenders[0].mean_score) == (Status.REFUSED, None, None)


def test_what_dooms_one_model_does_not_doom_the_others_but_all_are_told(debate):
    held, _ = debate([ballot(10, 90)], [ModelError("no such model")], [ballot(10, 90)])
    assert (held.verdict, held.failed) == (B, ("m1",))
    with pytest.raises(ModelError, match="no such model"):
        debate([ModelError("no such model")], [ModelError("no such model")])


def test_an_answer_about_other_candidates_is_sent_back_once(debate):
    wrong = Ballot(scores=(CandidateScore(candidate="T cell", score=99),))
    held, asked = debate([wrong, ballot(10, 90)], [wrong, wrong], [ballot(10, 90)])
    assert held.verdict == B
    assert (held.failed, held.rounds[0].statements[1].status) == (("m1",), Status.INVALID_REPLY)
    assert "the last answer scored T cell" in asked[0][1].objection


def test_the_deciding_genes_are_found_by_code(debate):
    held, _ = debate([ballot(10, 90, ("INS", "SIX3", "GCG"))], [ballot(10, 90, ("INS", "SIX3"))])
    found = {one.gene: one.expression for one in held.deciding}
    assert found["INS"] is Expression.UP
    assert "GCG" not in found, "it is cited, and not up"
    assert held.contenders[0].leaning > held.contenders[1].leaning


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        (["T cell"], "needs 2 to 4 candidates; these are 1"),
        (["T cell", "B cell", "NK cell", "monocyte", "mast cell"], "these are 5"),
        (["T cell", " "], "needs 2 to 4"),
        (["alpha cell", "pancreatic A cell"], "one cell type"),
        (["Cell X", "cell x"], "one cell type"),
        (["T cell", "B\x1b[31m cell"], "no name of a cell type"),
        (["T cell", "B" * 201], "at most 200 characters"),
    ],
)
def test_candidates_that_leave_nothing_to_decide_are_refused(debate, candidates, why):
    with pytest.raises(InputError, match=why):
        debate([], candidates=candidates)


def test_rules_answer_alone_and_do_not_discuss(row, embedded):
    candidates, members = [A, B, "cell of the third kind"], [Member("embedded", embedded, deterministic=True)]
    held = compare_candidates(row, candidates, members, "x")
    assert (held.verdict, held.deterministic, len(held.rounds)) == (B, True, 1)
    assert held.contenders[-1].mean_score == 0
    assert held == compare_candidates(row, candidates, members, "x")


def test_three_models_over_the_wire_one_of_which_fails(aimock, store, row, monkeypatch):
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    asked = "Which of the candidates is this cluster?"
    for model, response in {
        "gpt-4o-mini": {"content": ballot(5, 95, ("INS",)).model_dump_json()},
        "gpt-4.1": {"content": ballot(30, 70, ("INS", "IAPP")).model_dump_json()},
        "gpt-4o": {"error": {"message": "The prompt is too long", "type": "invalid_request_error"}, "status": 400},
    }.items():
        aimock.play({"match": {"userMessage": asked, "model": model}, "response": response})
    members = [
        Member(
            model,
            Door(
                LiteLLMBackend("openai", model, api_base=f"{aimock.url}/v1", api_key_env="TEST_API_KEY"),
                store,
            ),
        )
        for model in ("gpt-4o-mini", "gpt-4o", "gpt-4.1")
    ]
    held = compare_candidates(row, [A, B], members, "islets/0.4/0")
    assert (held.verdict, held.failed, held.agreement) == (B, ("gpt-4o",), 1.0)
    assert [one.status for one in held.rounds[0].statements] == [Status.OK, Status.FAILED, Status.OK]
    assert sorted(request["body"]["model"] for request in aimock.requests()) == ["gpt-4.1", "gpt-4o", "gpt-4o-mini"]
    assert {call.subject for call in store.calls() if call.role == "compare"} == {"islets/0.4/0"}
