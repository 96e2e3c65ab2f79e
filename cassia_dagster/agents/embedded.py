"""A backend without a language model: it plays every role by rules, from marker knowledge and the Cell Ontology.

Deterministic, without key and network. It answers the typed request, never the prompt, and says where its
knowledge ends: what the markers do not support, it leaves unresolved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel

from cassia_dagster.agents.annotate import AnnotateRequest, AnnotateStep
from cassia_dagster.agents.boost import BoostRequest, BoostStep, BoostStrategy, Conclusion
from cassia_dagster.agents.compare import CompareRequest
from cassia_dagster.agents.embedded_analyses import compare, hypothesize
from cassia_dagster.agents.hypothesize import HypothesizeRequest
from cassia_dagster.agents.merge import MergeReply, MergeRequest, NamedCluster
from cassia_dagster.agents.namesakes import lead_of
from cassia_dagster.agents.score import ScoreReply, ScoreRequest
from cassia_dagster.agents.validate import ValidateRequest
from cassia_dagster.knowledge.belief import model_of
from cassia_dagster.knowledge.candidates import Proposal, propose, propose_kind, rival_kinds, shortlist
from cassia_dagster.knowledge.deciding import deciding_genes, leaning
from cassia_dagster.knowledge.ontology import Ontology, load_ontology
from cassia_dagster.knowledge.states import cell_state
from cassia_dagster.knowledge.versions import knowledge_version
from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.question import Question
from cassia_dagster.records import (
    Annotation,
    ClusterEvidence,
    Finding,
    GeneLookup,
    Grouping,
    Hypothesis,
    Record,
    Rubric,
    Unresolved,
    Verdict,
)

RULES_VERSION = "6"
"""Raised when a rule in this file changes, so that no answer of the old rules comes from the cache."""

N_MARKERS = 20
"""Markers that the first look weighs; the tail adds noise."""

N_MARKERS_BOOST = 50
"""Markers that the second look weighs."""

N_GENES_CITED = 8

N_HYPOTHESES = 3
"""What the second look tests: the present label, and its rivals."""

N_TESTED = 4
"""What it tests at most where other clusters bear the label too."""

N_GENES_ASKED = 10

NO_OPINION = "The embedded model knows marker genes and nothing else; ask a language model."
"""Its answer to every extra question."""

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


def annotate(request: AnnotateRequest) -> Annotation | AnnotateStep:
    """Name the type that the best markers speak for; after an objection, weigh more of them.

    Where it may ask, it has the deciding genes of the two best candidates looked up before it answers.
    """
    n_markers = N_MARKERS_BOOST if request.earlier else N_MARKERS
    proposal = propose(request.evidence, n_markers)
    if request.rounds_left and not request.lookups and proposal.confidence < SURE:
        genes = tuple(gene for one in _hypotheses(request.evidence, None, proposal.cl_id) for gene in one.genes)
        if genes:
            return AnnotateStep(genes=genes[:N_GENES_ASKED])
    annotation = _annotation(request.evidence, proposal)
    return AnnotateStep(annotation=annotation) if request.rounds_left else annotation


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
    exact = 1.0 if request.check.cl_id == proposal.cl_id or _is_borne_out(request, proposal) else OFF_BY_A_LEVEL
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
            f"The best markers speak for {proposal.label or 'no type'} with a confidence of {100 * confidence:.0f} %; "
            f"it explains {100 * proposal.coverage:.0f} % of their weight, and the best rival fits "
            f"{100 * proposal.margin:.0f} % worse."
        ),
    )


def boost(request: BoostRequest) -> BoostStep | Conclusion:
    """Test the present label and its best rivals by the genes that tell them apart, then decide."""
    if request.rounds_left and (hypotheses := _untested(request)):
        return BoostStep(hypotheses=hypotheses)
    conclusion = _conclude(request)
    return BoostStep(conclusion=conclusion) if request.rounds_left else conclusion


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
    CompareRequest: compare,
    HypothesizeRequest: hypothesize,
}


def _untested(request: BoostRequest) -> tuple[Hypothesis, ...]:
    """Give what this round is to test: in depth, the best rival that was not tested; in breadth, all at once."""
    tested = {one.celltype for each in request.rounds for one in each.hypotheses}
    present = request.check.cl_id if request.check else None
    usual = _hypotheses(request.evidence, present, *(one.cl_id for one in _readings(request)))
    kinds = _kinds(request)
    named = {one.celltype for one in kinds}
    hypotheses = (*kinds, *(one for one in usual if one.celltype not in named))[:N_TESTED]
    if request.strategy is BoostStrategy.BREADTH:
        return () if tested else hypotheses
    label = load_ontology().label(present) if present else None
    return tuple(one for one in hypotheses if one.celltype not in {*tested, label})[:1]


def _kinds(request: BoostRequest) -> tuple[Hypothesis, ...]:
    """Set two kinds of the name against each other, where other clusters bear it too."""
    pair, model, ontology = _rival_kinds(request), model_of(request.evidence), load_ontology()
    told = [deciding_genes(model, one, (other,)) for one, other in zip(pair, pair[::-1], strict=True)]
    return tuple(
        Hypothesis(celltype=ontology.label(kind), genes=genes) for kind, genes in zip(pair, told, strict=True) if genes
    )


def _is_borne_out(request: ScoreRequest, proposal: Proposal) -> bool:
    """Tell whether the label is a kind of what the markers speak for, told by genes from clusters of the same name."""
    pair = rival_kinds(request.evidence, proposal.cl_id) if proposal.cl_id and request.namesakes else None
    if pair is None or request.check.cl_id not in pair:
        return False
    rivals = [one for one in pair if one != request.check.cl_id]
    return lead_of(request.evidence, request.lookups, request.namesakes, request.check.cl_id, rivals).is_clear


def _rival_kinds(request: BoostRequest) -> tuple[str, ...]:
    if not request.namesakes or request.check is None or request.check.cl_id is None:
        return ()
    return rival_kinds(request.evidence, request.check.cl_id) or ()


def _hypotheses(evidence: ClusterEvidence, *terms: str | None) -> tuple[Hypothesis, ...]:
    """Set the first of the terms against the others, and against the candidates that the markers speak for next."""
    candidates = (one.cl_id for one in shortlist(evidence, limit=10, n_markers=N_MARKERS_BOOST))
    known = tuple(dict.fromkeys(term for term in (*terms, *candidates) if term))
    if not known:
        return ()
    first, *others = known
    # Some terms are one type under two names: no gene tells them apart.
    told_apart = {term: deciding_genes(evidence.species, term, (first,)) for term in others}
    rivals = dict(islice(((term, genes) for term, genes in told_apart.items() if genes), N_HYPOTHESES - 1))
    genes = {first: deciding_genes(evidence.species, first, tuple(rivals)), **rivals}
    ontology = load_ontology()
    return tuple(Hypothesis(celltype=ontology.label(term), genes=own) for term, own in genes.items() if own)


def _readings(request: BoostRequest) -> tuple[Proposal, ...]:
    """Read more markers than the first look, and the genes that set the cluster apart from its look-alike."""
    wider = propose(request.evidence, N_MARKERS_BOOST)
    if not request.contrast:
        return (wider,)
    return (wider, propose(request.evidence.model_copy(update={"markers": request.contrast}), N_MARKERS))


def _conclude(request: BoostRequest) -> Conclusion:
    """Take the surer reading, if the genes that were looked up do not speak against it."""
    readings = _readings(request)
    best = max(readings, key=lambda proposal: proposal.confidence)
    lookups = tuple(one for each in request.rounds for one in each.lookups)
    tested = tuple(dict.fromkeys(one.celltype for each in request.rounds for one in each.hypotheses))
    annotation = _annotation(request.evidence, best)
    present = request.check.cl_id if request.check else None
    pair = _rival_kinds(request)
    if pair and (told := _tell_apart(request, pair, lookups, tested)):
        return told
    decision = f"The surer reading of the markers is {best.label or 'no type'}"
    if best.cl_id and best.cl_id != present:
        terms = tuple(term for name in tested if (term := load_ontology().resolve(name)) and term != best.cl_id)
        rivals = (present,) if present else terms
        borne_out = leaning(request.evidence.species, lookups, best.cl_id, rivals)
        decision += f"; the genes that tell it from its rivals lean to it by {borne_out:+.2f}"
        if borne_out <= 0 and request.annotation is not None:
            annotation, decision = request.annotation, f"{decision}, which is no reason to change"
    return Conclusion(
        annotation=annotation,
        explanation=f"Tested: {'; '.join(tested) or 'nothing'}. {decision}.",
        additional_answer=NO_OPINION if request.additional_task else "",
    )


def _tell_apart(
    request: BoostRequest, pair: tuple[str, ...], lookups: tuple[GeneLookup, ...], tested: tuple[str, ...]
) -> Conclusion | None:
    """Call one of several clusters of a name by a kind of it; nothing is concluded where genes do not tell it."""
    ontology = load_ontology()
    if not {ontology.label(kind) for kind in pair} <= set(tested):
        return None
    rivals = {kind: [one for one in pair if one != kind] for kind in pair}
    leads = {kind: lead_of(request.evidence, lookups, request.namesakes, kind, rivals[kind]) for kind in pair}
    kind = next((kind for kind in pair if leads[kind].is_clear), None)
    if kind is None:
        return None
    return Conclusion(
        annotation=_annotation(request.evidence, propose_kind(request.evidence, kind)),
        explanation=(
            f"Tested: {'; '.join(tested)}. Against the clusters of the same name ({' and '.join(request.namesakes)}), "
            f"genes lean to {ontology.label(kind)} by {leads[kind].over:+.2f}."
        ),
        additional_answer=NO_OPINION if request.additional_task else "",
    )


def _annotation(evidence: ClusterEvidence, proposal: Proposal) -> Annotation:
    state = cell_state(evidence.markers)
    if proposal.unresolved or proposal.label is None:
        return Annotation(
            general_celltype=None,
            cell_state=state,
            mixed_celltypes=proposal.mixes,
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
        cell_state=state,
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
