"""Brings names that mean the same to one spelling: case, plural, Greek letters, accents, "+" and "-"."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_GREEK = {
    "\N{GREEK SMALL LETTER ALPHA}": "alpha",
    "\N{GREEK SMALL LETTER BETA}": "beta",
    "\N{GREEK SMALL LETTER GAMMA}": "gamma",
    "\N{GREEK SMALL LETTER DELTA}": "delta",
    "\N{GREEK SMALL LETTER EPSILON}": "epsilon",
    "\N{GREEK SMALL LETTER KAPPA}": "kappa",
}


@cache
def normalise(text: str) -> str:
    """A name without case, plural, Greek letters and punctuation; "+" and "-" after a marker are kept as words.

    Examples
    --------
    >>> normalise("CD8⁺ αβ T-cells")
    'cd8 positive alpha beta t cell'
    """
    text = unicodedata.normalize("NFKD", text).casefold()
    for letter, name in _GREEK.items():
        text = text.replace(letter, f" {name} ")
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"(alpha|gamma)(beta|delta)", r"\1 \2", text)
    text = re.sub(r"(?<=\w)\+(?!\w)|(?<=\w)\+(?=[^\W\d_]{2})", " positive ", text)
    text = re.sub("(?<=\\d)[-\N{MINUS SIGN}](?=\\s|,|$)", " negative ", text)
    return " ".join(_singular(word) for word in re.findall(r"[a-z0-9]+", text))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
