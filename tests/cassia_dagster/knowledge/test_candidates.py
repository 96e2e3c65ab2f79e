from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest

from cassia_dagster.knowledge.candidates import name_of, propose, shortlist
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.knowledge.weighing import SETTLED
from cassia_dagster.records import ClusterEvidence, ClusterQuality, Unresolved

ontology = load_ontology()
T_CELL_STATES = "IL32 IL7R LTB CD3D CD3E LDHB TRAC CD2 CD27 AQP3"


class Gold(Protocol):
    gold_id: str
    evidence: ClusterEvidence


type MakeEvidence = Callable[..., ClusterEvidence]


def test_islet_clusters_are_named(islets: dict[str, Gold]) -> None:
    proposals = {label: propose(gold.evidence) for label, gold in islets.items()}
    relations = {label: ontology.relation(proposals[label].cl_id, gold.gold_id) for label, gold in islets.items()}
    assert set(relations.values()) <= {Relation.EXACT, Relation.FINER, Relation.COARSER}
    assert sum(relation is Relation.EXACT for relation in relations.values()) >= 9
    assert min(proposal.confidence for proposal in proposals.values()) > 0.6


def test_the_shortlist_has_its_limit_and_cites_markers_of_the_cluster(islets: dict[str, Gold]) -> None:
    evidence = islets["alpha"].evidence
    candidates = shortlist(evidence, limit=3)
    assert len(candidates) == 3
    assert candidates[0].label == "pancreatic A cell"
    assert candidates[0].genes[0] == "GCG"
    assert {gene for c in candidates for gene in c.genes} <= {m.gene for m in evidence.markers}
    assert [c.support for c in candidates] == sorted((c.support for c in candidates), reverse=True)


def test_a_proposal_does_not_repeat_itself_among_the_alternatives(islets: dict[str, Gold]) -> None:
    for gold in islets.values():
        proposal = propose(gold.evidence)
        assert proposal.cl_id not in {candidate.cl_id for candidate in proposal.alternatives}
        assert len(proposal.alternatives) == 5


def test_the_general_type_lies_above_the_proposal(islets: dict[str, Gold]) -> None:
    for gold in islets.values():
        proposal = propose(gold.evidence)
        assert proposal.cl_id is not None
        assert proposal.general_id in ontology.ancestors(proposal.cl_id)
    assert propose(islets["acinar"].evidence).general_label == "epithelial cell"


def test_states_that_markers_cannot_part_get_their_common_ancestor(evidence_from: MakeEvidence) -> None:
    proposal = propose(evidence_from(T_CELL_STATES, "blood"))
    assert proposal.cl_id is not None
    assert ontology.resolve("T cell") in ontology.ancestors(proposal.cl_id)
    assert ontology.n_descendants(proposal.cl_id) > 5


def test_a_plasma_cell_is_told_from_a_b_cell(evidence_from: MakeEvidence) -> None:
    assert propose(evidence_from("MZB1 JCHAIN DERL3 SDC1 TNFRSF17 XBP1 SEC11C FKBP11")).label == "plasma cell"
    assert propose(evidence_from("MS4A1 CD79A CD79B CD19 BANK1 TCL1A FCER2 VPREB3")).label in {"B cell", "naive B cell"}


def test_cycling_does_not_hide_what_a_cell_is(evidence_from: MakeEvidence) -> None:
    proposal = propose(evidence_from(f"MKI67 TOP2A TYMS HMGB2 CDK1 BIRC5 STMN1 TUBB {T_CELL_STATES}"))
    assert proposal.cl_id is not None
    assert ontology.resolve("T cell") in ontology.ancestors(proposal.cl_id)


def test_a_platelet_in_blood_is_no_megakaryocyte(evidence_from: MakeEvidence) -> None:
    assert propose(evidence_from("PPBP PF4 GNG11 SDPR TUBB1 CLU ACRBP", "PBMC")).label == "platelet"


