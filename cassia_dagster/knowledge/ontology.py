"""The Cell Ontology: what a label means, how two labels relate, and how far apart they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import NamedTuple

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.spelling import normalise
from cassia_dagster.knowledge.tables import read_rows, versions

ROOT = "CL:0000000"


class Relation(StrEnum):
    """How a label stands to the gold label, from best to worst."""

    EXACT = "exact"
    FINER = "finer"
    """The label is a kind of the gold label."""
    COARSER = "coarser"
    """The gold label is a kind of the label, and the label still names a type."""
    SIBLING = "sibling"
    """Both are kinds of one parent that names a type."""
    SAME_LINEAGE = "same_lineage"
    CONTRADICTION = "contradiction"
    """The two belong to lineages that exclude each other."""
    UNRESOLVED = "unresolved"
    """No label, or one so broad that it names no type."""
    UNMAPPED = "unmapped"
    """The gold label is no term of the ontology: nothing can be said."""


class HierarchicalScore(NamedTuple):
    """Precision, recall and F1 on ancestor sets, each 0 to 1."""

    precision: float
    recall: float
    f1: float


class _Term(NamedTuple):
    label: str
    parents: tuple[str, ...]
    synonyms: tuple[str, ...]
    organs: frozenset[str]
    n_sources: int


class _Anchor(NamedTuple):
    lineage: str
    names_a_type: bool
    becomes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ontology:
    """The terms in use, with their parents, names and lineages.

    Get it from :func:`load_ontology`. A ``cl_id`` that is no term raises :class:`InputError`.
    """

    version: str
    _terms: Mapping[str, _Term]
    _anchors: Mapping[str, _Anchor]
    _daily_names: tuple[tuple[str, str], ...]

    def __contains__(self, cl_id: object) -> bool:
        return cl_id in self._terms

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def _term(self, cl_id: str) -> _Term:
        try:
            return self._terms[cl_id]
        except KeyError:
            message = f"{cl_id!r} is no term in use of the Cell Ontology {self.version}; ids look like CL:0000236."
            raise InputError(message) from None

    def label(self, cl_id: str) -> str:
        """The term's name."""
        return self._term(cl_id).label

    def names(self, cl_id: str) -> tuple[str, ...]:
        """The term's label and its synonyms; a label "…, human" also without that."""
        label = self.label(cl_id)
        return tuple(dict.fromkeys((label, label.removesuffix(", human"), *self.synonyms(cl_id))))

    def synonyms(self, cl_id: str) -> tuple[str, ...]:
        """The ontology's other names for the term, without those that hold in one species only."""
        return self._term(cl_id).synonyms

    def daily_names(self, cl_id: str) -> tuple[str, ...]:
        """What the term is called in daily use and not by the ontology; without what another term is called, too."""
        named = ((name, self._names[1].get(normalise(name))) for name, term in self._daily_names if term == cl_id)
        return tuple(name for name, only in named if only == self._known(cl_id))

    def parents(self, cl_id: str) -> tuple[str, ...]:
        """Terms directly above."""
        return self._term(cl_id).parents

    def organs(self, cl_id: str) -> frozenset[str]:
        """Organs that the type is bound to by name; empty for types found everywhere."""
        return self._term(cl_id).organs

    def n_sources(self, cl_id: str) -> int:
        """How many sources of marker knowledge speak of the type or of its kinds."""
        return self._term(cl_id).n_sources

    def n_own_sources(self, cl_id: str) -> float:
        """How many of them speak of the type itself: those beyond its best-known kind's; at least 0.5."""
        kinds = self._children.get(cl_id, ())
        return max(0.5, self.n_sources(cl_id) - max((self._terms[kind].n_sources for kind in kinds), default=0))

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {}
        for cl_id, term in self._terms.items():
            for parent in term.parents:
                children.setdefault(parent, []).append(cl_id)
        return children

    def ancestors(self, cl_id: str) -> frozenset[str]:
        """The term itself and all terms above it."""
        self._term(cl_id)
        return self._ancestors[cl_id]

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}

        def visit(cl_id: str) -> frozenset[str]:
            if cl_id not in found:
                above = (visit(parent) for parent in self._terms[cl_id].parents)
                found[cl_id] = frozenset({cl_id}).union(*above)
            return found[cl_id]

        for cl_id in self._terms:
            visit(cl_id)
        return found

    @cached_property
    def _n_descendants(self) -> Counter[str]:
        return Counter(above for ancestors in self._ancestors.values() for above in ancestors)

    def n_descendants(self, cl_id: str) -> int:
        """How many terms lie at or below the term; the smaller, the more it says."""
        self._term(cl_id)
        return self._n_descendants[cl_id]

    def _deepest_anchors(self, cl_id: str) -> frozenset[str]:
        hit = self.anchors(cl_id)
        return frozenset(a for a in hit if not any(a != b and a in self._ancestors[b] for b in hit))

    def _find_lineages(self, cl_id: str) -> frozenset[str]:
        lineages = frozenset(self._anchors[anchor].lineage for anchor in self._deepest_anchors(cl_id))
        # A precursor that is already committed belongs to what it becomes.
        return lineages - {"CL:0008001"} or lineages

    @cached_property
    def _lineage_cache(self) -> dict[str, frozenset[str]]:
        return {cl_id: self._find_lineages(cl_id) for cl_id in self._terms}

    @cached_property
    def _spans(self) -> dict[str, frozenset[str]]:
        """Lineages that a cell of the term may turn out to be of: a broad term stands for all below it."""
        spans = {cl_id: set(lineages) for cl_id, lineages in self._lineage_cache.items()}
        for anchor, row in self._anchors.items():
            for above in filter(self.is_root_level, self._ancestors[anchor]):
                spans[above].add(row.lineage)
        becomes = {row.lineage: row.becomes for row in self._anchors.values() if row.becomes}
        for span in spans.values():
            span.update(*(becomes[lineage] for lineage in span & becomes.keys()))
        return {cl_id: frozenset(span) for cl_id, span in spans.items()}

    def anchors(self, cl_id: str) -> frozenset[str]:
        """The terms of ``data/lineages.csv`` at or above the term."""
        return self.ancestors(cl_id) & self._anchors.keys()

    def lineages(self, cl_id: str) -> frozenset[str]:
        """All lineages that the term may belong to; see :meth:`lineage`."""
        self._term(cl_id)
        return self._lineage_cache[cl_id]

    def lineage(self, cl_id: str) -> str | None:
        """The lineage that the term belongs to, as the id of the term that stands for it.

        ``None`` for terms above the lineages (leukocyte) and for those of several (chromaffin cell: neuron and
        epithelium). ``data/lineages.csv`` holds the cuts and says why they are made there.
        """
        self._term(cl_id)
        lineages = self._lineage_cache[cl_id]
        return next(iter(lineages)) if len(lineages) == 1 else None

    def is_root_level(self, cl_id: str) -> bool:
        """Whether the term is so broad that it resolves nothing: cell, leukocyte, epithelial cell, motile cell."""
        self._term(cl_id)
        anchor = self._anchors.get(cl_id)
        return not anchor.names_a_type if anchor else not self._lineage_cache[cl_id]

    def excludes(self, one: str, other: str) -> bool:
        """Whether no cell can be both: their lineages are known and none is shared."""
        spans = self._spans[self._known(one)], self._spans[self._known(other)]
        return all(spans) and spans[0].isdisjoint(spans[1])

    def _known(self, cl_id: str) -> str:
        self._term(cl_id)
        return cl_id

    def resolve(self, text: str) -> str | None:
        """The term that a text names, by label or exact synonym.

        Case, plural, Greek letters and punctuation do not matter. ``None`` where the text names no term, or several.
        """
        key = normalise(text)
        by_label = self._names[0].get(key)
        return by_label or self._names[1].get(key)

    @cached_property
    def _names(self) -> tuple[dict[str, str | None], dict[str, str | None]]:
        labels: dict[str, str | None] = {}
        synonyms: dict[str, str | None] = {}
        for cl_id, term in self._terms.items():
            for name, table in ((term.label, labels), *((name, synonyms) for name in self.names(cl_id))):
                key = normalise(name)
                table[key] = cl_id if table.get(key, cl_id) == cl_id else None
        daily: dict[str, str | None] = {}
        for name, cl_id in self._daily_names:
            key = normalise(name)
            daily[key] = cl_id if key not in daily else None
        synonyms.update(daily)
        return labels, synonyms

    def relation(self, label_id: str | None, gold_id: str | None) -> Relation:
        """How a label stands to the gold label."""
        if gold_id is None:
            return Relation.UNMAPPED
        if label_id is None:
            return Relation.UNRESOLVED
        if label_id == gold_id:
            return Relation.EXACT
        if gold_id in self.ancestors(label_id):
            return Relation.FINER
        return Relation.UNRESOLVED if self.is_root_level(label_id) else self._relation_off_gold(label_id, gold_id)

    def _relation_off_gold(self, label_id: str, gold_id: str) -> Relation:
        if label_id in self.ancestors(gold_id):
            return Relation.COARSER
        shared_parents = set(self.parents(label_id)) & set(self.parents(gold_id))
        if any(not self.is_root_level(parent) for parent in shared_parents):
            return Relation.SIBLING
        return Relation.CONTRADICTION if self.excludes(label_id, gold_id) else Relation.SAME_LINEAGE

    def hierarchical_score(self, label_id: str | None, gold_id: str) -> HierarchicalScore:
        r"""Agreement that gives credit for what two labels share.

        With :math:`A(x)` the ancestors of x, itself included and the root left out:
        precision :math:`|A(l) \cap A(g)| / |A(l)|`, recall :math:`|A(l) \cap A(g)| / |A(g)|`, and their harmonic mean
        (Kiritchenko et al. 2006, "Learning and evaluation in the presence of class hierarchies").
        """
        gold = self.ancestors(gold_id) - {ROOT}
        ours = self.ancestors(label_id) - {ROOT} if label_id is not None else frozenset[str]()
        shared = len(ours & gold)
        if not shared:
            return HierarchicalScore(0.0, 0.0, 0.0)
        precision, recall = shared / len(ours), shared / len(gold)
        return HierarchicalScore(precision, recall, 2 * precision * recall / (precision + recall))


@cache
def load_ontology() -> Ontology:
    """The Cell Ontology that ships with the package."""
    terms = {
        cl_id: _Term(label, _split(parents), _split(synonyms), frozenset(_split(organs)), int(n_sources))
        for cl_id, label, parents, synonyms, organs, n_sources in read_rows("cell_ontology.tsv")
    }
    anchors = {
        anchor: _Anchor(lineage, named == "yes", _split(becomes))
        for anchor, _, lineage, named, becomes in read_rows("lineages.csv")
    }
    return Ontology(versions()["cell-ontology"], terms, anchors, tuple(_pairs("names.csv")))


def _pairs(name: str) -> Iterator[tuple[str, str]]:
    return ((row[0], row[1]) for row in read_rows(name))


def _split(field: str) -> tuple[str, ...]:
    return tuple(field.split("|")) if field else ()
