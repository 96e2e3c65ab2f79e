"""How strongly a cluster's markers speak for each cell type, and for each lineage: the model behind the candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cassia_dagster.knowledge.anatomy import read_tissue
from cassia_dagster.knowledge.lab import markers_with_lab
from cassia_dagster.knowledge.markers import MarkerKnowledge, is_answer, load_markers, tells_identity
from cassia_dagster.knowledge.ontology import ROOT, Ontology, load_ontology
from cassia_dagster.knowledge.weighing import SETTLED, Weighing
from cassia_dagster.records import ClusterEvidence, Marker, Species

type Floats = NDArray[np.float64]
type Flags = NDArray[np.bool_]

_LAB_SOURCES = 20  # a type that a lab lists is expected in its samples as one that so many sources speak of
_LINEAGE_FLOOR = 0.02
_MIN_PCT_DIFFERENCE = 0.02
_USUAL_PCT_DIFFERENCE = 0.4  # where none is known; of a bare list of genes it cancels out
_SPEAKS = 0.02  # weight below which a gene does not speak for a type


@dataclass(frozen=True, eq=False)
class TypeModel:
    """What is the same for all clusters of a species. Get it from :func:`load_model`."""

    ontology: Ontology
    knowledge: MarkerKnowledge
    renown: Floats
    """Types: logarithm of the prior weight."""
    lineages: tuple[str, ...]
    in_lineage: Flags
    """Types by lineages; a type may belong to several."""
    lineage_log_odds: Floats
    """Genes by lineages: logarithm of how much more a gene speaks for a lineage than if it spoke for all alike."""
    answers: tuple[str, ...]
    """Terms that may be proposed: the types, and the terms above them."""
    agreement: Floats
    """Answers by types: hierarchical F1 if that is the answer and this the truth."""
    _known_flags: dict[tuple[str, str], Flags] = field(default_factory=dict, repr=False)

    def on_path(self, cl_id: str) -> Flags:
        """Types that are the term, a kind of it, or something that it is a kind of."""
        above = self.ontology.ancestors(cl_id)
        return self._flags("on_path", cl_id, lambda t: t in above or cl_id in self.ontology.ancestors(t))

    def kinds(self, cl_id: str) -> Flags:
        """Types that are a kind of the term, itself left out."""
        return self._flags("kinds", cl_id, lambda t: t != cl_id and cl_id in self.ontology.ancestors(t))

    def are_apart(self, one: str, other: str) -> bool:
        """Tell whether none of the two terms is a kind of the other, and no type of both."""
        above = self.ontology.ancestors
        return one not in above(other) and other not in above(one) and not (self.kinds(one) & self.kinds(other)).any()

    def excluded_by(self, cl_id: str) -> Flags:
        """Types whose lineage excludes the term's."""
        return self._flags("excluded_by", cl_id, lambda t: self.ontology.excludes(cl_id, t))

    def _flags(self, name: str, cl_id: str, holds: Callable[[str], bool]) -> Flags:
        known = self._known_flags.get((name, cl_id))
        if known is None:
            known = np.array([holds(t) for t in self.knowledge.types])
            known.setflags(write=False)  # it is shared by all clusters
            self._known_flags[name, cl_id] = known
        return known


def model_of(evidence: ClusterEvidence, weighing: Weighing = SETTLED) -> TypeModel:
    """The model that a cluster is weighed with: that of its species, and its lab's own markers if there are any."""
    if not evidence.lab_markers:
        return load_model(evidence.species, weighing)
    return _model(markers_with_lab(evidence.species, evidence.lab_markers, evidence.tissue))


def load_model(species: Species, weighing: Weighing = SETTLED) -> TypeModel:
    """The model of a species."""
    human = load_markers("human", weighing)
    return _model(human) if species == "human" else _model_in_mouse(_model(human), load_markers("mouse", weighing))


@lru_cache(maxsize=4)
def _model_in_mouse(human: TypeModel, knowledge: MarkerKnowledge) -> TypeModel:
    return replace(human, knowledge=knowledge)  # the weights are the same, under other names


@lru_cache(maxsize=8)
def _model(knowledge: MarkerKnowledge) -> TypeModel:
    ontology, types = load_ontology(), knowledge.types
    above = sorted(frozenset[str]().union(*(ontology.ancestors(t) for t in types)) - {ROOT})
    answers = tuple(cl_id for cl_id in above if is_answer(cl_id) or cl_id in knowledge.from_lab)
    ours, truth = _membership(ontology, answers, above), _membership(ontology, types, above)
    agreement = 2 * (ours @ truth.T) / (ours.sum(axis=1)[:, None] + truth.sum(axis=1)[None, :])
    lineages = tuple(sorted(frozenset[str]().union(*(ontology.lineages(t) for t in types))))
    in_lineage = np.array([[lineage in ontology.lineages(t) for lineage in lineages] for t in types])
    return TypeModel(
        ontology=ontology,
        knowledge=knowledge,
        renown=np.log([max(ontology.n_own_sources(t), _LAB_SOURCES * (t in knowledge.from_lab)) for t in types]),
        lineages=lineages,
        in_lineage=in_lineage,
        lineage_log_odds=_lineage_log_odds(knowledge.weights, in_lineage),
        answers=answers,
        agreement=agreement,
    )


def _membership(ontology: Ontology, cl_ids: Iterable[str], above: list[str]) -> Floats:
    families = map(ontology.ancestors, cl_ids)
    return np.array([[cl_id in family for cl_id in above] for family in families], dtype=np.float64)