@pytest.mark.parametrize(
    ("genes", "reason"),
    [
        ("", Unresolved.NO_MARKERS),
        ("NOSUCHGENE1 NOSUCHGENE2", Unresolved.NO_MARKERS),
        ("RPS27 RPL13 MT-CO1 MT-ND1 HSPA1A RPS3 RPL10", Unresolved.LOW_QUALITY),
        ("SQSTM1 NQO1 TXNRD1 GCLM AKR1B1 G6PD", Unresolved.WEAK_SUPPORT),
        ("CD3D INS CD3E IAPP IL7R MAFA TRAC SLC30A8 CD2 PCSK1 CD27 G6PC2 LTB HADH", Unresolved.CONFLICTING_SUPPORT),
    ],
)
def test_a_cluster_that_cannot_be_named_says_why(evidence_from: MakeEvidence, genes: str, reason: Unresolved) -> None:
    proposal = propose(evidence_from(genes))
    assert proposal.unresolved is reason
    assert proposal.cl_id is proposal.label is proposal.general_id is None
    assert proposal.confidence < 0.6


def test_a_doublet_names_the_types_that_it_seems_to_mix(evidence_from: MakeEvidence) -> None:
    proposal = propose(evidence_from("CD3D INS CD3E IAPP IL7R MAFA TRAC SLC30A8 CD2 PCSK1 CD27 G6PC2 LTB HADH"))
    terms = [ontology.resolve(name) for name in proposal.mixes]
    assert any(term and ontology.resolve("T cell") in ontology.ancestors(term) for term in terms)
    assert "type B pancreatic cell" in proposal.mixes
    assert propose(evidence_from(T_CELL_STATES)).mixes == ()


def test_weak_support_in_a_dying_cluster_is_put_down_to_its_quality(evidence_from: MakeEvidence) -> None:
    dying = ClusterQuality(median_counts=500, median_genes=200, pct_mito=60, pct_ribo=10)
    evidence = evidence_from("SQSTM1 NQO1 TXNRD1 GCLM AKR1B1 G6PD").model_copy(update={"quality": dying})
    assert propose(evidence).unresolved is Unresolved.LOW_QUALITY


TUMOUR = "GAGE12E CT45A3 MAGEA4 LDHB GSTM3 SLPI CPA4 SPARC TPM2"


ACINAR = "CELA3A CELA3B CTRB1 CTRB2 PLA2G1B SPINK1 PRSS1 REG1A CLPS CPA1 CPB1 PNLIP"


def test_an_epithelial_type_gets_the_term_of_the_samples_organ(evidence_from: MakeEvidence) -> None:
    assert propose(evidence_from(ACINAR, "pancreas")).label == "pancreatic acinar cell"
    assert propose(evidence_from(ACINAR, "UBERON:0001264")).label == "pancreatic acinar cell"
    assert propose(evidence_from(ACINAR, "pancreas and liver")).label != "pancreatic acinar cell"


def test_genes_that_only_tumours_switch_on_forbid_a_normal_name(evidence_from: MakeEvidence) -> None:
    assert propose(evidence_from(TUMOUR, "lung")).unresolved is Unresolved.MALIGNANT
    melanoma = f"{TUMOUR} PMEL MLANA TYRP1 DCT TYR MITF SLC45A2"
    assert propose(evidence_from(melanoma, "skin")).unresolved is Unresolved.MALIGNANT


def test_they_are_normal_in_the_germ_line_and_one_alone_is_chance(evidence_from: MakeEvidence) -> None:
    assert propose(evidence_from(TUMOUR, "testis")).unresolved is not Unresolved.MALIGNANT
    assert propose(evidence_from(f"MAGEA4 {T_CELL_STATES}", "lung")).unresolved is None


def test_a_human_monocyte_gets_the_term_of_its_species(evidence_from: MakeEvidence) -> None:
    non_classical = "FCGR3A MS4A7 CDKN1C LST1 COTL1 RHOC HES4 SERPINA1 TCF7L2 LYPD2 CKB AIF1"
    assert propose(evidence_from(non_classical, "blood")).label == "CD14-low, CD16-positive monocyte"
    mouse = propose(evidence_from("Ly6c2 Ccr2 S100a4 Vcan F13a1 Fn1 Lyz2 Ms4a6c Plac8 Csf1r", "blood", "mouse"))
    assert mouse.cl_id is not None
    assert "CD14" not in str(mouse.label)


