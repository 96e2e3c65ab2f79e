"""Finds terms by what they are called: exactly, by their words in any order, or by the likeness of their letters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, permutations
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cassia_dagster.knowledge.spelling import normalise

_GRAM_SIZES = (2, 3, 4)
_REWRITTEN = 0.97
"""Factor on the likeness after one phrase was exchanged for another."""
_MISMATCH = 0.9
"""Factor on the likeness for each letter, number, CD molecule or "negative" that only one of two names has."""
_MOST_REWRITES = 12
_LONGEST_PHRASE = 3
_SHORTEST_REWRITE = 6
"""Fewer letters than this ("ic" for "intercalated cell") say less than what they stand for."""
_N_REREAD = 60
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4"}
_NO_CONTENT = frozenset({"cell", "of", "the", "and", "in", "from", "type", "positive"})


class Named(NamedTuple):
    """One name of a term."""

    term: str
    name: str


class Likeness(NamedTuple):
    """How alike a text and the most similar name of a term are, 0 to 1."""

    term: str
    value: float


def words_of(text: str) -> frozenset[str]:
    """The words of a name that tell it from others, in the spelling of `normalise`."""
    return frozenset(_ROMAN.get(word, word) for word in normalise(text).split()) - _NO_CONTENT


@dataclass(frozen=True, eq=False)
class NameIndex:
    """All names of a set of terms.

    ``left_out`` in its methods hides one name, so that the index can be asked how well it would have done without it.
    """

    names: tuple[Named, ...]

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        return tuple(normalise(named.name) for named in self.names)

    @cached_property
    def _by_words(self) -> dict[frozenset[str], list[Named]]:
        found: defaultdict[frozenset[str], list[Named]] = defaultdict(list)
        for named in self.names:
            if words := words_of(named.name):
                found[words].append(named)
        return dict(found)

    def with_words(self, text: str, left_out: Named | None = None) -> frozenset[str]:
        """Terms that have a name of the words of the text, in any order."""
        found = self._by_words.get(words_of(text), ())
        return frozenset(named.term for named in found if named != left_out)

    def rewrites(self, text: str, left_out: Named | None = None) -> list[str]:
        """The text with one phrase exchanged for another that the names of at least two terms use for it.

        The most common exchanges first, such as "dorsal root ganglion" for "DRG" or "cycling" for "proliferating".
        """
        words = normalise(text).split()
        found: dict[str, int] = {}
        for start, stop in _spans(len(words)):
            for other, terms in self._exchanges.get(" ".join(words[start:stop]), {}).items():
                support = len(terms - {left_out.term if left_out else None})
                rewritten = " ".join([*words[:start], other, *words[stop:]])
                # One term says what it is called; two say that the phrases mean the same.
                if support > 1 and len(rewritten) >= _SHORTEST_REWRITE:
                    found.setdefault(rewritten, support)
        return sorted(found, key=lambda rewritten: (-found[rewritten], rewritten))[:_MOST_REWRITES]

    def most_alike(self, text: str, limit: int, left_out: Named | None = None) -> tuple[Likeness, ...]:
        """Terms with the most similar names, best first.

        The likeness is the cosine of two names' character n-grams (2 to 4, within words), weighted by their inverse
        document frequency. The rewrites of the text are compared too, and both lose for numbers and single letters
        that only one of two names has.
        """
        key = normalise(text)
        likeness = self._likeness(key)
        for rewritten in self.rewrites(key, left_out):
            likeness = np.maximum(likeness, _REWRITTEN * self._likeness(rewritten))
        if left_out is not None:
            likeness[self.names.index(left_out)] = 0
        ours = _telling(key)
        best: dict[str, float] = {}
        for row in np.argsort(-likeness, kind="stable")[:_N_REREAD]:
            value = float(likeness[row] * _MISMATCH ** len(ours ^ _telling(self._keys[row])))
            term = self.names[row].term
            best[term] = max(best.get(term, 0.0), value)
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:limit]
        return tuple(Likeness(term, min(1.0, value)) for term, value in ranked if value > 0)

    @cached_property
    def _postings(self) -> Mapping[str, tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Of each n-gram, the rows of the names that have it, and its weight in each."""
        counted = [_grams(key) for key in self._keys]
        number = {gram: i for i, gram in enumerate(dict.fromkeys(chain.from_iterable(counted)))}
        grams = np.fromiter((number[gram] for one in counted for gram in one), dtype=np.intp)
        counts = np.fromiter((count for one in counted for count in one.values()), dtype=np.float64)
        rows = np.repeat(np.arange(len(counted)), [len(one) for one in counted])
        n_names = np.bincount(grams, minlength=len(number))
        weights = counts * self._rarity(n_names)[grams]
        weights /= np.sqrt(np.bincount(rows, weights**2, minlength=len(counted)))[rows]
        order, ends = np.argsort(grams, kind="stable"), np.cumsum(n_names)
        parts = zip(np.split(rows[order], ends[:-1]), np.split(weights[order], ends[:-1]), strict=True)
        return dict(zip(number, parts, strict=True))

    def _rarity(self, n_names: NDArray[np.intp]) -> NDArray[np.float64]:
        """Inverse document frequency of n-grams that so many names have."""
        rarity: NDArray[np.float64] = np.log((1 + len(self.names)) / (1 + n_names)) + 1
        return rarity

    def _likeness(self, key: str) -> NDArray[np.float64]:
        likeness = np.zeros(len(self.names))
        squares = 0.0
        nowhere: tuple[NDArray[np.intp], NDArray[np.float64]] = (np.array([], dtype=np.intp), np.array([]))
        for gram, count in _grams(key).items():
            rows, values = self._postings.get(gram, nowhere)
            weight = count * float(self._rarity(np.array(len(rows))))
            squares += weight**2
            likeness[rows] += weight * values
        return likeness / (squares**0.5 or 1.0)

    @cached_property
    def _exchanges(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """Phrase → phrase → terms of which both are used for the same thing."""
        names_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for named, key in zip(self.names, self._keys, strict=True):
            names_of[named.term][key] = None
        terms: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for term, keys in names_of.items():
            for one, other in permutations(keys, 2):
                phrase, its_other = _difference(one.split(), other.split())
                # "Cell" is exchanged for everything, and so tells nothing.
                if its_other and not _NO_CONTENT.issuperset(phrase) and len(phrase) <= _LONGEST_PHRASE:
                    terms[" ".join(phrase), " ".join(its_other)].add(term)
        found: defaultdict[str, dict[str, frozenset[str]]] = defaultdict(dict)
        for (before, after), supporting in terms.items():
            found[before][after] = frozenset(supporting)
        return found


def _spans(n_words: int) -> Iterator[tuple[int, int]]:
    for start in range(n_words):
        for stop in range(start + 1, min(start + _LONGEST_PHRASE, n_words) + 1):
            yield start, stop


def _grams(key: str) -> dict[str, float]:
    """Character n-grams within the words of a key; each repetition adds less."""
    counts = Counter(
        padded[start : start + size]
        for padded in (f" {word} " for word in key.split())
        for size in _GRAM_SIZES
        for start in range(len(padded) - size + 1)
    )
    return {gram: 1 + log(count) for gram, count in counts.items()}


def _telling(key: str) -> frozenset[str]:
    """Words that make another type of the same name: letters, numbers, CD molecules, "negative"."""
    words = (_ROMAN.get(word, word) for word in key.split())
    return frozenset(w for w in words if w == "negative" or len(w) == 1 or any(letter.isdigit() for letter in w))


def _difference(one: list[str], other: list[str]) -> tuple[list[str], list[str]]:
    """What is left of two names without the words that they begin and end with alike."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return one[start : len(one) - end], other[start : len(other) - end]


def index_of(names: Iterable[tuple[str, str]]) -> NameIndex:
    """Index pairs of term and name, in an order of its own."""
    return NameIndex(tuple(sorted({Named(term, name) for term, name in names})))
