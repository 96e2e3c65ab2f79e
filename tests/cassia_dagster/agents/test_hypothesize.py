import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.boost import keep_as_is
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.hypothesize import Alternative, Alternatives, rank_hypotheses
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.errors import Refused
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.records import BoostRound, Comparison, Expression, GeneLookup, Hypothesis, Status


@pytest.fixture
def embedded(store):
    return Door(EmbeddedBackend(), store)


@pytest.fixture
def final(embedded, beta_cells):
    """The final word on the beta cells: the embedded model's, with no second look."""
    annotated = annotate_cluster(beta_cells, embedded, embedded, "x")
    return keep_as_is(annotated, score_cluster(beta_cells, annotated, embedded, "x"))


def may_be(celltype, plausibility, *genes):
    return Alternative(celltype=celltype, plausibility=plausibility, genes=genes, reason=f"{celltype}, perhaps")


ALPHA, T = may_be("alpha cell", 20, "GCG", "INS"), may_be("T cell", 40, "CD3D")


@pytest.fixture
def ranked(scripted, beta_cells, final):
    """Answer with these alternatives; gives the row and what was asked."""

    def rank(*alternatives, boosted=None, **said):
        reply = alternatives[0] if isinstance(alternatives[0], Exception) else Alternatives(alternatives=alternatives)
        door, backend = scripted(hypothesize=[reply])
        return rank_hypotheses(beta_cells, "digest", boosted or final, door, "x", **said), backend.asked

    return rank


def test_alternatives_are_ranked_and_their_genes_looked_up(ranked):
    row, _ = ranked(ALPHA, T)
    assert (row.label, row.status, row.cells) == ("type B pancreatic cell", Status.OK, "digest")
    assert [one.celltype for one in row.alternatives] == ["T cell", "alpha cell"]
    contradiction, sibling = row.alternatives
    assert contradiction.relation is Relation.CONTRADICTION
    assert (sibling.cl_id, sibling.relation) == ("CL:0000171", Relation.SIBLING)
    assert {one.gene: one.expression for one in sibling.lookups} == {"INS": Expression.UP}
    assert {"GCG", "ARX"} <= set(sibling.not_measured), "named by the model, and known to tell"


def test_genes_that_speak_against_an_alternative_lean_away_from_it(ranked):
    def absent(genes):
        rest = Comparison(against="", expression=Expression.NOT_DETECTED, log2FC=None, mean=1.0, pct=0.3)
        return tuple(GeneLookup(gene=gene, mean=0.0, pct=0.0, rest=rest) for gene in genes)

    row, _ = ranked(ALPHA, look_up=absent)
    assert (row.alternatives[0].leaning, row.alternatives[0].not_measured) == (-1.0, ())


def test_the_label_under_another_name_is_no_alternative(ranked):
    row, _ = ranked(may_be("pancreatic beta cell", 90, "INS"), ALPHA)
    assert [one.celltype for one in row.alternatives] == ["alpha cell"]


def test_what_the_second_look_tested_is_shown_and_marked(ranked, final):
    tested = BoostRound(hypotheses=(Hypothesis(celltype="pancreatic A cell", genes=("GCG",)),), lookups=())
    looked_again = final.model_copy(update={"rounds": (tested,), "explanation": "GCG is not there."})
    row, asked = ranked(ALPHA, T, boosted=looked_again)
    assert asked[0].tested == (tested,)
    assert row.second_look == "GCG is not there."
    assert {one.celltype: one.tested for one in row.alternatives} == {"alpha cell": True, "T cell": False}


def test_an_answer_that_cannot_be_used_is_a_row_with_the_reason(ranked):
    row, _ = ranked(Refused("no"))
    assert (row.status, row.status_reason, row.alternatives) == (Status.REFUSED, "no", ())


def test_a_cluster_without_markers_is_not_asked_about(evidence_of, embedded, store):
    nothing = evidence_of("7", "")
    annotated = annotate_cluster(nothing, embedded, embedded, "x")
    final = keep_as_is(annotated, score_cluster(nothing, annotated, embedded, "x"))
    row = rank_hypotheses(nothing, "", final, embedded, "x")
    assert (row.status, row.label, store.totals().calls) == (Status.UNRESOLVED, None, 0)


def test_rules_name_the_candidates_that_some_genes_tell_from_the_label(beta_cells, final, embedded, store):
    row = rank_hypotheses(beta_cells, "", final, embedded, "x")
    assert row.deterministic
    assert "type B pancreatic cell" not in {one.celltype for one in row.alternatives}
    plausible = [one.plausibility for one in row.alternatives]
    assert plausible == sorted(plausible, reverse=True)
    assert all(one.lookups or one.not_measured for one in row.alternatives)
    assert store.totals().usd == 0


def test_rules_set_the_candidates_of_an_unresolved_cluster_against_each_other(evidence_of, embedded):
    doublet = evidence_of("3", "CD3D INS CD3E IAPP TRAC MAFA CD2 HADH IL7R G6PC2 CD3G ADCYAP1")
    annotated = annotate_cluster(doublet, embedded, embedded, "x")
    final = keep_as_is(annotated, score_cluster(doublet, annotated, embedded, "x"))
    row = rank_hypotheses(doublet, "", final, embedded, "x")
    assert (row.label, final.status) == (None, Status.UNRESOLVED)
    assert len(row.alternatives) > 1


def test_over_the_wire(aimock, store, beta_cells, final, monkeypatch):
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    reply = Alternatives(alternatives=(ALPHA,)).model_dump_json()
    aimock.play({"match": {"userMessage": "What else could this cluster be?"}, "response": {"content": reply}})
    backend = LiteLLMBackend("openai", "gpt-4o-mini", api_base=f"{aimock.url}/v1", api_key_env="TEST_API_KEY")
    row = rank_hypotheses(beta_cells, "", final, Door(backend, store), "islets/0.4/0")
    assert ([one.celltype for one in row.alternatives], row.deterministic) == (["alpha cell"], False)
    (request,) = aimock.requests()
    assert request["body"]["response_format"]["json_schema"]["strict"]
