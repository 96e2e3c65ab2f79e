"""What marker knowledge alone makes of a cluster: a ranked shortlist, and one proposal with its confidence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cassia_dagster.knowledge.anatomy import organs_named
from cassia_dagster.knowledge.markers import MarkerKnowledge, is_answer, load_markers, tells_identity
from cassia_dagster.knowledge.ontology import ROOT, Ontology, load_ontology
from cassia_dagster.records import Candidate, ClusterEvidence, Fraction, Marker, Record, Species, Unresolved

type Floats = NDArray[np.float64]

TEMPERATURE = 0.03
PRIOR = 0.3
ELSEWHERE = 0.6
WEAK = 0.12


class Proposal(Record):
    """The cell type that marker knowledge proposes for a cluster, and how sure it may be."""

    cl_id: str | None
    label: str | None
    general_id: str | None
    general_label: str | None
    alternatives: tuple[Candidate, ...]
    supporting_genes: tuple[str, ...]
    contradicting_genes: tuple[str, ...]
    margin: Fraction
    coverage: Fraction
    confidence: Fraction
    unresolved: Unresolved | None


def informative_markers(evidence: ClusterEvidence, n_markers: int) -> tuple[Marker, ...]:
    """The best markers that are up and can tell identity, in their order."""
    up = (m for m in evidence.markers if m.avg_log2FC > 0 and m.p_val_adj < 0.05 and tells_identity(m.gene))
    return tuple(up)[:n_markers]


@dataclass(frozen=True, eq=False)
class _Model:
    knowledge: MarkerKnowledge
    ontology: Ontology
    answers: tuple[str, ...]
    agreement: Floats
    """Answers × types: hierarchical F1."""
    prior: Floats


@cache
def _model(species: Species) -> _Model:
    knowledge, ontology = load_markers(species), load_ontology()
    above = sorted(frozenset[str]().union(*(ontology.ancestors(t) for t in knowledge.types)) - {ROOT})
    answers = tuple(a for a in above if is_answer(ontology, a))
    position = {cl_id: i for i, cl_id in enumerate(above)}

    def ancestry(cl_ids: tuple[str, ...]) -> Floats:
        member = np.zeros((len(cl_ids), len(above)))
        for row, cl_id in enumerate(cl_ids):
            member[row, [position[a] for a in ontology.ancestors(cl_id) - {ROOT}]] = 1
        return member

    ours, gold = ancestry(answers), ancestry(knowledge.types)
    agreement = 2 * (ours @ gold.T) / (ours.sum(axis=1)[:, None] + gold.sum(axis=1)[None, :])
    sources = np.array([ontology.n_sources(t) for t in knowledge.types], dtype=float)
    return _Model(knowledge, ontology, answers, agreement, PRIOR * np.log(sources))


def type_support(evidence: ClusterEvidence, n_markers: int) -> Floats:
    """Cosine between the cluster's markers and each type's, lower for types of other organs."""
    model = _model(evidence.species)
    known = [(m, row) for m in informative_markers(evidence, n_markers) if (row := model.knowledge.row(m.gene)) is not None]
    return np.zeros(len(model.knowledge.types)) if not known else _cosine(evidence, model, n_markers)


def _cosine(evidence: ClusterEvidence, model: _Model, n_markers: int) -> Floats:
    markers = informative_markers(evidence, n_markers)
    total, norm = np.zeros(len(model.knowledge.types)), 0.0
    for rank, marker in enumerate(markers, start=2):
        row = model.knowledge.row(marker.gene)
        if row is not None:
            total += model.knowledge.weights[row] / np.log2(rank)
            norm += 1 / np.log2(rank) ** 2
    total /= np.sqrt(norm)
    organs = organs_named(evidence.tissue)
    if organs:
        bound = [model.ontology.organs(t) for t in model.knowledge.types]
        total *= np.array([1.0 if not b or b & organs else ELSEWHERE for b in bound])
    return total


def shortlist(evidence: ClusterEvidence, limit: int = 5, n_markers: int = 20) -> tuple[Candidate, ...]:
    """Cell types whose known markers fit a cluster best, best first."""
    support = type_support(evidence, n_markers)
    model = _model(evidence.species)
    best = sorted(np.flatnonzero(support), key=lambda i: (-support[i], model.knowledge.types[i]))[:limit]
    return tuple(_candidate(model, evidence, i, support[i], n_markers) for i in best)


def _candidate(model: _Model, evidence: ClusterEvidence, i: int, support: float, n_markers: int) -> Candidate:
    cl_id = model.knowledge.types[i]
    genes = _speaking(model, evidence, (i,), n_markers)
    return Candidate(cl_id=cl_id, label=model.ontology.label(cl_id), support=float(min(support, 1)), genes=genes)


def _speaking(model: _Model, evidence: ClusterEvidence, columns: tuple[int, ...], n_markers: int) -> tuple[str, ...]:
    weight: dict[str, float] = {}
    for rank, marker in enumerate(informative_markers(evidence, n_markers), start=2):
        row = model.knowledge.row(marker.gene)
        if row is not None and (w := float(model.knowledge.weights[row, list(columns)].max())) > 0:
            weight[marker.gene] = w / np.log2(rank)
    return tuple(sorted(weight, key=lambda g: (-weight[g], g)))


def propose(evidence: ClusterEvidence, n_markers: int = 20) -> Proposal:
    """The type that marker knowledge proposes, backed off to an ancestor where siblings cannot be told apart."""
    model = _model(evidence.species)
    support = type_support(evidence, n_markers)
    if not support.any():
        return _nothing(Unresolved.NO_MARKERS)
    belief = np.exp((support - support.max()) / TEMPERATURE + model.prior - model.prior.max())
    belief /= belief.sum()
    chosen = model.answers[int(np.argmax(model.agreement @ belief))]
    ontology, types = model.ontology, model.knowledge.types
    on_path = np.array([chosen in ontology.ancestors(t) or t in ontology.ancestors(chosen) for t in types])
    ours, rival = support[on_path].max(initial=0), support[~on_path].max(initial=0)
    margin = float(max(0.0, (ours - rival) / max(ours, 1e-9)))
    columns = tuple(int(i) for i in np.flatnonzero([chosen in ontology.ancestors(t) for t in types]))
    genes = _speaking(model, evidence, columns, n_markers)
    coverage = _discounted_share(informative_markers(evidence, n_markers), frozenset(genes))
    general = ontology.lineage(chosen)
    return Proposal(
        cl_id=chosen, label=ontology.label(chosen), general_id=general,
        general_label=ontology.label(general) if general else None,
        alternatives=tuple(c for c in shortlist(evidence, 6, n_markers) if c.cl_id != chosen)[:5],
        supporting_genes=genes, contradicting_genes=(), margin=margin, coverage=coverage,
        confidence=float(min(1, belief[on_path].sum() * coverage)), unresolved=None if ours >= WEAK else Unresolved.WEAK_SUPPORT,
    )


def _nothing(reason: Unresolved) -> Proposal:
    return Proposal(
        cl_id=None, label=None, general_id=None, general_label=None, alternatives=(), supporting_genes=(),
        contradicting_genes=(), margin=0, coverage=0, confidence=0, unresolved=reason,
    )


def _discounted_share(markers: tuple[Marker, ...], genes: frozenset[str]) -> float:
    discounts = [(m.gene in genes, 1 / np.log2(rank)) for rank, m in enumerate(markers, start=2)]
    return float(sum(d for hit, d in discounts if hit) / sum(d for _, d in discounts))
