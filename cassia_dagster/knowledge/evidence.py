"""The hard check: what code says of an annotation, from the cluster's markers and marker knowledge alone."""

from __future__ import annotations

import numpy as np

from cassia_dagster.knowledge.belief import Belief, TypeModel, believe, model_of, speaking_genes
from cassia_dagster.knowledge.candidates import propose, shortlist
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import resolve_name
from cassia_dagster.records import Annotation, ClusterEvidence, EvidenceCheck, Finding, rounded

# Confidence from which a proposal may be held against a label; no gold label of the development clusters is so hit.
_CLEAR = 0.6
# Confidence of the proposal below which the markers bear out no label.
_BORNE_OUT = 0.5
# A label whose fit is below this share of the proposal's is not just another name for it.
_MUCH_WEAKER = 0.6


def check_annotation(
    annotation: Annotation, evidence: ClusterEvidence, also_up: frozenset[str] = frozenset()
) -> EvidenceCheck:
    """Hold an annotation against the cluster's markers.

    Parameters
    ----------
    annotation
        What a model said. Its label is read as a Cell Ontology term; where that fails, its general cell type.
    evidence
        The cluster that it is about.
    also_up
        Genes that were looked up in the matrix and found up, though they are not among the markers that are kept.

    Returns
    -------
    EvidenceCheck
        The same for the same input. A label of whose markers nothing is known gets no finding about them, and support
        0. A lineage contradiction is found only where the proposal from marker knowledge is confident.
    """
    ontology, model = load_ontology(), model_of(evidence)
    cl_id = _resolve(annotation, evidence)
    up, absent = _cited_genes(model, annotation, evidence, also_up)
    belief = believe(evidence)
    findings = [Finding.GENE_ABSENT] if absent else []
    support = 0.0
    if cl_id is None and annotation.label is not None:
        findings.append(Finding.LABEL_UNMAPPED)
    if cl_id is not None and belief is not None:
        support = _relative_support(model, belief, cl_id)
        findings += _marker_findings(model, belief, cl_id, evidence)
    return EvidenceCheck(
        cl_id=cl_id,
        cl_label=ontology.label(cl_id) if cl_id is not None else None,
        support=rounded(support),
        cited_genes_up=up,
        cited_genes_absent=absent,
        candidates=shortlist(evidence),
        findings=tuple(findings),
    )


def _resolve(annotation: Annotation, evidence: ClusterEvidence) -> str | None:
    names = (name for name in (annotation.label, annotation.general_celltype) if name is not None)
    read = (resolve_name(name, evidence.tissue, evidence.species).cl_id for name in names)
    return next((cl_id for cl_id in read if cl_id is not None), None)


def _cited_genes(
    model: TypeModel, annotation: Annotation, evidence: ClusterEvidence, also_up: frozenset[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cited genes that are up in the cluster, and the others; case and former symbols do not matter."""
    up = [*(marker.gene for marker in evidence.markers if marker.is_up), *also_up]
    names = {gene.casefold() for gene in up}
    rows = {row for gene in up if (row := model.knowledge.row(gene)) is not None}
    cited = tuple(dict.fromkeys(annotation.supporting_genes))
    found = tuple(gene for gene in cited if gene.casefold() in names or model.knowledge.row(gene) in rows)
    return found, tuple(gene for gene in cited if gene not in found)


def _relative_support(model: TypeModel, belief: Belief, cl_id: str) -> float:
    related = model.on_path(cl_id)
    best = float(belief.standing.max())
    return float(np.clip(belief.standing[related].max(initial=0) / best, 0, 1)) if best > 0 else 0.0


def _marker_findings(model: TypeModel, belief: Belief, cl_id: str, evidence: ClusterEvidence) -> list[Finding]:
    related = model.on_path(cl_id)
    findings = []
    if related.any() and not speaking_genes(model, belief, related):
        findings.append(Finding.NO_MARKER_SUPPORT)
    proposal = propose(evidence)
    if related.any() and (proposal.cl_id is None or proposal.confidence < _BORNE_OUT):
        findings.append(Finding.WEAK_SUPPORT)
    if proposal.cl_id is None or proposal.confidence < _CLEAR:
        return findings
    if model.ontology.excludes(cl_id, proposal.cl_id):
        findings.append(Finding.LINEAGE_CONTRADICTION)
    elif related.any() and proposal.cl_id not in model.ontology.ancestors(cl_id):
        fit = belief.fit[model.on_path(proposal.cl_id)].max()
        if belief.fit[related].max() < _MUCH_WEAKER * fit:
            findings.append(Finding.MARKERS_FAVOUR_OTHER)
    return findings
