"""What marker knowledge alone makes of a cluster: a ranked shortlist, and one proposal with its confidence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cassia_dagster.knowledge.abnormal import is_low_quality, is_malignant
from cassia_dagster.knowledge.anatomy import organ_adjectives
from cassia_dagster.knowledge.belief import (
    Belief,
    Flags,
    TypeModel,
    believe,
    model_of,
    rank_discounts,
    speaking_genes,
)
from cassia_dagster.knowledge.markers import species_term
from cassia_dagster.knowledge.ontology import Ontology
from cassia_dagster.knowledge.weighing import SETTLED, Weighing
from cassia_dagster.records import Candidate, ClusterEvidence, Fraction, Record, Unresolved, rounded

_N_ALTERNATIVES = 5
_RIVAL_FIT = 0.2  # of the chosen type's fit, below which another lineage is no rival
_EPITHELIUM = "CL:0000066"


class Proposal(Record):
    """The cell type that marker knowledge proposes for a cluster, and how sure it may be."""

    cl_id: str | None
    """The most detailed term that the markers bear: an ancestor where siblings cannot be told apart.

    ``None`` where the cluster is unresolved; the genes and figures below then speak of the closest term.
    """
    label: str | None
    general_id: str | None
    """The broad type: the lineage of the chosen term."""
    general_label: str | None
    alternatives: tuple[Candidate, ...]
    """The shortlist without the chosen term."""
    supporting_genes: tuple[str, ...]
    """Markers that speak for the chosen term or its kinds, strongest first."""
    contradicting_genes: tuple[str, ...]
    """Markers that the chosen type does not express, or that speak for a lineage that excludes it."""
    margin: Fraction
    """How far behind the best rival stands that is neither a kind of the chosen term nor above it; 1 without any."""
    coverage: Fraction
    """Rank-discounted share of the informative markers that speak for the chosen term or its kinds."""
    confidence: Fraction
    """From 0.75 on, nearly never of a wrong lineage."""
    unresolved: Unresolved | None
    mixes: tuple[str, ...] = ()
    """Where the support is conflicting, the types of the two lineages that the markers speak for."""


def shortlist(evidence: ClusterEvidence, limit: int = 5, n_markers: int = SETTLED.n_markers) -> tuple[Candidate, ...]:
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
    return () if belief is None else _shortlist(model_of(evidence), belief, limit)


def _shortlist(model: TypeModel, belief: Belief, limit: int) -> tuple[Candidate, ...]:
    types = model.knowledge.types
    best = sorted(np.flatnonzero(belief.fit > 0), key=lambda i: (-belief.standing[i], types[i]))[:limit]
    return tuple(
        Candidate(
            cl_id=types[i],
            label=model.ontology.label(types[i]),
            support=rounded(np.clip(belief.standing[i], 0, 1)),
            genes=speaking_genes(model, belief, np.arange(len(types)) == i),
        )
        for i in best
    )


def propose(evidence: ClusterEvidence, n_markers: int | None = None, weighing: Weighing = SETTLED) -> Proposal:
    r"""The type that marker knowledge proposes for a cluster.

    Of all terms, the one whose hierarchical F1 with the truth is highest in expectation: one type where it stands out,
    the common ancestor where its kinds share the belief. Where that is sure, and the own list of one of its kinds fits
    no worse and those of the others clearly do, that kind. Its confidence is the product of the probability of its
    lineage, :math:`s^2 / (s^2 + 0.08^2)` for its fit s, and the mean of 1 and the probability of the types on its path
    in the ontology.

    Parameters
    ----------
    evidence
        The cluster; its markers best first, its tissue as free text.
    n_markers
        How many informative markers to read, if not as many as ``weighing`` says.
    weighing
        What the choice hangs on.
    """
    n_markers = weighing.n_markers if n_markers is None else n_markers
    model, belief = model_of(evidence, weighing), believe(evidence, n_markers, weighing)
    if belief is None:
        return _nothing_known(_why_nothing_known(evidence, n_markers))
    reading = _choose(model, belief)
    return _proposal(model, belief, reading, _why_unresolved(evidence, n_markers, reading, weighing))


def propose_kind(evidence: ClusterEvidence, cl_id: str) -> Proposal:
    """Argue as `propose` does for a term that was found otherwise.

    Parameters
    ----------
    evidence
        The cluster; some of its markers must be known to speak for a type.
    cl_id
        The term.

    Raises
    ------
    ValueError
        If no marker is known to speak for any type.
    """
    model, belief = model_of(evidence), believe(evidence, SETTLED.n_markers)
    if belief is None:
        raise ValueError(f"No marker of cluster {evidence.cluster} is known to speak for any type.")
    return _proposal(model, belief, _read(model, belief, cl_id), None)


def rival_kinds(evidence: ClusterEvidence, cl_id: str) -> tuple[str, str] | None:
    """Return the two kinds of a term that the markers speak for most, of which no cell is both as far as is known.

    Parameters
    ----------
    evidence, cl_id
        The cluster, and a Cell Ontology term.

    Returns
    -------
    tuple of str or None
        Cell Ontology terms, the best first; ``None`` where there are no two.
    """
    model, belief = model_of(evidence), believe(evidence, SETTLED.n_markers)
    if belief is None:
        return None
    types = model.knowledge.types
    held = np.flatnonzero(model.kinds(cl_id) & (belief.fit > 0))
    kinds = [types[i] for i in sorted(held, key=lambda i: (-belief.standing[i], types[i]))]
    rival = next((one for one in kinds[1:] if model.are_apart(kinds[0], one)), None)
    return None if rival is None else (kinds[0], rival)


def _proposal(model: TypeModel, belief: Belief, reading: _Reading, reason: Unresolved | None) -> Proposal:
    named = reading.chosen if reason is None else None
    general = _general(model.ontology, named) if named is not None else None
    others = (candidate for candidate in _shortlist(model, belief, _N_ALTERNATIVES + 1) if candidate.cl_id != named)
    return Proposal(
        cl_id=named,
        label=model.ontology.label(named) if named is not None else None,
        general_id=general,
        general_label=model.ontology.label(general) if general is not None else None,
        alternatives=tuple(others)[:_N_ALTERNATIVES],
        supporting_genes=reading.supporting,
        contradicting_genes=_contradicting_genes(model, belief, reading),
        margin=_margin(belief, reading),
        coverage=_share(belief, frozenset(reading.supporting)),
        confidence=reading.confidence,
        unresolved=reason,
        mixes=_mixes(model.ontology, reading) if reason is Unresolved.CONFLICTING_SUPPORT else (),
    )


def _mixes(ontology: Ontology, reading: _Reading) -> tuple[str, ...]:
    return tuple(ontology.label(term) for term in (reading.chosen, reading.rival_type))


def name_of(evidence: ClusterEvidence, weighing: Weighing = SETTLED) -> str | None:
    """The term that :func:`propose` names, without the argument for it; ``None`` where the cluster is unresolved."""
    model, belief = model_of(evidence, weighing), believe(evidence, weighing.n_markers, weighing)
    if belief is None:
        return None
    reading = _choose(model, belief)
    return reading.chosen if _why_unresolved(evidence, weighing.n_markers, reading, weighing) is None else None


class _Reading(NamedTuple):
    """What the markers say of one term."""

    chosen: str
    on_path: Flags
    fit: float
    supporting: tuple[str, ...]
    rival: float
    """Share of the markers that only a lineage explains which excludes the term's."""
    rival_type: str
    """The type of that lineage that fits best; empty where there is none."""
    confidence: float


