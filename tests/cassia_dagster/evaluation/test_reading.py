"""Cell types that others wrote as free text."""

import pytest

from cassia_dagster.evaluation.reading import read_label
from cassia_dagster.knowledge.ontology import load_ontology

ontology = load_ontology()


@pytest.mark.parametrize(
    ("text", "tissue", "label"),
    [
        ("CD4-positive, alpha-beta T cell", "", "CD4-positive, alpha-beta T cell"),
        ("Alpha cells", "pancreatic islets", "pancreatic A cell"),
        ("MATURE NEUTROPHILS", "", "mature neutrophil"),
        ("Activated neutrophils", "", "neutrophil"),
        ("Plasmacytoid Dendritic Cell (pDC)", "", "plasmacytoid dendritic cell"),
        ("Some novel name (podocytes)", "kidney", "podocyte"),
        ("CD56dim Cytotoxic NK cells", "", "natural killer cell"),
        ("Inflammatory Monocyte/Macrophage", "", "monocyte"),
        ("urothelial cells of the renal pelvis", "kidney", "urothelial cell"),
        ("  Fenestrated \n Endothelial  Cells ", "", "fenestrated endothelial cell"),
    ],
)
def test_a_label_is_read_as_a_person_would(text, tissue, label):
    assert ontology.label(read_label(text, tissue)) == label


@pytest.mark.parametrize("text", ["", "??", "unknown", "Epithelial cells", "stressed cells", "((((", "x" * 5000])
def test_what_names_no_type_is_not_guessed(text):
    assert read_label(text) is None
