"""The sections of the analyses: what they show, and that no text in them is markup."""

import pandas as pd
import pytest

from cassia_dagster.agents.compare import CheckedScore
from cassia_dagster.agents.debate import Contender, Debate
from cassia_dagster.agents.hypothesize import ClusterHypotheses, RankedHypothesis
from cassia_dagster.agents.panel import DebateRound, Statement
from cassia_dagster.agents.subclusters import Subcluster
from cassia_dagster.agents.uncertainty import Run, UncertainCluster
from cassia_dagster.evaluation.drift import LabelBefore, compare_versions, labels_of
from cassia_dagster.knowledge.consensus import Vote, find_consensus
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs.analyses import analysis_sections
from cassia_dagster.outputs.report import render_report
from cassia_dagster.records import (
    Annotation,
    Comparison,
    EvidenceCheck,
    Expression,
    GeneLookup,
    Status,
)
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


def part(name, label, relation, *, text="", parent="0"):
    annotation = Annotation(
        general_celltype="T cell", subtypes=(label,), supporting_genes=("CD3E",), contradicting_genes=(), rationale=text
    )
    return Subcluster(
        cluster=f"{parent}.{name}",
        cells="",
        parent=parent,
        parents=(parent,),
        parent_label=f"T cell{text}",
        n_cells=40,
        share_of_parent=0.4,
        markers_against_siblings=("CD8A", f"CD8B{text}"),
        status=Status.OK,
        status_reason=text,
        annotation=annotation,
        check=None,
        score=82,
        relation=relation,
    )


def drifted(text=""):
    def label(cluster, name, cl_id, score):
        return LabelBefore(cluster=cluster, label=f"{name}{text}", cl_id=cl_id, score=score)

    cells = pd.Series({f"c{number}": ("0", "2", "3")[number % 3] for number in range(9)})
    before = {one: label(one, "T cell", "CL:0000084", 80) for one in ("0", "2", "3")}
    now = before | {"2": label("2", "B cell", "CL:0000236", 90)}
    return compare_versions(
        before, now, cells, cells, [f"prompt of score: score.v1@aa → score.v2@bb{text}"], against="2026-01-31 12:00 UTC"
    )


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
    assert "beta cell (when this was asked; it is CD8-positive, alpha-beta T cell now): alpha perhaps" in text


def test_a_part_is_held_against_what_its_parent_is_called_now(blood):
    final = {row.cluster: row.boosted for row in blood.clusters}
    check = EvidenceCheck(
        cl_id="CL:0000624",
        cl_label="",
        support=0,
        cited_genes_up=(),
        cited_genes_absent=(),
        candidates=(),
        findings=(),
    )
    one = part("0", "CD4-positive, alpha-beta T cell", Relation.CONTRADICTION, text=" of old").model_copy(
        update={"check": check}
    )
    now = one.under(final)
    assert (now.parent_label, now.relation) == ("CD8-positive, alpha-beta T cell", Relation.SIBLING)
    assert now.annotation == one.annotation


def test_parts_stand_under_their_parent_and_a_stranger_among_them_is_flagged(page):
    text = page(
        "subclusters",
        part("0", "CD4-positive, alpha-beta T cell", Relation.FINER),
        part("1", "B cell", Relation.CONTRADICTION),
        part("0", "platelet", None, parent="3"),
    )
    assert "Inside cluster 0 : T cell 2 parts of 80 cells" in text
    assert "0.0 40 CD4-positive, alpha-beta T cell a kind of it 82 not checked CD8A , CD8B" in text
    assert "B cell ! another lineage 82" in text
    assert "Inside cluster 3 : T cell 1 part of 40 cells" in text
    assert "platelet not comparable" in text


def test_drift_shows_what_changed_first_with_its_cause_and_folds_the_rest(page):
    text = page("drift", drifted())
    assert "1 of 3 clusters has another label since 2026-01-31 12:00 UTC; 33.3 % of the cells" in text
    assert "What else changed Prompt of score: score.v1@aa → score.v2@bb" in text
    assert "2 T cell B cell another lineage 100 % 80 90 +10" in text
    assert text.index("B cell another lineage") < text.index("2 clusters with the same label")


def test_no_drift_is_said_in_one_sentence(page):
    found = drifted()
    same = [row for row in found.clusters if row.change == "same"]
    text = page("drift", found.model_copy(update={"clusters": tuple(same), "changed_share": 0.0, "causes": ()}))
    assert "No cluster has another label since 2026-01-31 12:00 UTC." in text
    assert "What else changed" not in text


def test_a_finding_is_about_the_clusters_that_have_its_cells(blood):
    clusters = {row.cluster: row for row in blood.clusters}
    one = part("0", "T cell", Relation.EXACT).model_copy(update={"members": ("a", "b")})
    assert one.is_about(clusters)
    assert not one.model_copy(update={"parents": ("0", "gone")}).is_about(clusters)
    assert one.lies_in_parent(pd.Series({"a": "0", "b": "0", "c": "1"}))
    assert not one.lies_in_parent(pd.Series({"a": "0", "b": "1"}))
    assert not one.lies_in_parent(pd.Series({"a": "0"}))
    assert uncertain(BETA, BETA).is_about(clusters)
    assert not uncertain(BETA, BETA).model_copy(update={"cluster": "gone"}).is_about(clusters)


def test_drift_is_about_the_labels_that_it_compared(blood):
    clusters = {row.cluster: row for row in blood.clusters}
    now = labels_of([row.boosted for row in blood.clusters])
    cells = pd.Series({f"c{one}": one for one in now})
    found = compare_versions(now, now, cells, cells)
    assert found.is_about(clusters)
    assert not found.is_about({one: row for one, row in clusters.items() if one != "0"})
    first, *rest = found.clusters
    other = found.model_copy(update={"clusters": (first.model_copy(update={"label": "something else"}), *rest)})
    assert not other.is_about(clusters)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("subclusters", part("0", HOSTILE, Relation.SIBLING, text=HOSTILE)),
        ("drift", drifted(HOSTILE)),
        ("uncertainty", uncertain(Vote(label=HOSTILE, cl_id=None), Vote(label=HOSTILE, cl_id=None), reason=HOSTILE)),
        ("symphony", debated(HOSTILE)),
        ("hypotheses", hypothesized(HOSTILE)),
    ],
)
def test_no_text_of_an_analysis_is_markup(blood, name, row):
    html = render_report(blood, None, more=analysis_sections({name: [row]}))
    assert HOSTILE not in html
    assert "<img" not in html


def test_the_id_of_a_cluster_may_hold_a_plus(blood):
    (first, *_), cells = blood.clusters, ("a", "b")
    one = part("0", "T cell", Relation.EXACT, parent="CD4+ T").model_copy(update={"members": cells})
    assert one.is_about({"CD4+ T": first})
    assert one.lies_in_parent(pd.Series("CD4+ T", index=cells))
    assert not one.lies_in_parent(pd.Series("CD4", index=cells))
