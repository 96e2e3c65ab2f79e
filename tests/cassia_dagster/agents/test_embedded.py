"""The embedded backend plays every role from evidence, and says where its knowledge ends."""

import pytest

from cassia_dagster.agents.annotate import AnnotateRequest, annotate_cluster
from cassia_dagster.agents.boost import BoostPlan, BoostRequest, BoostStrategy, boost_cluster, needs_boost
from cassia_dagster.agents.embedded import (
    NO_OPINION,
    SURE,
    EmbeddedBackend,
    annotate,
    boost,
    merge,
    score,
    validate,
)
from cassia_dagster.agents.merge import MergeRequest, NamedCluster, find_trouble
from cassia_dagster.agents.score import ScoreRequest, score_cluster, total
from cassia_dagster.agents.validate import ValidateRequest
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.backend import Backend
from cassia_dagster.llm.door import Door
from cassia_dagster.records import (
    BoostOutcome,
    BoostRound,
    Comparison,
    Expression,
    GeneLookup,
    Status,
    Strategy,
    Unresolved,
)

BETA = "INS IAPP HADH ADCYAP1 NPTX2 PCSK1 DLK1 MAFA SIX3 PFKFB2 G6PC2 ERO1B"
T_CELL = "CD3D CD3E CD2 TRAC IL32 CD7 LTB IL7R CD3G LCK CD5 BCL11B"
STATE_ONLY = "MKI67 TOP2A RPS12 RPL13 MT-CO1 HSPA1A UBE2C RPLP1 MT-ND1 CDK1"


@pytest.fixture
def door(store) -> Door:
    return Door(EmbeddedBackend(), store)


def test_it_is_a_backend():
    backend: Backend = EmbeddedBackend()
    assert backend.provider == "embedded"
    assert backend.model.startswith("knowledge-")


def test_it_names_a_cluster_by_its_markers(door, evidence_of):
    row = annotate_cluster(evidence_of("3", BETA), door, door, "islets/0.4/3")
    assert row.status is Status.OK
    assert row.annotation.label == "type B pancreatic cell"
    assert row.annotation.general_celltype == "epithelial cell"
    assert "INS" in row.annotation.supporting_genes
    assert row.rounds[-1].accepted


def test_every_gene_that_it_cites_is_a_marker_of_the_cluster(evidence_of):
    evidence = evidence_of("3", T_CELL, tissue="blood")
    annotation = annotate(AnnotateRequest(evidence=evidence, candidates=()))
    assert set(annotation.supporting_genes) <= {marker.gene for marker in evidence.markers}


def test_a_doublet_is_left_without_a_name_and_says_what_it_mixes(evidence_of):
    pairs = zip(T_CELL.split(), BETA.split(), strict=True)
    evidence = evidence_of("4", " ".join(gene for pair in pairs for gene in pair))
    annotation = annotate(AnnotateRequest(evidence=evidence, candidates=()))
    assert annotation.unresolved is Unresolved.CONFLICTING_SUPPORT
    assert set(annotation.mixed_celltypes) == {"T cell", "type B pancreatic cell"}


def test_genes_of_a_state_do_not_make_an_identity(door, evidence_of):
    row = annotate_cluster(evidence_of("5", STATE_ONLY), door, door, "islets/0.4/5")
    assert row.status is Status.UNRESOLVED
    assert row.annotation.unresolved in {Unresolved.LOW_QUALITY, Unresolved.NO_MARKERS}
    assert row.annotation.rationale


def test_a_clear_label_scores_high_and_a_contradicted_one_low(evidence_of, named):
    evidence = evidence_of("3", BETA)

    def rate(annotation):
        check = check_annotation(annotation, evidence)
        return total(score(ScoreRequest(evidence=evidence, annotation=annotation, check=check, verdicts=())).rubric)

    right, wrong = rate(named("type B pancreatic cell", "epithelial cell")), rate(named("T cell", "lymphocyte"))
    assert right >= 75
    assert wrong < 40


