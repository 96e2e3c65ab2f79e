from __future__ import annotations

import numpy as np
import pytest

from cassia_dagster.knowledge.markers import (
    is_answer,
    load_markers,
    species_term,
    tells_identity,
    tells_malignancy,
)
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.tables import read_rows

human, mouse = load_markers("human"), load_markers("mouse")
ontology = load_ontology()


def cl_id(name: str) -> str:
    found = ontology.resolve(name)
    assert found is not None, name
    return found


@pytest.mark.parametrize(
    ("gene", "name"),
    [("INS", "type B pancreatic cell"), ("MS4A1", "B cell"), ("NPHS2", "podocyte"), ("CD3D", "T cell")],
)
def test_a_famous_gene_speaks_for_its_type(gene: str, name: str) -> None:
    assert human.weight(cl_id(name), gene) > 0.1


@pytest.mark.parametrize(
    ("gene", "name"),
    [
        ("Ins1", "type B pancreatic cell"),
        ("Ins2", "type B pancreatic cell"),
        ("Cd68", "macrophage"),
        ("H2-Aa", "B cell"),
        ("Siglech", "plasmacytoid dendritic cell"),
        ("Ngp", "neutrophil"),
    ],
)
def test_a_mouse_gene_speaks_through_its_human_partner(gene: str, name: str) -> None:
    assert mouse.weight(cl_id(name), gene) > 0.02


def test_a_mouse_gene_whose_human_relative_marks_other_cells_has_no_partner() -> None:
    assert mouse.row("Ms4a4a") is not None
    assert mouse.row("Ms4a4b") is None


@pytest.mark.parametrize(
    ("gene", "malignant"), [("MAGEA4", True), ("GAGE12F", True), ("MAGED1", False), ("PAGE4", False)]
)
def test_cancer_testis_genes_tell_malignancy(gene: str, *, malignant: bool) -> None:
    assert tells_malignancy(gene) is malignant


def test_a_term_of_a_species_is_given_to_that_species_only() -> None:
    classical = cl_id("classical monocyte")
    assert ontology.label(species_term(classical, "human")) == "CD14-positive, CD16-negative classical monocyte"
    assert species_term(classical, "mouse") == classical


def test_the_terms_of_a_species_are_named_by_their_true_labels() -> None:
    for _, general, label, own, own_label in read_rows("species_terms.csv"):
        assert (ontology.label(general), ontology.label(own)) == (label, own_label)
        assert general in ontology.ancestors(own)


def test_a_former_symbol_is_the_same_gene() -> None:
    assert human.row("SDPR") == human.row("CAVIN2") is not None


def test_names_as_r_writes_them_are_understood() -> None:
    assert human.row("HLA.DRA") == human.row("HLA-DRA") is not None
    assert not tells_identity("MT.CO1")
    assert not tells_identity("RP11.34P13.7")


def test_symbols_of_one_species_are_unknown_in_the_other() -> None:
    assert human.row("Ins2") is None
    assert "INS" not in mouse.species_genes


def test_no_type_wins_by_the_number_of_its_genes() -> None:
    consensus = np.linalg.norm(human.weights, axis=0)
    assert consensus.min() > 0.99
    assert consensus.max() < 1.5  # what curators add


@pytest.mark.parametrize(
    "gene", ["MT-CO1", "RPS27", "Rpl13a", "HSPA1A", "MKI67", "Top2a", "FOS", "XIST", "MALAT1", "DDIT3"]
)
def test_what_a_cell_does_or_suffers_tells_no_identity(gene: str) -> None:
    assert not tells_identity(gene)


@pytest.mark.parametrize("gene", ["INS", "CD3D", "Ms4a1", "HBB", "MTTP", "RPE65", "HSD11B2", "JCHAIN", "CDH5"])
def test_a_marker_does(gene: str) -> None:
    assert tells_identity(gene)


@pytest.mark.parametrize(
    "name",
    ["excretory cell", "lung secretory cell", "biogenic amine secreting cell", "M2 macrophage", "epithelial cell"],
)
def test_a_function_a_state_or_a_root_is_no_answer(name: str) -> None:
    assert not is_answer(cl_id(name))


@pytest.mark.parametrize("name", ["podocyte", "pulmonary alveolar type 2 cell", "mast cell", "macrophage", "B cell"])
def test_a_type_is(name: str) -> None:
    assert is_answer(cl_id(name))
    assert cl_id(name) in human.types
