"""What marker knowledge alone makes of a cluster: a ranked shortlist, and one proposal with its confidence."""

from __future__ import annotations

import numpy as np

from cassia_dagster.knowledge.belief import (
    Belief,
    Flags,
    TypeModel,
    believe,
    informative_markers,
    load_model,
    rank_discounts,
)
from cassia_dagster.knowledge.ontology import Ontology
from cassia_dagster.records import Candidate, ClusterEvidence, Fraction, Record, Unresolved

_N_MARKERS = 20
_HALF_FIT = 0.08  # fit at which confidence is halved
_MIN_CONFIDENCE = 0.25
_SPEAKS = 0.02  # weight below which a gene does not speak for a type
_MIXED_LINEAGE = 0.65  # below this share of the belief in lineages, a rival lineage may be as true
_MIXED_FIT = 0.15
_FEW_INFORMATIVE = 0.25
_HIGH_MITO = 30.0


class Proposal(Record):
    """The cell type that marker knowledge proposes for a cluster, and how sure it may be."""

    cl_id: str | None
    """The most detailed term that the markers bear: an ancestor where siblings cannot be told apart."""
    label: str | None
    general_id: str | None
    """The broad type: the lineage of the chosen term."""
    general_label: str | None
    alternatives: tuple[Candidate, ...]
    """The shortlist without the chosen term; filled for unresolved clusters too."""
    supporting_genes: tuple[str, ...]
    """Markers that speak for the chosen term or its kinds, strongest first."""
    contradicting_genes: tuple[str, ...]
    """Markers that the chosen type does not express, or that speak for a lineage that excludes it."""
    margin: Fraction
    """How much worse the best rival fits that is neither a kind of the chosen term nor above it; 1 without any."""
    coverage: Fraction
    """Rank-discounted share of the informative markers that speak for the chosen term or its kinds."""
    confidence: Fraction
    """From 0.75 on, nearly never of a wrong lineage; kept for unresolved clusters, where it is low."""
    unresolved: Unresolved | None


def shortlist(evidence: ClusterEvidence, limit: int = 5, n_markers: int = _N_MARKERS) -> tuple[Candidate, ...]:
    """Cell types that a cluster's markers speak for, best first.

    Parameters
    ----------
    evidence
        The cluster; its markers best first, its tissue as free text.
    limit
        How many candidates to give at most.
    n_markers
        How many informative markers to read.

    Returns
    -------
    tuple of Candidate
        Empty where no marker is known to speak for any type.
    """
    belief = believe(evidence, n_markers)
    return () if belief is None else _shortlist(load_model(evidence.species), belief, limit)


def _shortlist(model: TypeModel, belief: Belief, limit: int) -> tuple[Candidate, ...]:
    types = model.knowledge.types
    best = sorted(np.flatnonzero(belief.fit > 0), key=lambda i: (-belief.standing[i], types[i]))[:limit]
    return tuple(
        Candidate(
            cl_id=types[i],
            label=model.ontology.label(types[i]),
            support=float(np.clip(belief.standing[i], 0, 1)),
            genes=_speaking_genes(model, belief, np.arange(len(types)) == i),
        )
        for i in best
    )


def _speaking_genes(model: TypeModel, belief: Belief, types: Flags) -> tuple[str, ...]:
    loudness: dict[str, float] = {}
    for marker, discount in zip(belief.markers, rank_discounts(len(belief.markers)), strict=True):
        row = model.knowledge.row(marker.gene)
        if row is not None and (weight := float(model.knowledge.weights[row, types].max())) > _SPEAKS:
            loudness[marker.gene] = weight * float(discount)
    return tuple(sorted(loudness, key=lambda gene: (-loudness[gene], gene)))


def propose(evidence: ClusterEvidence, n_markers: int = _N_MARKERS) -> Proposal:
    r"""The type that marker knowledge proposes for a cluster.

    Of all terms, the one whose hierarchical F1 with the truth is highest in expectation: one type where it stands out,
    the common ancestor where its kinds share the belief. Its confidence is the product of the probability of its
    lineage, :math:`s^2 / (s^2 + 0.08^2)` for its fit s, and the mean of 1 and the probability of the types on its path
    in the ontology.

    Parameters
    ----------
    evidence
        The cluster; its markers best first, its tissue as free text.
    n_markers
        How many informative markers to read.
    """
    model, belief = load_model(evidence.species), believe(evidence, n_markers)
    if belief is None:
        reason = Unresolved.LOW_QUALITY if _is_low_quality(evidence, n_markers) else Unresolved.NO_MARKERS
        return _unresolved(reason, (), 0.0)
    chosen = model.answers[int(np.argmax(model.agreement @ belief.probability))]
    on_path = model.on_path(chosen)
    fit = float(belief.fit[on_path].max())
    supporting = _speaking_genes(model, belief, on_path)
    contradicting = _contradicting_genes(model, belief, chosen, frozenset(supporting))
    confidence = _confidence(model, belief, chosen, fit, on_path) * (1 - _share(belief, frozenset(contradicting)))
    reason_or_none = _why_unresolved(model, belief, evidence, chosen, fit, confidence, n_markers)
    candidates = _shortlist(model, belief, 6)
    if reason_or_none is not None:
        return _unresolved(reason_or_none, candidates[:5], confidence)
    general = _general(model.ontology, chosen)
    return Proposal(
        cl_id=chosen,
        label=model.ontology.label(chosen),
        general_id=general,
        general_label=model.ontology.label(general),
        alternatives=tuple(c for c in candidates if c.cl_id != chosen)[:5],
        supporting_genes=supporting,
        contradicting_genes=contradicting,
        margin=_margin(belief, fit, on_path),
        coverage=_share(belief, frozenset(supporting)),
        confidence=confidence,
        unresolved=None,
    )