@pytest.mark.parametrize("genes", [BETA, T_CELL, "INS CD3D GCG COL1A1 PECAM1 CD14", "CD3D TTR KRT19"])
def test_only_a_sure_label_reaches_the_threshold_of_the_boost(evidence_of, genes):
    from cassia_dagster.knowledge.candidates import propose

    evidence = evidence_of("3", genes, tissue="")
    annotation = annotate(AnnotateRequest(evidence=evidence, candidates=()))
    check = check_annotation(annotation, evidence)
    rated = total(score(ScoreRequest(evidence=evidence, annotation=annotation, check=check, verdicts=())).rubric)
    assert rated < 75 or propose(evidence).confidence >= SURE


def test_the_validator_sends_a_contradicted_label_back(evidence_of, named):
    evidence, annotation = evidence_of("3", BETA), named("T cell", "lymphocyte", "INS")
    check = check_annotation(annotation, evidence)
    verdict = validate(ValidateRequest(evidence=evidence, annotation=annotation, check=check))
    assert not verdict.accepted
    assert verdict.reasons


def test_the_same_question_has_the_same_answer_and_is_asked_once(store, evidence_of):
    door = Door(EmbeddedBackend(), store)
    first = annotate_cluster(evidence_of("3", BETA), door, door, "islets/0.4/3")
    again = annotate_cluster(evidence_of("3", BETA), Door(EmbeddedBackend(), store), door, "islets/0.4/3")
    assert again == first
    assert (store.totals().calls, store.totals().cached) == (2, 2)


def test_other_rules_or_knowledge_are_another_question(monkeypatch, store, evidence_of):
    from cassia_dagster.agents import embedded

    door = Door(EmbeddedBackend(), store)
    annotate_cluster(evidence_of("3", BETA), door, door, "islets/0.4/3")
    monkeypatch.setattr(embedded, "RULES_VERSION", "other")
    annotate_cluster(evidence_of("3", BETA), door, door, "islets/0.4/3")
    assert store.totals().cached == 0


def test_a_second_look_ends_with_a_row(door, evidence_of):
    evidence = evidence_of("5", "CD3D TTR KRT19 COL1A1 GFAP HBB")
    annotated = annotate_cluster(evidence, door, door, "islets/0.4/5")
    scored = score_cluster(evidence, annotated, door, "islets/0.4/5")
    assert needs_boost(annotated, scored)
    row = boost_cluster(annotated, scored, door, door, "islets/0.4/5", contrast=evidence.markers[:3])
    assert row.cluster == "5"
    assert row.explanation
    assert row.rounds


def in_doubt(door, evidence):
    """Annotate and score a cluster, and doubt its label whatever it scored."""
    annotated = annotate_cluster(evidence, door, door, "islets/0.4/3")
    return annotated, score_cluster(evidence, annotated, door, "islets/0.4/3")


def test_the_second_look_tests_rivals_by_genes_that_tell_them_apart(door, evidence_of):
    row = boost_cluster(*in_doubt(door, evidence_of("3", BETA)), door, door, "islets/0.4/3")
    (tested,) = row.rounds
    first, *rivals = tested.hypotheses
    assert first.celltype == "type B pancreatic cell"
    assert rivals
    assert "INS" in first.genes
    assert not set(first.genes) & {gene for rival in rivals for gene in rival.genes}
    assert row.outcome is BoostOutcome.CONFIRMED


def test_in_depth_it_tests_one_rival_after_the_other(door, evidence_of):
    plan = BoostPlan(strategy=BoostStrategy.DEPTH)
    row = boost_cluster(*in_doubt(door, evidence_of("3", BETA)), door, door, "islets/0.4/3", plan=plan)
    tested = [one.celltype for each in row.rounds for one in each.hypotheses]
    assert len(tested) == len(set(tested)) == len(row.rounds) == 2
    assert "type B pancreatic cell" not in tested


