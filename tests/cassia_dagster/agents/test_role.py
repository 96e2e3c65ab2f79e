import json
import re

import pytest
from jinja2 import UndefinedError
from pydantic import ValidationError

from cassia_dagster.agents.annotate import ANNOTATOR, AnnotateRequest
from cassia_dagster.agents.boost import BOOSTER
from cassia_dagster.agents.merge import MERGER, MergeRequest, NamedCluster
from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.knowledge.candidates import shortlist
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.records import Annotation, BoostRound, Comparison, GeneLookup, Hypothesis, NearbyCluster, Verdict

ROLES = [ANNOTATOR, VALIDATOR, SCORER, BOOSTER, MERGER]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_template_has_a_name_a_version_and_a_hash(role):
    name, _, digest = role.template.partition("@")
    assert name == f"{role.name}.v{role.version}.j2"[:-3]
    assert len(digest) == 12


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_reply_is_strict(role):
    assert role.reply.model_config["extra"] == "forbid"
    assert role.reply.model_config["allow_inf_nan"] is False


@pytest.mark.parametrize("name", ["", "  ", "T\x00cell", "T\x1b[2Jcell", "T\ncell", "x" * 201])
def test_a_name_that_says_nothing_or_cannot_be_written_is_no_reply(name):
    with pytest.raises(ValidationError):
        Annotation(general_celltype=name)
    with pytest.raises(ValidationError):
        Annotation(general_celltype="T cell", subtypes=(name,))


def test_numbers_in_a_prompt_have_three_significant_digits(beta_cells):
    request = AnnotateRequest(evidence=beta_cells, candidates=shortlist(beta_cells))
    assert request.candidates
    assert not re.search(r"\d\.\d{5,}", ANNOTATOR.render("user", request))


@pytest.mark.parametrize("role", [ANNOTATOR, VALIDATOR, SCORER, BOOSTER], ids=lambda role: role.name)
def test_a_role_that_judges_a_cluster_does_not_see_what_the_user_calls_it(role, beta_cells):
    nearest = (NearbyCluster(cluster="my alpha cells", similarity=0.9),)
    evidence = beta_cells.model_copy(update={"cluster": "my beta cells", "nearest": nearest})
    annotation = Annotation(general_celltype="B cell")
    against = Comparison(against="", expression="up", log2FC=2.0, mean=0.1, pct=0.1)
    lookup = GeneLookup(gene="INS", rest=against, nearest=(against.model_copy(update={"against": "my alpha cells"}),))
    tested = BoostRound(hypotheses=(Hypothesis(celltype="B cell", genes=("INS",)),), lookups=(lookup,))
    said = {
        "annotation": annotation,
        "check": check_annotation(annotation, evidence),
        "candidates": (),
        "verdicts": (),
        "score": 50.0,
        "contrast": (),
        "lookups": (lookup,),
        "rounds": (tested,),
        "rounds_left": 1,
    }
    fields = {name: value for name, value in said.items() if name in role.request.model_fields}
    prompt = role.render("user", role.request(evidence=evidence, **fields))
    assert "my alpha" not in prompt
    assert "my beta" not in prompt
    assert '"nearest":[{"similarity":0.9}]' in prompt


def test_a_prompt_shows_the_statistics_of_each_marker(beta_cells):
    prompt = ANNOTATOR.render("user", AnnotateRequest(evidence=beta_cells, candidates=()))
    assert "gene\tavg_log2FC\tpct_1\tpct_2\nINS\t5\t0.95\t0.1\n" in prompt


def test_a_secret_that_the_environment_holds_is_not_kept_in_the_history(monkeypatch, scripted, beta_cells, named):
    phrase = "correct-horse-battery-staple"
    monkeypatch.setenv("MY_LAB_API_KEY", phrase)
    leaking = beta_cells.model_copy(update={"context": f"asked with {phrase} and sk-0123456789abcdefghijklmn"})
    door, _ = scripted(annotate=[named(phrase, "epithelial cell")])
    _, exchange = ANNOTATOR.ask(door, AnnotateRequest(evidence=leaking, candidates=()), "islets/0.4/0")
    kept = exchange.model_dump_json()
    assert "[key]" in exchange.question
    assert phrase not in kept
    assert "sk-0123456789" not in kept


def test_a_template_that_asks_for_what_is_not_there_fails_loudly():
    request = MergeRequest(
        species="human",
        tissue="blood",
        clusters=(NamedCluster(cluster="0", label="B cell", general_celltype="B cell", cl_id=None),),
    )
    with pytest.raises(UndefinedError, match="evidence"):
        Role("validate", version=2, request=MergeRequest, reply=Verdict).render("user", request)


def test_asking_returns_the_reply_and_the_exchange(scripted, beta_cells, named):
    door, _ = scripted(annotate=[named("type B pancreatic cell", "epithelial cell")])
    reply, exchange = ANNOTATOR.ask(door, AnnotateRequest(evidence=beta_cells, candidates=()), "islets/0.4/0")
    assert reply.label == "type B pancreatic cell"
    assert exchange.role == "annotate"
    assert (exchange.provider, exchange.model, exchange.template) == ("scripted", "script", ANNOTATOR.template)
    assert json.loads(exchange.reply) == reply.model_dump(mode="json")
