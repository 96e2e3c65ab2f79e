from __future__ import annotations

import pytest

from cassia_dagster.knowledge.anatomy import organ_adjectives, organs_named, read_tissue, tissue_note, tissue_term
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


@pytest.mark.parametrize(
    ("text", "organs"),
    [
        ("ileum", {"gut"}),
        ("UBERON:0002048", {"lung"}),
        ("uberon:0002048", {"lung"}),
        ("Peyer's patch", {"gut"}),
        ("bone marrow and spleen", {"bone_marrow", "spleen"}),
        ("olfactory bulb", {"brain"}),  # no nose
        ("telencephalic ventricle", {"brain"}),  # no heart
        ("human pancreatic islets", {"pancreas"}),
        ("lung, sample 3", {"lung"}),
        ("immune organs", set()),
        ("UBERON:9999999", set()),
        ("", set()),
    ],
)
def test_a_tissue_is_read_by_what_uberon_knows_of_it_and_else_by_its_words(text: str, organs: set[str]) -> None:
    assert read_tissue(text).organs == organs


def test_what_cannot_be_read_of_a_tissue_is_said_with_the_way_out() -> None:
    assert tissue_note("kidney") == tissue_note("") == ""
    assert "'immune organs' names no organ" in tissue_note("immune organs")
    assert "UBERON:0002113" in tissue_note("immune organs")
    assert "'sample 3' names no place that is known; read as: lung." in tissue_note("lung, sample 3")
    assert len(tissue_note("x" * 10_000)) < 400


def test_a_part_of_an_organ_has_a_term_of_its_own() -> None:
    assert tissue_term("ileum") == ("UBERON:0002116", "ileum")
    assert tissue_term("spleen and liver") is None


def test_every_organ_has_the_word_that_types_are_named_after() -> None:
    assert set(organ_adjectives()) == set(read_toml("organs.toml"))
    assert organ_adjectives()["pancreas"] == "pancreatic"
