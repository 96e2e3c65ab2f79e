"""Reads what people and models call a cell type as a Cell Ontology term, and abstains where the name leaves doubt."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache, lru_cache
from itertools import islice, product

from cassia_dagster.knowledge.anatomy import organs_named, read_tissue
from cassia_dagster.knowledge.markers import is_answer
from cassia_dagster.knowledge.names import Named, NameIndex, index_of
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.spelling import normalise
from cassia_dagster.knowledge.tables import read_rows
from cassia_dagster.records import Fraction, Record, Species, rounded

LONGEST_NAME = 200
"""More characters than this are a text about a cell type, not its name."""

_N_CANDIDATES = 5
# Chosen on the synonyms of one half of the terms, each left out, so that 19 of 20 that resolve are right.
_ALIKE = 0.86
_AHEAD = 0.15
_REMOTE = 0.4
"""Likeness below which a term is no candidate."""
_OTHER_ORGAN = 0.8
_MOST_READINGS = 16

type _Terms = frozenset[str]


class Certainty(StrEnum):
    """Whether a text names one term."""

    RESOLVED = "resolved"
    AMBIGUOUS = "ambiguous"
    """Several terms have such a name, or only similar ones."""
    UNRESOLVED = "unresolved"
    """No term has a name like it."""


class NameCandidate(Record):
    """A term that a text may mean."""

    cl_id: str
    label: str
    likeness: Fraction
    """1 for the name itself, whatever its spelling; else how alike the letters are."""


class Resolution(Record):
    """What a text names."""

    certainty: Certainty
    candidates: tuple[NameCandidate, ...]
    """Best first; the first is the answer where the certainty is `RESOLVED`."""

    @property
    def cl_id(self) -> str | None:
        """The term, or ``None`` where the text does not name exactly one."""
        return self.candidates[0].cl_id if self.certainty is Certainty.RESOLVED else None


@lru_cache(maxsize=4096)
def resolve_name(text: str, tissue: str = "", species: Species = "human", left_out: Named | None = None) -> Resolution:
    """Read free text as a Cell Ontology term.

    In this order, and the first that finds something decides: the text as it stands; its words in any order, with
    abbreviations spelled out; the same without the name of an organ, where the tissue supplies it ("alpha" in islets);
    its parts ("Immune (B cell)"); then names with similar letters.

    Parameters
    ----------
    text
        Such as ``"CD8+ T cells"``, ``"T_CD8"`` or ``"Epithelial cell (alveolar type II)"``.
    tissue
        Free text; it decides between terms that are bound to organs, and is never needed for others.
    species
        Terms of the other species are passed over.
    left_out
        A name that is treated as unknown, to measure how well others stand in for it.

    Examples
    --------
    >>> resolve_name("alpha cells", "pancreatic islets").candidates[0].label
    'pancreatic A cell'
    >>> resolve_name("alpha cells").certainty
    <Certainty.AMBIGUOUS: 'ambiguous'>
    """
    text = " ".join(text.split())
    if len(text) > LONGEST_NAME or not normalise(text):
        return Resolution(certainty=Certainty.UNRESOLVED, candidates=())
    reader = _Reader(tissue, species, left_out)
    if exact := reader.read(text):
        return _of_exact(exact)
    exact, complete = reader.read_parts(text)
    return _of_exact(exact, complete=complete) if exact else reader.read_alike(text)


class _Reader:
    """Reads texts of one sample."""

    def __init__(self, tissue: str, species: Species, left_out: Named | None) -> None:
        self._organs = read_tissue(tissue).organs
        self._species = species
        self._left_out = left_out
        self._ontology = load_ontology()

    def read(self, text: str) -> _Terms:
        """Terms of which the text is a name: one, or several that share it."""
        named = self._named(text)
        if any(is_answer(cl_id) for cl_id in named) or (named and not self._organs):
            return named
        # "Ductal cell" is a term of its own, but in the pancreas it says more.
        return self._named_here(text) or named

    def _named(self, text: str) -> _Terms:
        return self._as_it_stands(text) or self._by_words(text)

    def _as_it_stands(self, text: str) -> _Terms:
        if self._left_out is not None or _means_more_here(text, self._organs):
            return frozenset()
        if several := _ambiguous_names().get(normalise(text)):
            return several
        found = self._ontology.resolve(text) or self._ontology.resolve(f"{text} cell")
        return frozenset({found}) if found is not None and self._fits_species(found) else frozenset()

    def _by_words(self, text: str) -> _Terms:
        def look_up(reading: str) -> _Terms:
            index = _index()
            found = _daily_index().with_words(reading) or index.with_words(reading, self._left_out)
            rewritten = (index.with_words(one, self._left_out) for one in index.rewrites(reading, self._left_out))
            return found or next(filter(None, rewritten), frozenset())

        return self._first_found(text, look_up)

    def _named_here(self, text: str) -> _Terms:
        """Terms whose name is the text and the name of an organ: of the sample's, or of any where it is unknown."""
        if self._left_out is not None:
            return frozenset()
        indices = [_of_organ(organ) for organ in sorted(self._organs | organs_named(text)) or (None,)]
        return self._first_found(
            _drop_organs(text),
            lambda reading: frozenset(cl_id for index in indices for cl_id in index.with_words(reading)),
        )

    def _first_found(self, text: str, look_up: Callable[[str], _Terms]) -> _Terms:
        for drop_states in (False, True):
            found = map(look_up, _spelled_out(text, self._organs, drop_states=drop_states))
            if terms := frozenset(cl_id for cl_ids in found for cl_id in cl_ids if self._fits_species(cl_id)):
                return terms
        return frozenset()

    def read_parts(self, text: str) -> tuple[_Terms, bool]:
        """Terms of a text that names a type twice, "Immune (B cell)", or several, "DC/macrophage".

        And whether every part was read: half of "B/T doublet" is no answer.
        """
        if aside := re.fullmatch(r"(.+?)\s+\((.+)\)", text):
            outer, inner = aside.groups()
            if whole := self.read(f"{inner} {outer}"):
                return whole, True
            inside, complete = (found, True) if (found := self.read(inner)) else self.read_parts(inner)
            return self._deepest(self._named(outer) | inside), complete or not inside
        parts = [part for part in re.split(r"[/;|&]|\b(?:or|and)\b", text) if part.strip()]
        read = [self.read(part) for part in parts] if len(parts) > 1 else []
        return frozenset[str]().union(*read), all(read)

    def _deepest(self, terms: _Terms) -> _Terms:
        above = (self._ontology.ancestors(cl_id) - {cl_id} for cl_id in terms)
        return terms - frozenset[str]().union(*above)

    def read_alike(self, text: str) -> Resolution:
        """Terms with similar names; resolved where one is very similar and no other nearly so."""
        alike: defaultdict[str, float] = defaultdict(float)
        for reading in _spelled_out(text, self._organs):
            for cl_id, value in _index().most_alike(reading, 4 * _N_CANDIDATES, self._left_out):
                alike[cl_id] = max(alike[cl_id], value * self._factor(cl_id))
        ranked = sorted(alike, key=lambda cl_id: (-alike[cl_id], cl_id))
        candidates = tuple(
            NameCandidate(cl_id=cl_id, label=self._ontology.label(cl_id), likeness=rounded(alike[cl_id]))
            for cl_id in ranked[:_N_CANDIDATES]
            if alike[cl_id] >= _REMOTE
        )
        if not candidates:
            return Resolution(certainty=Certainty.UNRESOLVED, candidates=())
        second = alike[ranked[1]] if len(ranked) > 1 else 0.0
        sure = alike[ranked[0]] >= _ALIKE and alike[ranked[0]] - second >= _AHEAD
        return Resolution(certainty=Certainty.RESOLVED if sure else Certainty.AMBIGUOUS, candidates=candidates)

    def _factor(self, cl_id: str) -> float:
        if not self._fits_species(cl_id):
            return 0.0
        bound = self._ontology.organs(cl_id)
        return _OTHER_ORGAN if bound and self._organs and not bound & self._organs else 1.0

    def _fits_species(self, cl_id: str) -> bool:
        other = {"human": r"\(Mmus\)|, mouse$", "mouse": r"\(Hsap\)|, human$|\(Homo sapiens\)"}[self._species]
        return re.search(other, self._ontology.label(cl_id)) is None


