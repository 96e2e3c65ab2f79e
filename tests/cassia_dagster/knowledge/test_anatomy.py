from __future__ import annotations

import pytest

from cassia_dagster.knowledge.anatomy import organs_named, tissue_term
from cassia_dagster.knowledge.tables import read_rows, read_toml


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


@pytest.mark.parametrize(("text", "uberon_id"), [("PBMC", "UBERON:0000178"), ("Lung, distal airway", "UBERON:0002048")])
def test_a_common_word_for_a_tissue_has_its_term(text: str, uberon_id: str) -> None:
    term = tissue_term(text)
    assert term is not None
    assert term.uberon_id == uberon_id


@pytest.mark.parametrize("text", ["", "wibble", "kidney and lung"])
def test_a_tissue_of_no_one_organ_has_none(text: str) -> None:
    assert tissue_term(text) is None


def test_every_organ_has_a_term() -> None:
    assert {row[0] for row in read_rows("uberon.csv")} == read_toml("organs.toml").keys()
