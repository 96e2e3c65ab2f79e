"""Which organs a text speaks of: what ties a cell type's name to the user's free-text tissue."""

from __future__ import annotations

import re
from functools import cache

from cassia_dagster.knowledge.tables import read_toml


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