def _choose(model: TypeModel, belief: Belief) -> _Reading:
    broad = _read(model, belief, model.answers[int(np.argmax(model.agreement @ belief.probability))])
    if broad.confidence < belief.weighing.sure:
        return broad
    kind = species_term(_kind_that_fits(model, belief, broad.chosen), model.knowledge.species)
    return _read(model, belief, _organ_term(model.ontology, kind, belief.organs))


def _read(model: TypeModel, belief: Belief, chosen: str) -> _Reading:
    on_path = model.on_path(chosen)
    fit = float(belief.fit[on_path].max())
    supporting = speaking_genes(model, belief, on_path)
    rival, rival_type = _rival(model, belief, chosen, frozenset(supporting), fit)
    confidence = _confidence(model, belief, chosen, fit, on_path) * (1 - rival)
    return _Reading(chosen, on_path, fit, supporting, rival, rival_type, confidence)


def _kind_that_fits(model: TypeModel, belief: Belief, chosen: str) -> str:
    """The kind of the chosen term that the markers fit no worse than the term itself, and clearly better than others.

    What many sources say of a type is a mixture of what is true of its kinds. Where one kind's own list fits as well
    and those of its siblings do not, the mixture's renown is no reason to stop at the type.
    """
    types, kinds = model.knowledge.types, model.kinds(chosen)
    if chosen not in types or not kinds.any():
        return chosen
    fit = belief.fit
    best = int(np.argmax(np.where(kinds, fit, -np.inf)))
    sibling = float(fit[kinds & ~model.on_path(types[best])].max(initial=0))
    if fit[best] < fit[types.index(chosen)] or sibling > belief.weighing.clear_kind * fit[best]:
        return chosen
    return types[best]