def _lineage_log_odds(weights: Floats, in_lineage: Flags) -> Floats:
    loudness = np.sqrt(weights**2 @ in_lineage) + _LINEAGE_FLOOR
    log_odds: Floats = np.log(loudness / loudness.sum(axis=1, keepdims=True) * in_lineage.shape[1])
    return log_odds


@dataclass(frozen=True, eq=False)
class Belief:
    """What one cluster's markers say."""

    weighing: Weighing
    organs: frozenset[str]
    """Those that the sample's tissue names."""
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
    up = (m for m in evidence.markers if m.is_up and (m.p_val_adj or 0) < 0.05 and tells_identity(m.gene))
    return tuple(up)[:n_markers]


def rank_discounts(n: int) -> Floats:
    """Weight of the marker at each rank: 1 / log2(rank + 1), as in discounted cumulative gain."""
    return 1 / np.log2(np.arange(n) + 2)


def believe(
    evidence: ClusterEvidence, n_markers: int = SETTLED.n_markers, weighing: Weighing = SETTLED
) -> Belief | None:
    r"""Weigh all types and lineages against a cluster's markers; ``None`` where no marker is known to speak for any.

    A marker at rank r counts :math:`\sqrt{\max(pct_1 - pct_2, 0.02)} / \log_2(r + 1)`. The fit of a type is the cosine
    of these and its weights. The probability of a lineage is a softmax over 3 times the mean log odds of the best 50
    markers. That of a type is a softmax over the sum of its fit / 0.03, 0.6 times the logarithm of the number of its
    own sources, the logarithm of the probability of its lineage, and 0.6 if it is bound to the sample's organ.
    """
    model = model_of(evidence, weighing)
    markers = informative_markers(evidence, n_markers)
    rows, strength = _read_markers(model, markers)
    if not rows:
        return None
    fit = (strength / np.linalg.norm(strength)) @ model.knowledge.weights[rows]
    factor, bonus = _anatomy(model, evidence.tissue, weighing)
    fit = fit * factor
    of_lineage = informative_markers(evidence, max(n_markers, weighing.lineage_markers))
    lineage_log = _lineage_log_probability(model, of_lineage, weighing.lineage_weight)
    best_lineage = np.where(model.in_lineage, lineage_log, -np.inf).max(axis=1)
    renown = weighing.renown * (model.renown - model.renown.max())
    logit = fit / weighing.temperature + renown + best_lineage + bonus
    probability = np.exp(logit - logit.max())
    return Belief(
        weighing=weighing,
        organs=read_tissue(evidence.tissue).organs,
        markers=markers,
        fit=fit,
        standing=weighing.temperature * logit,
        probability=probability / probability.sum(),
        lineage_probability=np.exp(lineage_log),
    )


@lru_cache(maxsize=32)
def _anatomy(model: TypeModel, tissue: str, weighing: Weighing) -> tuple[Floats, Floats]:
    """Factor on the fit of each type, and what its organ adds to the logarithm of its probability."""
    sample = read_tissue(tissue).organs
    bound = [model.ontology.organs(t) for t in model.knowledge.types]
    home = np.array([bool(organs & sample) for organs in bound])
    elsewhere = np.array([bool(organs and sample) for organs in bound]) & ~home
    return np.where(elsewhere, weighing.other_organ, 1.0), np.where(home, weighing.own_organ, 0.0)


def _read_markers(model: TypeModel, markers: tuple[Marker, ...]) -> tuple[list[int], Floats]:
    strengths: dict[int, float] = {}
    for marker, discount in zip(markers, rank_discounts(len(markers)), strict=True):
        row = model.knowledge.row(marker.gene)
        if row is not None:
            strength = float(discount * np.sqrt(_pct_difference(marker)))
            # Two mouse genes may stand for one human gene: it counts once.
            strengths[row] = max(strengths.get(row, 0.0), strength)
    return list(strengths), np.array(list(strengths.values()))


def _pct_difference(marker: Marker) -> float:
    if marker.pct_1 is None or marker.pct_2 is None:
        return _USUAL_PCT_DIFFERENCE
    return max(marker.pct_1 - marker.pct_2, _MIN_PCT_DIFFERENCE)


def speaking_genes(model: TypeModel, belief: Belief, types: Flags) -> tuple[str, ...]:
    """The markers that speak for any of the types, strongest first."""
    found = [(i, row) for i, m in enumerate(belief.markers) if (row := model.knowledge.row(m.gene)) is not None]
    ranks, rows = [i for i, _ in found], [row for _, row in found]
    weights = model.knowledge.weights[np.ix_(rows, np.flatnonzero(types))].max(axis=1, initial=0)
    loudness: dict[str, float] = {}
    for rank, weight, discount in zip(ranks, weights, rank_discounts(len(belief.markers))[ranks], strict=True):
        if weight > _SPEAKS:
            loudness[belief.markers[rank].gene] = float(weight * discount)
    return tuple(sorted(loudness, key=lambda gene: (-loudness[gene], gene)))


def _lineage_log_probability(model: TypeModel, markers: tuple[Marker, ...], weight: float) -> Floats:
    rows, strength = _read_markers(model, markers)
    mean_log_odds = (strength / strength.sum()) @ model.lineage_log_odds[rows]
    logit = weight * mean_log_odds
    logit = logit - logit.max()
    log_probability: Floats = logit - np.log(np.exp(logit).sum())
    return log_probability
