"""How strongly a cluster's markers speak for each cell type, and for each lineage: the model behind the candidates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cassia_dagster.knowledge.anatomy import organs_named
from cassia_dagster.knowledge.markers import MarkerKnowledge, is_answer, load_markers, tells_identity
from cassia_dagster.knowledge.ontology import ROOT, Ontology, load_ontology
from cassia_dagster.records import ClusterEvidence, Marker, Species

type Floats = NDArray[np.float64]
type Flags = NDArray[np.bool_]

# Chosen on half of the kidney and lung benchmark and on the blood clusters; neighbouring values do as well.
_TEMPERATURE = 0.03  # differences of fit that make a type e times as likely
_RENOWN = 0.6  # power of the number of sources that speak of a type itself, and not of one of its kinds
_LINEAGE_WEIGHT = 3.0
_LINEAGE_MARKERS = 50  # a lineage shows in more markers than a type
_LINEAGE_FLOOR = 0.02
_OTHER_ORGAN = 0.6  # factor on the fit of types that are bound to organs other than the sample's
_OWN_ORGAN = 0.6
_MIN_PCT_DIFFERENCE = 0.02


@dataclass(frozen=True, eq=False)
class TypeModel:
    """What is the same for all clusters of a species. Get it from :func:`load_model`."""

    ontology: Ontology
    knowledge: MarkerKnowledge
    renown: Floats
    """Types: logarithm of the prior weight."""
    lineages: tuple[str, ...]
    in_lineage: Flags
    """Types × lineages; a type may belong to several."""
    lineage_log_odds: Floats
    """Genes × lineages: logarithm of how much more a gene speaks for a lineage than if it spoke for all alike."""
    answers: tuple[str, ...]
    """Terms that may be proposed: the types, and the terms above them."""
    at_or_below: Flags
    """Answers × types: whether the type is the answer, or a kind of it."""
    agreement: Floats
    """Answers × types: hierarchical F1 if that is the answer and this the truth."""

    def on_path(self, answer: str) -> Flags:
        """Types that are the answer, a kind of it, or something that it is a kind of."""
        above = self.ontology.ancestors(answer)
        return self.at_or_below[self.answers.index(answer)] | np.array([t in above for t in self.knowledge.types])


@cache
def load_model(species: Species) -> TypeModel:
    """The model of a species."""
    ontology, knowledge = load_ontology(), load_markers(species)
    types = knowledge.types
    above = sorted(frozenset[str]().union(*(ontology.ancestors(t) for t in types)) - {ROOT})
    answers = tuple(cl_id for cl_id in above if is_answer(cl_id))
    ours, truth = _membership(ontology, answers, above), _membership(ontology, types, above)
    agreement = 2 * (ours @ truth.T) / (ours.sum(axis=1)[:, None] + truth.sum(axis=1)[None, :])
    lineages = tuple(sorted(frozenset[str]().union(*(ontology.lineages(t) for t in types))))
    in_lineage = np.array([[lineage in ontology.lineages(t) for lineage in lineages] for t in types])
    return TypeModel(
        ontology=ontology,
        knowledge=knowledge,
        renown=np.log([ontology.n_own_sources(t) for t in types]),
        lineages=lineages,
        in_lineage=in_lineage,
        lineage_log_odds=_lineage_log_odds(knowledge.weights, in_lineage),
        answers=answers,
        at_or_below=truth[:, [above.index(answer) for answer in answers]].T > 0,
        agreement=agreement,
    )


def _membership(ontology: Ontology, cl_ids: Iterable[str], above: list[str]) -> Floats:
    return np.array([[cl_id in family for cl_id in above] for family in map(ontology.ancestors, cl_ids)], dtype=float)


def _lineage_log_odds(weights: Floats, in_lineage: Flags) -> Floats:
    loudness = np.sqrt(weights**2 @ in_lineage) + _LINEAGE_FLOOR
    return np.log(loudness / loudness.sum(axis=1, keepdims=True) * in_lineage.shape[1])


@dataclass(frozen=True, eq=False)
class Belief:
    """What one cluster's markers say."""

    markers: tuple[Marker, ...]
    """The informative markers that were read for the types, best first."""
    fit: Floats
    """Types: cosine of the cluster's markers and the type's, less for types of other organs."""
    standing: Floats
    """Types: the fit after renown and lineage are taken into account; what candidates are ranked by."""
    probability: Floats
    """Types: sums to 1."""
    lineage_probability: Floats
    """Lineages, from the markers alone: sums to 1."""


