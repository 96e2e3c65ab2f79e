from __future__ import annotations

import pytest

from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import LONGEST_NAME, Certainty, Resolution, resolve_name

ontology = load_ontology()


def _labels(resolution: Resolution) -> set[str]:
    return {candidate.label for candidate in resolution.candidates}


@pytest.mark.parametrize(
    ("text", "tissue", "label"),
    [
        ("T cells?", "", "T cell"),
        ("T cell \N{DNA DOUBLE HELIX}", "", "T cell"),
        ("CD8-positive, alpha-beta T cell", "", "CD8-positive, alpha-beta T cell"),
        ("CD8+ \N{GREEK SMALL LETTER ALPHA}\N{GREEK SMALL LETTER BETA} T-cells", "", "CD8-positive, alpha-beta T cell"),
        ("T_CD8", "", "CD8-positive, alpha-beta T cell"),
        ("effector memory CD8+ T cells", "", "effector memory CD8-positive, alpha-beta T cell"),
        ("Mono_CD16", "blood", "CD14-low, CD16-positive monocyte"),
        ("M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller cell", "retina", "Mueller cell"),
        ("leucocytes", "", "leukocyte"),
        ("proliferating T cells", "", "cycling T cell"),
        ("Immune (B cell)", "lung", "B cell"),
        ("Epithelial cell (alveolar type II)", "lung", "pulmonary alveolar type 2 cell"),
        ("quiescent_stellate", "islets", "pancreatic stellate cell"),
    ],
)
def test_a_name_is_read_whatever_its_spelling(text: str, tissue: str, label: str) -> None:
    resolution = resolve_name(text, tissue)
    assert resolution.certainty is Certainty.RESOLVED
    assert resolution.candidates[0].label == label


def test_an_alpha_cell_is_ambiguous_until_the_tissue_is_known() -> None:
    assert resolve_name("alpha cell").certainty is Certainty.AMBIGUOUS
    assert {"pancreatic A cell", "acidophil cell of pars distalis of adenohypophysis"} <= _labels(
        resolve_name("alpha cell")
    )
    assert resolve_name("alpha cell", "pancreatic islets").candidates[0].label == "pancreatic A cell"


def test_an_abbreviation_may_mean_another_cell_in_another_organ() -> None:
    assert resolve_name("HSC", "bone marrow").candidates[0].label == "hematopoietic stem cell"
    assert resolve_name("HSC", "liver").candidates[0].label == "hepatic stellate cell"


def test_a_name_that_changed_its_meaning_is_ambiguous() -> None:
    assert resolve_name("dc2").certainty is Certainty.AMBIGUOUS
    assert _labels(resolve_name("dc2")) == {"plasmacytoid dendritic cell", "CD1c-positive myeloid dendritic cell"}


@pytest.mark.parametrize("text", ["DC/macrophage", "B/T doublet", "T and NK cells"])
def test_a_name_of_several_types_is_ambiguous(text: str) -> None:
    assert resolve_name(text).certainty is Certainty.AMBIGUOUS
    assert resolve_name(text).cl_id is None


@pytest.mark.parametrize(
    "text", ["", "??", "\N{MICROBE}\N{DNA DOUBLE HELIX}", "0", "cluster 3", "Unknown", "low quality"]
)
def test_a_text_that_names_nothing_is_unresolved(text: str) -> None:
    assert resolve_name(text) == Resolution(certainty=Certainty.UNRESOLVED, candidates=())


def test_a_very_long_text_is_no_name() -> None:
    assert resolve_name("T cell " * LONGEST_NAME).certainty is Certainty.UNRESOLVED


def test_a_misspelled_name_is_found_but_only_a_clear_one_is_resolved() -> None:
    assert resolve_name("plasmacytoid dendritc cell").candidates[0].label == "plasmacytoid dendritic cell"
    assert resolve_name("thick ascending limb of Loop of Henle").certainty is Certainty.AMBIGUOUS


def test_terms_of_the_other_species_are_passed_over() -> None:
    assert all(", human" not in label for label in _labels(resolve_name("myeloid dendritic cell, human", "", "mouse")))


def test_every_label_of_a_human_type_resolves_to_its_own_term() -> None:
    some = [cl_id for cl_id in ontology if ontology.n_sources(cl_id) > 20]
    assert [resolve_name(ontology.label(cl_id)).cl_id for cl_id in some] == some
