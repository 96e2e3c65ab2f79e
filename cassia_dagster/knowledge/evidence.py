"""The hard check: what code says of an annotation, from the cluster's markers and marker knowledge alone."""

from __future__ import annotations

from cassia_dagster.knowledge.candidates import propose, shortlist
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.records import Annotation, ClusterEvidence, EvidenceCheck, Finding

CLEAR = 0.75


def check_annotation(annotation: Annotation, evidence: ClusterEvidence) -> EvidenceCheck:
    """Check an annotation against the cluster's markers and marker knowledge."""
    ontology = load_ontology()
    names = [name for name in (annotation.label, annotation.general_celltype) if name]
    cl_id = next((found for name in names if (found := ontology.resolve(name))), None)
    up = {m.gene for m in evidence.markers if m.avg_log2FC > 0}
    cited = annotation.supporting_genes
    findings = [Finding.GENE_ABSENT] if any(g not in up for g in cited) else []
    candidates = shortlist(evidence)
    support = 0.0
    if names and cl_id is None:
        findings.append(Finding.LABEL_UNMAPPED)
    if cl_id is not None and candidates:
        related = [c.support for c in shortlist(evidence, 1000) if cl_id in ontology.ancestors(c.cl_id) or c.cl_id in ontology.ancestors(cl_id)]
        support = max(related, default=0.0) / candidates[0].support
        proposal = propose(evidence)
        if support == 0:
            findings.append(Finding.NO_MARKER_SUPPORT)
        if proposal.cl_id and proposal.confidence >= CLEAR and ontology.excludes(cl_id, proposal.cl_id):
            findings.append(Finding.LINEAGE_CONTRADICTION)
    return EvidenceCheck(
        cl_id=cl_id, cl_label=ontology.label(cl_id) if cl_id else None, support=min(1.0, support),
        cited_genes_up=tuple(g for g in cited if g in up), cited_genes_absent=tuple(g for g in cited if g not in up),
        candidates=candidates, findings=tuple(findings),
    )