def _confidence(model: TypeModel, belief: Belief, chosen: str, fit: float, on_path: Flags) -> float:
    of_lineage = [lineage in model.ontology.lineages(chosen) for lineage in model.lineages]
    lineage = belief.lineage_probability[of_lineage].sum()
    path = belief.probability[on_path].sum()
    return float(np.clip(lineage * fit**2 / (fit**2 + _HALF_FIT**2) * (1 + path) / 2, 0, 1))


def _why_unresolved(
    model: TypeModel,
    belief: Belief,
    evidence: ClusterEvidence,
    chosen: str,
    fit: float,
    confidence: float,
    n_markers: int,
) -> Unresolved | None:
    excluded = np.array([model.ontology.excludes(chosen, t) for t in model.knowledge.types])
    rival = float(belief.fit[excluded].max(initial=0))
    of_lineage = [lineage in model.ontology.lineages(chosen) for lineage in model.lineages]
    mixed = belief.lineage_probability[of_lineage].sum() < _MIXED_LINEAGE and rival > _MIXED_FIT
    if mixed and rival > 0.75 * fit:
        return Unresolved.CONFLICTING_SUPPORT
    if confidence >= _MIN_CONFIDENCE:
        return None
    return Unresolved.LOW_QUALITY if _is_low_quality(evidence, n_markers) else Unresolved.WEAK_SUPPORT


def _is_low_quality(evidence: ClusterEvidence, n_markers: int) -> bool:
    """Whether the cluster is known by stress, ribosomes and mitochondria rather than by what it is."""
    if evidence.quality is not None and evidence.quality.pct_mito >= _HIGH_MITO:
        return True
    first = evidence.model_copy(update={"markers": evidence.markers[:n_markers]})
    return bool(first.markers) and len(informative_markers(first, n_markers)) < _FEW_INFORMATIVE * len(first.markers)


def _unresolved(reason: Unresolved, candidates: tuple[Candidate, ...], confidence: float) -> Proposal:
    return Proposal(
        cl_id=None,
        label=None,
        general_id=None,
        general_label=None,
        alternatives=candidates,
        supporting_genes=(),
        contradicting_genes=(),
        margin=0.0,
        coverage=0.0,
        confidence=confidence,
        unresolved=reason,
    )


def _general(ontology: Ontology, chosen: str) -> str:
    """The lineage where the term is a kind of it, else the broadest anchor above the term (platelet)."""
    lineage = ontology.lineage(chosen)
    if lineage is not None and lineage in ontology.ancestors(chosen):
        return lineage
    return max(ontology.anchors(chosen), key=lambda cl_id: (ontology.n_descendants(cl_id), cl_id))


def _margin(belief: Belief, fit: float, on_path: Flags) -> float:
    rival = float(belief.fit[~on_path].max(initial=0))
    return float(np.clip((fit - rival) / fit, 0, 1)) if fit > 0 else 0.0


def _share(belief: Belief, genes: frozenset[str]) -> float:
    """Rank-discounted share of the informative markers that are among the genes."""
    discounts = rank_discounts(len(belief.markers))
    return float(discounts[[marker.gene in genes for marker in belief.markers]].sum() / discounts.sum())


def _contradicting_genes(
    model: TypeModel, belief: Belief, chosen: str, supporting: frozenset[str]
) -> tuple[str, ...]:
    above = model.ontology.ancestors(chosen)
    not_expressed = frozenset[str]().union(*(model.knowledge.against.get(cl_id, frozenset()) for cl_id in above))
    excluded = np.array([model.ontology.excludes(chosen, lineage) for lineage in model.lineages])

    def speaks_for_other(gene: str) -> bool:
        row = model.knowledge.row(gene)
        if row is None or gene in supporting or not excluded.any():
            return False
        odds = np.exp(model.lineage_log_odds[row])
        return bool(odds[excluded].max() > odds.sum() / 2)

    return tuple(m.gene for m in belief.markers if m.gene in not_expressed or speaks_for_other(m.gene))