def informative_markers(evidence: ClusterEvidence, n_markers: int) -> tuple[Marker, ...]:
    """The best markers that are significantly up and can tell identity, in their order."""
    up = (m for m in evidence.markers if m.avg_log2FC > 0 and m.p_val_adj < 0.05 and tells_identity(m.gene))
    return tuple(up)[:n_markers]


def rank_discounts(n: int) -> Floats:
    """Weight of the marker at each rank: 1 / log2(rank + 1), as in discounted cumulative gain."""
    return 1 / np.log2(np.arange(n) + 2)


def believe(evidence: ClusterEvidence, n_markers: int = 20) -> Belief | None:
    r"""Weigh all types and lineages against a cluster's markers; ``None`` where no marker is known to speak for any.

    A marker at rank r counts :math:`\sqrt{\max(pct_1 - pct_2, 0.02)} / \log_2(r + 1)`. The fit of a type is the cosine
    of these and its weights. The probability of a lineage is a softmax over the mean log odds of the markers; that of
    a type, one over its fit / 0.03 plus 0.6 times the logarithm of its own sources plus 3 times that of its lineage.
    """
    model = load_model(evidence.species)
    markers = informative_markers(evidence, n_markers)
    rows, strength = _read_markers(model, markers)
    if not rows:
        return None
    fit = (strength / np.linalg.norm(strength)) @ model.knowledge.weights[rows]
    organs = organs_named(evidence.tissue)
    if organs:
        bound = [model.ontology.organs(t) for t in model.knowledge.types]
        fit = fit * np.array([1.0 if not there or there & organs else _OTHER_ORGAN for there in bound])
        home = _OWN_ORGAN * np.array([bool(there & organs) for there in bound])
    else: home = 0
    lineage_log = _lineage_log_probability(model, informative_markers(evidence, max(n_markers, _LINEAGE_MARKERS)))
    of_lineage = np.where(model.in_lineage, lineage_log, -np.inf).max(axis=1)
    logit = fit / _TEMPERATURE + _RENOWN * (model.renown - model.renown.max()) + of_lineage + home
    probability = np.exp(logit - logit.max())
    return Belief(
        markers=markers,
        fit=fit,
        standing=_TEMPERATURE * logit,
        probability=probability / probability.sum(),
        lineage_probability=np.exp(lineage_log),
    )


def _read_markers(model: TypeModel, markers: tuple[Marker, ...]) -> tuple[list[int], Floats]:
    strengths: dict[int, float] = {}
    for marker, discount in zip(markers, rank_discounts(len(markers)), strict=True):
        row = model.knowledge.row(marker.gene)
        if row is not None:
            strength = float(discount * np.sqrt(max(marker.pct_1 - marker.pct_2, _MIN_PCT_DIFFERENCE)))
            # Two mouse genes may stand for one human gene: it counts once.
            strengths[row] = max(strengths.get(row, 0.0), strength)
    return list(strengths), np.array(list(strengths.values()))


def _lineage_log_probability(model: TypeModel, markers: tuple[Marker, ...]) -> Floats:
    rows, strength = _read_markers(model, markers)
    mean_log_odds = (strength / strength.sum()) @ model.lineage_log_odds[rows]
    logit = _LINEAGE_WEIGHT * mean_log_odds
    logit = logit - logit.max()
    log_probability: Floats = logit - np.log(np.exp(logit).sum())
    return log_probability
