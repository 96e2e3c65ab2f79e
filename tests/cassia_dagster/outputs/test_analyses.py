"""The sections of the analyses: what they show, and that no text in them is markup."""

import re

import pytest

from cassia_dagster.agents.compare import CheckedScore
from cassia_dagster.agents.debate import Contender, Debate
from cassia_dagster.agents.hypothesize import ClusterHypotheses, RankedHypothesis
from cassia_dagster.agents.panel import DebateRound, Statement
from cassia_dagster.agents.uncertainty import Run, UncertainCluster
from cassia_dagster.knowledge.consensus import Vote, find_consensus
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs.analyses import analysis_sections
from cassia_dagster.outputs.report import render_report
from cassia_dagster.records import Comparison, Expression, GeneLookup, Status
from tests.cassia_dagster.outputs.hostile import HOSTILE

BETA, ALPHA = (
    Vote(label="type B pancreatic cell", cl_id="CL:0000169"),
    Vote(label="pancreatic A cell", cl_id="CL:0000171"),
)
GCG = GeneLookup(
    gene="GCG",
    mean=0.1,
    pct=0.05,
    rest=Comparison(against="", expression=Expression.DOWN, log2FC=-2.0, mean=1.0, pct=0.4),
)


def uncertain(*votes, deterministic=False, reason=""):
    consensus = find_consensus(votes, 3)
    runs = tuple(
        Run(
            model="openai/gpt-5",
            deterministic=deterministic,
            replicate=number,
            status=Status.OK,
            label=vote.label,
            cl_id=vote.cl_id,
        )
        for number, vote in enumerate(votes)
    )
    return UncertainCluster(
        cluster="0",
        cells="",
        status=Status.OK,
        status_reason=reason,
        label=votes[0].label,
        planned=5,
        runs=runs,
        decided=True,
        deterministic=deterministic,
        consistency=None if deterministic else 100 * consensus.mean_pairwise_f1,
        consensus=consensus,
        relation=Relation.EXACT,
    )


def debated(text="because"):
    score = CheckedScore(
        candidate="alpha cell",
        score=90,
        genes_up=("GCG",),
        genes_not_up=("INS",),
        contradicting_genes=("SST",),
        reasoning=text,
    )
    statements = (
        Statement(member="openai/o3", status=Status.OK, scores=(score, score.model_copy(update={"candidate": text}))),
        Statement(member="openai/gpt-5", status=Status.REFUSED, status_reason=text),
    )
    return Debate(
        cluster="0",
        cells="",
        status=Status.OK,
        contenders=tuple(
            Contender(name=name, cl_id=None, mean_score=90, votes=1, leaning=None) for name in ("alpha cell", text)
        ),
        members=("openai/o3", "openai/gpt-5"),
        failed=("openai/gpt-5",),
        rounds=(DebateRound(statements=statements),),
        verdict="alpha cell",
        agreement=1.0,
        deterministic=False,
        deciding=(GCG,),
    )


def hypothesized(text="perhaps"):
    one = RankedHypothesis(
        celltype=f"alpha {text}",
        cl_id="CL:0000171",
        relation=Relation.SIBLING,
        plausibility=20,
        support=0.2,
        leaning=-0.5,
        lookups=(GCG,),
        not_measured=("ARX",),
        tested=True,
        reason=text,
    )
    return ClusterHypotheses(
        cluster="0",
        cells="",
        status=Status.OK,
        label="beta cell",
        alternatives=(one,),
        second_look=text,
        deterministic=False,
    )


@pytest.fixture
def page(blood):
    """Render the report with what was found; gives the section's text as a reader sees it."""

    def render(name, *rows):
        html = render_report(blood, None, more=analysis_sections({name: list(rows)}))
        (section,) = re.findall(rf'<section id="{name}".*?</section>', html, re.DOTALL)
        return " ".join(re.sub(r"<[^>]*>", " ", section).split())

    return render


def test_nothing_found_is_no_section(blood):
    assert analysis_sections({"uncertainty": [], "symphony": []}) == []
    assert 'id="uncertainty"' not in render_report(blood, None)


def test_the_certainty_of_a_label_is_shown_with_all_that_was_said(page):
    text = page("uncertainty", uncertain(BETA, ALPHA, BETA, BETA, ALPHA))
    assert "3 of 5" in text
    assert "pancreatic A cell (2), type B pancreatic cell (3)" in text
    assert "deterministic" not in text


def test_runs_without_a_name_are_counted_beside_those_with_one(page):
    nameless = Vote(label=None, cl_id=None)
    text = page("uncertainty", uncertain(BETA, nameless, BETA, nameless, BETA))
    assert "type B pancreatic cell (3), no name (2)" in text


def test_rules_are_said_to_measure_no_uncertainty(page):
    text = page("uncertainty", uncertain(BETA, BETA, BETA, deterministic=True))
    assert "No uncertainty is measured here" in text


def test_a_debate_is_shown_whole_with_the_member_that_failed(page):
    text = page("symphony", debated())
    assert "alpha cell , put first by 100 % of the members with an answer" in text
    assert "Without an answer, and without a vote: openai/gpt-5" in text
    assert "For it, and up: GCG . Cited, and not up: INS . Against it: SST" in text
    assert "model refused" in text


def test_alternatives_are_shown_with_genes_that_are_not_measured(page):
    text = page("hypotheses", hypothesized())
    assert "Plausible by 20 of 100; a sibling of the label; its genes lean away from it by 0.50; tested" in text
    assert "Not measured: ARX" in text


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("uncertainty", uncertain(Vote(label=HOSTILE, cl_id=None), Vote(label=HOSTILE, cl_id=None), reason=HOSTILE)),
        ("symphony", debated(HOSTILE)),
        ("hypotheses", hypothesized(HOSTILE)),
    ],
)
def test_no_text_of_an_analysis_is_markup(blood, name, row):
    html = render_report(blood, None, more=analysis_sections({name: [row]}))
    assert HOSTILE not in html
    assert "<img" not in html
