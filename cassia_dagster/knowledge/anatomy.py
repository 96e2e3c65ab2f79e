"""Which organs a text speaks of: what ties a cell type's name to the user's free-text tissue."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from cassia_dagster.knowledge.spelling import normalise
from cassia_dagster.knowledge.tables import read_rows, read_toml

_LONGEST = 100
"""Letters of a text that a message repeats."""


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {organ: re.compile("|".join(map(_pattern, words))) for organ, words in read_toml("organs.toml").items()}


def _pattern(word: str) -> str:
    start = rf"(?<![\w-]){re.escape(word.removesuffix('*'))}"
    # "thymus-derived" says where a T cell grew up, not where it is found.
    return start if word.endswith("*") else rf"{start}s?(?![\w-])"


@cache
def organs_named(text: str) -> frozenset[str]:
    """Organs that a label or a free-text tissue speaks of.

    Parameters
    ----------
    text : str
        For instance ``"human pancreatic islets"`` or ``"kidney epithelial cell"``.

    Returns
    -------
    frozenset of str
        Keys of ``data/organs.toml``; empty where the text names none.
    """
    lowered = text.lower()
    return frozenset(organ for organ, pattern in _patterns().items() if pattern.search(lowered))


class TissueTerm(NamedTuple):
    """A term of Uberon, the ontology of anatomy."""

    uberon_id: str
    label: str


class TissueReading(NamedTuple):
    """What a free-text tissue says."""

    organs: frozenset[str]
    """Keys of ``data/organs.toml``."""
    terms: tuple[TissueTerm, ...]
    unread: tuple[str, ...]
    """Parts of the text that name no place that is known."""


_SEPARATORS = re.compile(r"[,;/|+&]|\band\b|\bwith\b", re.IGNORECASE)


@cache
def read_tissue(text: str) -> TissueReading:
    """Read where a sample is from: names and ids of Uberon, else words that tie it to an organ.

    Exact names come first, for an "olfactory bulb" is no nose and a "telencephalic ventricle" no heart. What is left is
    split at commas, strokes and "and", and read piece by piece.

    Parameters
    ----------
    text
        Such as ``"ileum"``, ``"UBERON:0002048"`` or ``"bone marrow and spleen"``.

    Examples
    --------
    >>> read_tissue("olfactory bulb").organs
    frozenset({'brain'})
    >>> read_tissue("lung, sample 3").unread
    ('sample 3',)
    """
    if known := _place(text):
        return TissueReading(known.organs, (known.term,), ())
    parts = [part for one in _SEPARATORS.split(text) if (part := " ".join(one.split()))]
    organs: set[str] = set()
    terms: dict[TissueTerm, None] = {}
    unread = []
    for part in parts:
        place = _place(part)
        named = place.organs if place else organs_named(part)
        organs |= named
        terms |= dict.fromkeys([place.term] if place else [_uberon()[organ] for organ in sorted(named)])
        unread += [] if named else [part]
    return TissueReading(frozenset(organs) or organs_named(text), tuple(terms), tuple(unread))


def tissue_note(text: str) -> str:
    """Say what of a tissue could not be read and what follows from it; empty where there is nothing to say.

    Examples
    --------
    >>> tissue_note("kidney")
    ''
    """
    if not text.strip():
        return ""
    organs, _, unread = read_tissue(text)
    if not organs:
        return (
            f"The tissue {text[:_LONGEST]!r} names no organ that marker knowledge knows; cell types of all organs are "
            "candidates. Name an organ, such as 'kidney', or a term of Uberon, such as 'UBERON:0002113'."
        )
    if not unread:
        return ""
    known = ", ".join(sorted(organs)).replace("_", " ")
    return (
        f"Of the tissue {text[:_LONGEST]!r}, {unread[0][:_LONGEST]!r} names no place that is known; read as: {known}."
    )


def tissue_term(text: str) -> TissueTerm | None:
    """The Uberon term that a free-text tissue names; ``None`` where it names none, or several.

    Examples
    --------
    >>> tissue_term("human pancreatic islets")
    TissueTerm(uberon_id='UBERON:0001264', label='pancreas')
    """
    terms = read_tissue(text).terms
    return terms[0] if len(terms) == 1 else None


@cache
def _uberon() -> dict[str, TissueTerm]:
    return {organ: TissueTerm(uberon_id, label) for organ, uberon_id, label, _ in read_rows("uberon.csv")}


class _Place(NamedTuple):
    term: TissueTerm
    organs: frozenset[str]


def _place(text: str) -> _Place | None:
    return _places().get(text.strip().upper()) or _places().get(normalise(text))


@cache
def _places() -> dict[str, _Place]:
    """Ids and names of Uberon's terms within the organs; names as `normalise` spells them."""
    places: dict[str, _Place] = {}
    synonyms: dict[str, _Place | None] = {}
    for uberon_id, label, organs, names in read_rows("places.tsv.gz"):
        place = _Place(TissueTerm(uberon_id, label), frozenset(organs.split("|")))
        first, *others = names.split("|")
        places[uberon_id] = place
        places.setdefault(first, place)
        for name in others:
            synonyms[name] = place if name not in synonyms else None
    return {name: place for name, place in synonyms.items() if place is not None} | places


def organ_adjectives() -> dict[str, str]:
    """The word that cell types of each organ are named after: "pancreatic" for the pancreas."""
    return {organ: adjective for organ, _, _, adjective in read_rows("uberon.csv")}
