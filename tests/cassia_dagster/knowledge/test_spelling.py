from __future__ import annotations

import pytest

from cassia_dagster.knowledge.spelling import normalise


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("CD4+ T-cells", "cd4 positive t cell"),
        ("CD4- T cell", "cd4 negative t cell"),
        ("CD8\N{SUPERSCRIPT PLUS SIGN} T cell", "cd8 positive t cell"),
        ("\N{GREEK SMALL LETTER GAMMA}\N{GREEK SMALL LETTER DELTA} T", "gamma delta t"),
        ("gammadelta T", "gamma delta t"),
        ("H\N{LATIN SMALL LETTER O WITH DIAERESIS}fbauer cells", "hofbauer cell"),
        ("\N{MICROBE}", ""),
    ],
)
def test_names_that_mean_the_same_have_one_spelling(text: str, spelling: str) -> None:
    assert normalise(text) == spelling


def test_an_s_that_is_no_plural_stays() -> None:
    assert normalise("Thymus, testis, Treg class") == "thymus testis treg class"