def _organ_term(ontology: Ontology, chosen: str, organs: frozenset[str]) -> str:
    """The term that an epithelial type has of its own in the sample's organ: an acinar cell there is a pancreatic one.

    Only where one organ is known, and for epithelia, whose cells stay where they are made.
    """
    if len(organs) != 1 or ontology.lineage(chosen) != _EPITHELIUM or ontology.organs(chosen) & organs:
        return chosen
    own = ontology.resolve(f"{organ_adjectives()[next(iter(organs))]} {ontology.label(chosen)}")
    return own if own is not None and chosen in ontology.ancestors(own) else chosen


def _nothing_known(reason: Unresolved) -> Proposal:
    return Proposal(
        cl_id=None,
        label=None,
        general_id=None,
        general_label=None,
        alternatives=(),
        supporting_genes=(),
        contradicting_genes=(),
        margin=0.0,
        coverage=0.0,
        confidence=0.0,
        unresolved=reason,
    )


def _why_unresolved(
    evidence: ClusterEvidence, n_markers: int, reading: _Reading, weighing: Weighing
) -> Unresolved | None:
    if is_malignant(evidence):
        return Unresolved.MALIGNANT
    if reading.rival > weighing.mixed:
        return Unresolved.CONFLICTING_SUPPORT
    if reading.confidence >= weighing.min_confidence and len(reading.supporting) >= weighing.min_speaking:
        return None
    return Unresolved.LOW_QUALITY if is_low_quality(evidence, n_markers) else Unresolved.WEAK_SUPPORT


def _why_nothing_known(evidence: ClusterEvidence, n_markers: int) -> Unresolved:
    if is_malignant(evidence):
        return Unresolved.MALIGNANT
    return Unresolved.LOW_QUALITY if is_low_quality(evidence, n_markers) else Unresolved.NO_MARKERS


def _confidence(model: TypeModel, belief: Belief, chosen: str, fit: float, on_path: Flags) -> float:
    of_lineage = [lineage in model.ontology.lineages(chosen) for lineage in model.lineages]
    lineage = belief.lineage_probability[of_lineage].sum()
    path = belief.probability[on_path].sum()
    support = fit**2 / (fit**2 + belief.weighing.half_fit**2)
    return float(np.clip(lineage * support * (1 + path) / 2, 0, 1))


def _rival(model: TypeModel, belief: Belief, chosen: str, supporting: frozenset[str], fit: float) -> tuple[float, str]:
    """Rank-discounted share of the markers that only the best type of an excluded lineage explains, and that type."""
    excluded = model.excluded_by(chosen)
    rival = int(np.argmax(np.where(excluded, belief.fit, -np.inf)))
    if not excluded[rival] or belief.fit[rival] < _RIVAL_FIT * fit:
        return 0.0, ""
    of_rival = speaking_genes(model, belief, np.arange(len(excluded)) == rival)
    return _share(belief, frozenset(of_rival) - supporting), model.knowledge.types[rival]


def _general(ontology: Ontology, chosen: str) -> str:
    """The lineage where the term is a kind of it, else the broadest anchor of its one lineage, else the term."""
    lineage = ontology.lineage(chosen)
    if lineage is None or lineage in ontology.ancestors(chosen):
        return lineage or chosen
    return max(ontology.anchors(chosen), key=lambda cl_id: (ontology.n_descendants(cl_id), cl_id))


def _margin(belief: Belief, reading: _Reading) -> float:
    ours = float(belief.standing[reading.on_path].max())
    rival = float(belief.standing[~reading.on_path].max(initial=0))
    return float(np.clip((ours - rival) / ours, 0, 1)) if ours > 0 else 0.0


def _share(belief: Belief, genes: frozenset[str]) -> float:
    """Rank-discounted share of the informative markers that are among the genes."""
    discounts = rank_discounts(len(belief.markers))
    return float(discounts[[marker.gene in genes for marker in belief.markers]].sum() / discounts.sum())


def _contradicting_genes(model: TypeModel, belief: Belief, reading: _Reading) -> tuple[str, ...]:
    chosen, supporting = reading.chosen, frozenset(reading.supporting)
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