def _of_exact(terms: _Terms, *, complete: bool = True) -> Resolution:
    ontology = load_ontology()
    ranked = sorted(terms, key=lambda cl_id: (-ontology.n_sources(cl_id), cl_id))
    return Resolution(
        certainty=Certainty.RESOLVED if len(terms) == 1 and complete else Certainty.AMBIGUOUS,
        candidates=tuple(
            NameCandidate(cl_id=cl_id, label=ontology.label(cl_id), likeness=1.0) for cl_id in ranked[:_N_CANDIDATES]
        ),
    )


def _spelled_out(text: str, organs: frozenset[str], *, drop_states: bool = False) -> list[str]:
    """The text with abbreviations spelled out, in all ways that the sample's organs allow."""
    choices: list[tuple[str, ...]] = []
    for word in normalise(text).split():
        meanings = _abbreviations().get(word, {})
        meant = tuple(m for organ in sorted(organs) for m in meanings.get(organ, ())) or meanings.get("", (word,))
        choices.append(meant if drop_states or meant != ("",) else (word,))
    return [" ".join(chosen) for chosen in islice(product(*choices), _MOST_READINGS)]


def _drop_organs(name: str) -> str:
    return " ".join(word for word in name.split() if not organs_named(word))


@cache
def _abbreviations() -> dict[str, dict[str, tuple[str, ...]]]:
    found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for short, organ, meaning in read_rows("abbreviations.csv"):
        found[short][organ].append(normalise(meaning))
    return {short: {organ: tuple(m) for organ, m in of_organ.items()} for short, of_organ in found.items()}


