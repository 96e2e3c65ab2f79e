"""Which organs a text speaks of: what ties a cell type's name to the user's free-text tissue."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from cassia_dagster.knowledge.tables import read_rows, read_toml


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


@cache
def _uberon() -> dict[str, TissueTerm]:
    return {organ: TissueTerm(uberon_id, label) for organ, uberon_id, label, _ in read_rows("uberon.csv")}


def tissue_term(text: str) -> TissueTerm | None:
    """The Uberon term of the organ that a free-text tissue names; ``None`` where it names none, or several.

    Examples
    --------
    >>> tissue_term("human pancreatic islets")
    TissueTerm(uberon_id='UBERON:0001264', label='pancreas')
    """
    organs = organs_named(text)
    return _uberon()[next(iter(organs))] if len(organs) == 1 else None


def organ_adjectives() -> dict[str, str]:
    """The word that cell types of each organ are named after: "pancreatic" for the pancreas."""
    return {organ: adjective for organ, _, _, adjective in read_rows("uberon.csv")}