def test_a_rival_that_shares_the_genes_but_not_the_lineage_leaves_a_margin(evidence_from: MakeEvidence) -> None:
    b_cell = evidence_from("CD74 HLA-DRA HLA-DPB1 CD79A HLA-DPA1 CD79B HLA-DQA1 MS4A1 CD37 BANK1", "blood")
    assert propose(b_cell).margin > 0.2


def test_markers_of_another_lineage_contradict(evidence_from: MakeEvidence) -> None:
    proposal = propose(evidence_from("GCG TTR CHGB PCSK2 GC IRX2 TM4SF4 CRYBA2 CD3E LOXL4", "islets"))
    assert proposal.label == "pancreatic A cell"
    assert proposal.contradicting_genes == ("CD3E",)


def test_the_name_alone_is_that_of_the_proposal(islets: dict[str, Gold], evidence_from: MakeEvidence) -> None:
    unresolved = evidence_from("SQSTM1 NQO1 TXNRD1 GCLM AKR1B1 G6PD")
    for evidence in (*(gold.evidence for gold in islets.values()), unresolved, evidence_from("")):
        assert name_of(evidence) == propose(evidence).cl_id


def test_the_same_evidence_gets_the_same_proposal(islets: dict[str, Gold]) -> None:
    evidence = islets["ductal"].evidence
    assert propose(evidence) == propose(evidence.model_copy(update={"cluster": "7"}))


def _f1(clusters: tuple[Gold, ...]) -> float:
    scores = [ontology.hierarchical_score(propose(one.evidence).cl_id, one.gold_id).f1 for one in clusters]
    return sum(scores) / len(scores)


def test_published_clusters_agree_with_their_gold_labels_in_both_halves(published: tuple[Gold, ...]) -> None:
    assert min(_f1(published[::2]), _f1(published[1::2])) > 0.85


def test_nearly_all_published_clusters_are_named_and_none_is_of_another_lineage(published: tuple[Gold, ...]) -> None:
    named = [(propose(one.evidence), one.gold_id) for one in published]
    assert sum(proposal.cl_id is not None for proposal, _ in named) >= 0.9 * len(named)
    assert Relation.CONTRADICTION not in {ontology.relation(proposal.cl_id, gold_id) for proposal, gold_id in named}


def test_a_sure_proposal_is_right_more_often_than_an_unsure_one(published: tuple[Gold, ...]) -> None:
    right = (Relation.EXACT, Relation.FINER, Relation.COARSER)
    proposals = [(propose(one.evidence), one.gold_id) for one in published]
    borne_out = [(p.confidence >= 0.75, ontology.relation(p.cl_id, gold_id) in right) for p, gold_id in proposals]
    sure, unsure = [ok for is_sure, ok in borne_out if is_sure], [ok for is_sure, ok in borne_out if not is_sure]
    assert sum(sure) / len(sure) > 0.9 > sum(unsure) / len(unsure)


TENDON = "TNMD THBS4 CHODL COL1A1 DCN PDGFRA COL1A2 LUM SVEP1 TNFAIP6 SFRP2 PDGFRB MMP14"
"""What tendon cells have of their own first, then what all fibroblasts have."""


@pytest.mark.parametrize(
    ("genes", "label"), [(TENDON, "tendon cell"), ("COL1A1 DCN PDGFRA COL1A2 LUM PDGFRB MMP14", "fibroblast")]
)
def test_a_kind_is_named_only_where_its_own_list_fits_as_well_as_that_of_the_type(
    evidence_from: MakeEvidence, genes: str, label: str
) -> None:
    assert propose(evidence_from(genes, "")).label == label


def test_where_kinds_are_not_told_apart_the_type_is_named(evidence_from: MakeEvidence) -> None:
    never = replace(SETTLED, sure=1.1)
    assert name_of(evidence_from(TENDON, ""), never) == ontology.resolve("fibroblast")