def _means_more_here(text: str, organs: frozenset[str]) -> bool:
    """Whether an abbreviation in the text has a meaning of its own in one of the organs."""
    return any(organs & _abbreviations().get(word, {}).keys() for word in normalise(text).split())


@cache
def _ambiguous_names() -> dict[str, _Terms]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, cl_id in read_rows("names.csv"):
        found[normalise(name)].add(cl_id)
    return {key: frozenset(cl_ids) for key, cl_ids in found.items() if len(cl_ids) > 1}


def all_names() -> Iterator[Named]:
    """Every name by which a term is known: label, synonyms, names in daily use."""
    ontology = load_ontology()
    for cl_id in ontology:
        yield from (Named(cl_id, name) for name in ontology.names(cl_id))
    yield from (Named(cl_id, name) for name, cl_id in read_rows("names.csv"))


@cache
def _index() -> NameIndex:
    return index_of(all_names())


@cache
def _daily_index() -> NameIndex:
    return index_of((cl_id, name) for name, cl_id in read_rows("names.csv"))


@cache
def _of_organ(organ: str | None) -> NameIndex:
    """The names that speak of an organ (``None``: of any), without the words that do; only of terms bound to it."""
    ontology = load_ontology()
    bound = ((cl_id, name) for cl_id, name in all_names() if ontology.organs(cl_id))
    spoken_of = ((cl_id, name, organs_named(name) & ontology.organs(cl_id)) for cl_id, name in bound)
    named = ((cl_id, name) for cl_id, name, those in spoken_of if (organ in those if organ else those))
    return index_of((cl_id, bare) for cl_id, name in named if (bare := _drop_organs(name)))
