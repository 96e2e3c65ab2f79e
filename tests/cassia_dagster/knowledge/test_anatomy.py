from __future__ import annotations

import pytest

from cassia_dagster.knowledge.anatomy import organs_named


@pytest.mark.parametrize(
    ("text", "organs"),
    [
        ("human pancreatic islets", {"pancreas"}),
        ("Kidney (cortex)", {"kidney"}),
        ("PBMC", {"blood"}),
        ("bronchoalveolar lavage", {"lung"}),
        ("hepatic stellate cell", {"liver"}),
        ("bone marrow", {"bone_marrow"}),
        ("", set()),
        ("organoid", set()),
    ],
)
def test_a_text_speaks_of_organs(text: str, organs: set[str]) -> None:
    assert organs_named(text) == organs


def test_a_t_cell_from_the_thymus_is_not_bound_to_it() -> None:
    assert organs_named("naive thymus-derived CD4-positive, alpha-beta T cell") == frozenset()


def test_a_word_inside_another_is_not_read() -> None:
    assert organs_named("linear early clear") == frozenset()  # "ear"