def test_genes_that_were_looked_up_keep_it_from_a_change_that_they_speak_against(evidence_of, named):
    evidence, present = evidence_of("3", BETA), named("pancreatic A cell", "epithelial cell", "PCSK1")
    request = BoostRequest(
        evidence=evidence,
        annotation=present,
        check=check_annotation(present, evidence),
        score=40.0,
        contrast=(),
        rounds_left=3,
    )
    hypotheses = boost(request).hypotheses
    assert [one.celltype for one in hypotheses][:2] == ["pancreatic A cell", "type B pancreatic cell"]

    def concluded(how):
        lookups = tuple(found(gene, how) for gene in hypotheses[1].genes)
        tested = BoostRound(hypotheses=hypotheses, lookups=lookups)
        return boost(request.model_copy(update={"rounds": (tested,)})).conclusion.annotation

    assert concluded(Expression.UP).label == "type B pancreatic cell"
    assert concluded(Expression.NOT_DETECTED) == present


def found(gene, how):
    return GeneLookup(gene=gene, rest=Comparison(against="", expression=how, log2FC=None, mean=None, pct=None))


def test_where_nothing_is_known_nothing_is_tested_and_the_row_says_so(door, evidence_of):
    row = boost_cluster(*in_doubt(door, evidence_of("3", "GENE1 GENE2 GENE3")), door, door, "islets/0.4/3")
    assert (row.outcome, row.status) == (BoostOutcome.FAILED, Status.UNRESOLVED)
    assert row.rounds == ()
    assert "nothing that could be tested" in row.explanation


def test_it_has_no_opinion_on_an_extra_question_and_says_so(door, evidence_of):
    plan = BoostPlan(additional_task="Is this malignant?")
    row = boost_cluster(*in_doubt(door, evidence_of("3", BETA)), door, door, "islets/0.4/3", plan=plan)
    assert (row.additional_task, row.additional_answer) == ("Is this malignant?", NO_OPINION)


def test_a_fused_look_asks_for_genes_where_the_markers_leave_it_unsure(door, evidence_of):
    unsure = annotate_cluster(evidence_of("3", "CD3D TTR KRT19"), door, door, "islets/0.4/3", Strategy.FUSED)
    assert unsure.lookups
    sure = annotate_cluster(evidence_of("3", BETA), door, door, "islets/0.4/3", Strategy.FUSED)
    assert (sure.lookups, len(sure.history)) == ((), 1)
    assert sure.annotation.label == "type B pancreatic cell"


def test_what_cells_are_doing_is_told_apart_from_what_they_are(door, evidence_of):
    evidence = evidence_of("3", f"{T_CELL} MKI67 TOP2A UBE2C CDK1 BIRC5", tissue="blood")
    row = annotate_cluster(evidence, door, door, "blood/0.4/3")
    assert row.annotation.cell_state == "cycling"
    assert "T cell" in row.annotation.label


def clusters(*terms):
    from cassia_dagster.knowledge.ontology import load_ontology

    return tuple(
        NamedCluster(cluster=str(number), label=load_ontology().label(term), general_celltype="x", cl_id=term)
        for number, term in enumerate(terms)
    )


def test_groups_are_families_of_the_ontology_and_nest():
    named = clusters("CL:0000171", "CL:0000169", "CL:0000115", "CL:0000624", "CL:0000084", "CL:0000236", "CL:0000625")
    reply = merge(MergeRequest(species="human", tissue="", clusters=named))
    assert find_trouble(reply.groupings, [one.cluster for one in named]) == ""
    alpha, beta, endothelial, cd4, t_cell, b_cell, cd8 = reply.groupings
    assert alpha.intermediate == beta.intermediate != alpha.detailed
    assert cd4.intermediate == cd8.intermediate == t_cell.intermediate == "T cell"
    assert b_cell.broad != cd4.broad
    assert endothelial.intermediate == endothelial.detailed == "endothelial cell"


def test_a_label_outside_the_ontology_is_its_own_group():
    one = NamedCluster(cluster="0", label="club-like cell", general_celltype="epithelium", cl_id=None)
    (grouping,) = merge(MergeRequest(species="human", tissue="", clusters=(one,))).groupings
    assert grouping.broad == grouping.detailed == "club-like cell"
