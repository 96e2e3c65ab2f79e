"""A backend without a language model: it plays every role by rules, from marker knowledge and the Cell Ontology.

Deterministic, without key and network. It answers the typed request, never the prompt, and says where its
knowledge ends: what the markers do not support, it leaves unresolved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from cassia_dagster.agents.annotate import AnnotateRequest
from cassia_dagster.agents.boost import BoostReply, BoostRequest
from cassia_dagster.agents.merge import MergeReply, MergeRequest, NamedCluster
from cassia_dagster.agents.score import ScoreReply, ScoreRequest
from cassia_dagster.agents.validate import ValidateRequest
from cassia_dagster.knowledge.candidates import Proposal, propose
from cassia_dagster.knowledge.ontology import Ontology, load_ontology
from cassia_dagster.knowledge.versions import knowledge_version
from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.question import Question
from cassia_dagster.records import (
    Annotation,
    ClusterEvidence,
    Finding,
    Grouping,
    Marker,
    Record,
    Rubric,
    Unresolved,
    Verdict,
)

RULES_VERSION = "2"
"""Raised when a rule in this file changes, so that no answer of the old rules comes from the cache."""

N_MARKERS = 20
"""Markers that the first look weighs; the tail adds noise."""

N_MARKERS_BOOST = 50
"""Markers that the second look weighs."""

N_GENES_CITED = 8

SURE = 0.75
"""Confidence from which on a wrong lineage is nearly excluded (see `cassia_dagster.knowledge.candidates`)."""

UNSURE_CEILING = 0.7
"""Share of the full rating that an unsure label can reach: its total stays below the threshold of the boost."""

OFF_BY_A_LEVEL = 0.7
"""Share of the rating for specificity if the markers speak for a parent or a kind of the label."""

CLEAR_MARGIN = 0.4
"""Margin over the best rival that counts as ruling it out."""

OBJECTIONS = {
    Finding.GENE_ABSENT: "A cited gene is no marker of this cluster.",
    Finding.NO_MARKER_SUPPORT: "None of the cluster's markers is known to speak for the label.",
    Finding.LINEAGE_CONTRADICTION: "The markers speak for a lineage that excludes the label's.",
}
"""Findings that the validator sends an annotation back for."""


class EmbeddedBackend:
    """Answers the requests of all roles from what ships with the package."""

    provider = "embedded"

    @property
    def model(self) -> str:
        """The version of the knowledge that the answers come from."""
        return f"knowledge-{knowledge_version()}"

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        """Tell what decides an answer: the request, the rules and the knowledge."""
        return {
            "provider": self.provider,
            "model": self.model,
            "rules": RULES_VERSION,
            "request": question.request.model_dump(mode="json"),
        }

    def answer(self, question: Question[Any]) -> RawReply:
        """Answer a request of a role that has a rule.

        Raises
        ------
        TypeError
            If there is no rule for such a request.
        """
        rule = RULES.get(type(question.request))
        if rule is None:
            raise TypeError(f"The embedded backend has no rule for {type(question.request).__name__}.")
        reply = rule(question.request)
        return RawReply(text=reply.model_dump_json(), finish_reason="stop", model=self.model, usd=0.0)


def annotate(request: AnnotateRequest) -> Annotation:
    """Name the type that the best markers speak for; after an objection, weigh more of them."""
    n_markers = N_MARKERS_BOOST if request.earlier else N_MARKERS
    return _annotation(propose(request.evidence, n_markers))


def validate(request: ValidateRequest) -> Verdict:
    """Accept what the evidence check finds nothing serious against."""
    objections = [OBJECTIONS[finding] for finding in request.check.findings if finding in OBJECTIONS]
    return Verdict(
        accepted=not objections,
        reasons=" ".join(objections) or "The evidence check found nothing against it.",
        mixed=bool(request.annotation.mixed_celltypes),
    )


def score(request: ScoreRequest) -> ScoreReply:
    """Rate a label by what the best markers say of it: confidence, coverage, and the margin over its rivals."""
    proposal = propose(request.evidence, N_MARKERS)
    agreed = _share_of_agreement(request.check.cl_id, proposal)
    confidence = agreed * proposal.confidence
    exact = 1.0 if request.check.cl_id == proposal.cl_id else OFF_BY_A_LEVEL
    # Where a wrong lineage is not nearly excluded, no part may be rated high, however well the genes are covered.
    ceiling = 1.0 if confidence >= SURE else UNSURE_CEILING
    parts = {
        "identity": confidence,
        "specificity": confidence * exact,
        "balance": agreed * proposal.coverage,
        "alternatives": agreed * min(1.0, proposal.margin / CLEAR_MARGIN),
    }
    return ScoreReply(
        rubric=Rubric(**{part: round(10 * min(value, ceiling)) for part, value in parts.items()}),
        reasoning=(
            f"The best markers speak for {proposal.label or 'no type'} with a confidence of {confidence:.0%}; "
            f"it explains {proposal.coverage:.0%} of their weight, and the best rival fits {proposal.margin:.0%} worse."
        ),
    )


def boost(request: BoostRequest) -> BoostReply:
    """Weigh more markers, then the genes that set the cluster apart from its look-alike; keep what both support."""
    wider = propose(request.evidence, N_MARKERS_BOOST)
    readings = [wider]
    if request.contrast:
        readings.append(propose(_with_markers(request.evidence, request.contrast), N_MARKERS))
    best = max(readings, key=lambda proposal: proposal.confidence)
    return BoostReply(
        annotation=_annotation(best),
        explanation=(
            f"The best {N_MARKERS_BOOST} markers speak for {wider.label or 'no type'}"
            + (
                f"; against the most similar cluster, the markers speak for {readings[1].label or 'no type'}."
                if request.contrast
                else "; there is no similar cluster to compare with."
            )
        ),
    )


def merge(request: MergeRequest) -> MergeReply:
    """Group by ontology: the lineage, the family that clusters share, the type."""
    ontology = load_ontology()
    terms = {one.cl_id for one in request.clusters if one.cl_id}
    return MergeReply(groupings=tuple(_grouping(ontology, one, terms) for one in request.clusters))


RULES: dict[type[BaseModel], Callable[[Any], Record]] = {
    AnnotateRequest: annotate,
    ValidateRequest: validate,
    ScoreRequest: score,
    BoostRequest: boost,
    MergeRequest: merge,
}


def _annotation(proposal: Proposal) -> Annotation:
    if proposal.unresolved or proposal.label is None:
        return Annotation(
            general_celltype=None,
            unresolved=proposal.unresolved or Unresolved.WEAK_SUPPORT,
            supporting_genes=proposal.supporting_genes[:N_GENES_CITED],
            rationale=_rationale(proposal),
        )
    ontology = load_ontology()
    kin = [
        candidate.label
        for candidate in proposal.alternatives
        if proposal.cl_id is not None and not ontology.excludes(candidate.cl_id, proposal.cl_id)
    ]
    return Annotation(
        general_celltype=proposal.general_label or proposal.label,
        subtypes=(proposal.label, *kin[:2]),
        supporting_genes=proposal.supporting_genes[:N_GENES_CITED],
        contradicting_genes=proposal.contradicting_genes[:N_GENES_CITED],
        rationale=_rationale(proposal),
    )


def _rationale(proposal: Proposal) -> str:
    genes = ", ".join(proposal.supporting_genes[:N_GENES_CITED])
    if proposal.unresolved:
        if not proposal.alternatives:
            return "None of the cluster's markers is known to speak for any type."
        return f"Marker knowledge does not settle on a type; the closest is {proposal.alternatives[0].label} ({genes})."
    return f"{genes} are known markers of {proposal.label}."


def _share_of_agreement(cl_id: str | None, proposal: Proposal) -> float:
    """Return how far a label is what the markers propose: 1 on one ontology path, else the overlap of ancestors."""
    if cl_id is None or proposal.cl_id is None:
        return 0.0
    ontology = load_ontology()
    if cl_id in ontology.ancestors(proposal.cl_id) or proposal.cl_id in ontology.ancestors(cl_id):
        return 0.0 if ontology.is_root_level(cl_id) else 1.0
    return 0.5 * ontology.hierarchical_score(cl_id, proposal.cl_id).f1


def _with_markers(evidence: ClusterEvidence, markers: tuple[Marker, ...]) -> ClusterEvidence:
    return evidence.model_copy(update={"markers": markers})


def _grouping(ontology: Ontology, one: NamedCluster, terms: set[str]) -> Grouping:
    if one.cl_id is None:
        return Grouping(cluster=one.cluster, broad=one.label, intermediate=one.label, detailed=one.label)
    family = _family(ontology, one.cl_id, terms)
    lineage = ontology.lineage(family)
    return Grouping(
        cluster=one.cluster,
        # A function of the family alone, so that the levels nest.
        broad=ontology.label(lineage if lineage in ontology.ancestors(family) else family),
        intermediate=ontology.label(family),
        detailed=ontology.label(one.cl_id),
    )


def _family(ontology: Ontology, cl_id: str, terms: set[str]) -> str:
    """Return the broadest of the clusters' terms above this one, else the closest that it shares with another."""
    above = ontology.ancestors(cl_id)
    if broader := (terms & above) - {cl_id}:
        return max(broader, key=lambda term: (ontology.n_descendants(term), term))
    others = terms - {cl_id}
    if any(cl_id in ontology.ancestors(other) for other in others):
        return cl_id
    shared = {
        term
        for term in above - {ontology.lineage(cl_id)}
        if not ontology.is_root_level(term) and any(term in ontology.ancestors(other) for other in others)
    }
    return min(shared, key=lambda term: (ontology.n_descendants(term), term), default=cl_id)
