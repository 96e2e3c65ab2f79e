from __future__ import annotations

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.knowledge.tables import read_rows

B_CELL, T_CELL, PLASMA_CELL, CD4_T, CD8_T = "CL:0000236", "CL:0000084", "CL:0000786", "CL:0000624", "CL:0000625"
NK, MONOCYTE, MACROPHAGE, HSC = "CL:0000623", "CL:0000576", "CL:0000235", "CL:0000037"
ALPHA, BETA, DUCTAL, EPITHELIAL = "CL:0000171", "CL:0000169", "CL:0002079", "CL:0000066"
FIBROBLAST, PERICYTE, SMOOTH_MUSCLE, MICROGLIA, DELTA = (
    "CL:0000057",
    "CL:0000669",
    "CL:0000192",
    "CL:0000129",
    "CL:0000173",
)
CELL, LEUKOCYTE = "CL:0000000", "CL:0000738"
ontology = load_ontology()


@pytest.mark.parametrize(
    ("text", "cl_id"),
    [
        ("B cell", B_CELL),
        ("B cells", B_CELL),
        ("b-cells", B_CELL),
        ("Macrophages", MACROPHAGE),
        ("CD8-positive, alpha-beta T cell", CD8_T),
        ("CD8+, alpha-beta T cells", CD8_T),
        ("CD8+ T cells", CD8_T),
        ("CD14+ monocyte", "CL:0001054"),
        ("pancreatic \N{GREEK SMALL LETTER ALPHA} cell", ALPHA),
        ("\N{GREEK SMALL LETTER GAMMA}\N{GREEK SMALL LETTER DELTA} T cell", "CL:0000798"),
        ("CD16-positive, CD56-dim natural killer cells", "CL:0000939"),
        ("NK cells", NK),
    ],
)
def test_a_name_resolves_whatever_its_spelling(text: str, cl_id: str) -> None:
    assert ontology.resolve(text) == cl_id


@pytest.mark.parametrize("text", ["", "alpha cell", "cluster 3", "T", "unknown", "CD8-negative T cell"])
def test_a_text_that_names_no_one_term_resolves_to_none(text: str) -> None:
    assert ontology.resolve(text) is None


def test_every_label_resolves_to_its_own_term() -> None:
    wrong = [
        ontology.label(cl_id) for cl_id in ontology if ontology.resolve(ontology.label(cl_id)) not in {cl_id, None}
    ]
    unresolved = [cl_id for cl_id in ontology if ontology.resolve(ontology.label(cl_id)) is None]
    assert not wrong
    assert len(unresolved) < 10  # labels that differ in a plus sign only


def test_the_tables_by_hand_name_terms_by_their_true_labels() -> None:
    assert [row[0] for row in read_rows("lineages.csv") if ontology.label(row[0]) != row[1]] == []
    assert [row for row in read_rows("names.csv") if row[1] not in ontology] == []


def test_an_id_that_is_no_term_is_named_in_the_error() -> None:
    with pytest.raises(InputError, match="CL:9999999"):
        ontology.label("CL:9999999")


def test_ancestors_hold_the_term_itself_and_the_root() -> None:
    assert {B_CELL, LEUKOCYTE, CELL} <= ontology.ancestors(B_CELL)
    assert PLASMA_CELL not in ontology.ancestors(B_CELL)


@pytest.mark.parametrize(
    ("one", "other"), [(B_CELL, T_CELL), (ALPHA, "CL:0000540"), (MACROPHAGE, NK), (FIBROBLAST, DUCTAL), (HSC, BETA)]
)
def test_cells_of_two_lineages_exclude_each_other(one: str, other: str) -> None:
    assert ontology.excludes(one, other)
    assert ontology.relation(one, other) is Relation.CONTRADICTION


@pytest.mark.parametrize(
    ("one", "other"),
    [(CD8_T, NK), (MONOCYTE, MACROPHAGE), (PERICYTE, SMOOTH_MUSCLE), (PERICYTE, FIBROBLAST), (HSC, B_CELL)],
)
def test_types_that_blur_into_each_other_do_not(one: str, other: str) -> None:
    assert not ontology.excludes(one, other)


def test_a_term_of_two_lineages_belongs_to_none_unless_the_table_decides() -> None:
    assert ontology.lineage("CL:0000165") is None  # neuroendocrine cell: neuron and epithelium
    assert ontology.lineage(DELTA) == EPITHELIAL
    assert ontology.lineage(MICROGLIA) == "CL:0000766"


@pytest.mark.parametrize(
    "name", ["cell", "leukocyte", "epithelial cell", "lymphocyte", "secretory cell", "motile cell"]
)
def test_a_name_that_resolves_nothing_is_at_root_level(name: str) -> None:
    cl_id = ontology.resolve(name)
    assert cl_id is not None
    assert ontology.is_root_level(cl_id)


@pytest.mark.parametrize(
    "name", ["T cell", "endothelial cell", "fibroblast", "neuron", "platelet", "neuroendocrine cell"]
)
def test_a_name_that_helps_is_not(name: str) -> None:
    cl_id = ontology.resolve(name)
    assert cl_id is not None
    assert not ontology.is_root_level(cl_id)


@pytest.mark.parametrize(
    ("label", "gold", "relation"),
    [
        (BETA, BETA, Relation.EXACT),
        (CD4_T, T_CELL, Relation.FINER),
        (T_CELL, CD4_T, Relation.COARSER),
        (CD4_T, CD8_T, Relation.SIBLING),
        (DUCTAL, ALPHA, Relation.SAME_LINEAGE),
        (B_CELL, BETA, Relation.CONTRADICTION),
        (EPITHELIAL, BETA, Relation.UNRESOLVED),
        (EPITHELIAL, EPITHELIAL, Relation.EXACT),
        (None, BETA, Relation.UNRESOLVED),
        (BETA, None, Relation.UNMAPPED),
    ],
)
def test_a_label_relates_to_the_gold_label(label: str | None, gold: str | None, relation: Relation) -> None:
    assert ontology.relation(label, gold) is relation


def test_the_hierarchical_score_gives_credit_for_shared_ancestors() -> None:
    assert ontology.hierarchical_score(BETA, BETA) == (1, 1, 1)
    assert ontology.hierarchical_score(None, BETA) == (0, 0, 0)
    assert ontology.hierarchical_score(CELL, BETA).f1 == 0
    coarser = ontology.hierarchical_score(T_CELL, CD4_T)
    assert coarser.precision == 1
    assert coarser.recall == (len(ontology.ancestors(T_CELL)) - 1) / (len(ontology.ancestors(CD4_T)) - 1)
    assert ontology.hierarchical_score(CD8_T, CD4_T).f1 > ontology.hierarchical_score(B_CELL, CD4_T).f1
