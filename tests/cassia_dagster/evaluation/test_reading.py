"""Cell types that others wrote as free text."""

from pathlib import Path

import pandas as pd
import pytest

from cassia_dagster.evaluation.reading import read_gold_labels, read_label
from cassia_dagster.knowledge.ontology import load_ontology

ontology = load_ontology()


@pytest.mark.parametrize(
    ("text", "tissue", "label"),
    [
        ("CD4-positive, alpha-beta T cell", "", "CD4-positive, alpha-beta T cell"),
        ("Alpha cells", "pancreatic islets", "pancreatic A cell"),
        ("MATURE NEUTROPHILS", "", "mature neutrophil"),
        ("Activated neutrophils", "", "mature neutrophil"),
        ("Classical Alveolar Type II Cells", "lung", "pulmonary alveolar type 2 cell"),
        ("Principal Cells", "kidney", "renal principal cell"),
        ("Plasmacytoid Dendritic Cell (pDC)", "", "plasmacytoid dendritic cell"),
        ("Some novel name (podocytes)", "kidney", "podocyte"),
        ("CD56dim Cytotoxic NK cells", "", "natural killer cell"),
        ("Inflammatory Monocyte/Macrophage", "", "monocyte"),
        ("urothelial cells of the renal pelvis", "kidney", "kidney pelvis urothelial cell"),
        ("  Fenestrated \n Endothelial  Cells ", "", "fenestrated endothelial cell"),
    ],
)
def test_a_label_is_read_as_a_person_would(text, tissue, label):
    assert ontology.label(read_label(text, tissue)) == label


@pytest.mark.parametrize("text", ["", "??", "unknown", "Epithelial cells", "stressed cells", "((((", "x" * 5000])
def test_what_names_no_type_is_not_guessed(text):
    assert read_label(text) is None


def test_gold_labels_are_read_in_the_light_of_the_tissue() -> None:
    mapped = read_gold_labels(["alpha", "beta", "ductal", "acinar", "mast", "t_cell", "who knows"], "pancreatic islets")
    assert mapped == {
        "alpha": "CL:0000171",
        "beta": "CL:0000169",
        "ductal": "CL:0002079",
        "acinar": "CL:0002064",
        "mast": "CL:0000097",
        "t_cell": "CL:0000084",
        "who knows": None,
    }


def test_gold_labels_without_a_tissue_are_read_as_they_stand() -> None:
    assert read_gold_labels(["alpha", "NK", "B cells"]) == {"alpha": None, "NK": "CL:0000623", "B cells": "CL:0000236"}


def test_names_in_daily_use_are_read_as_gold_labels_too() -> None:
    mapped = read_gold_labels(["CD14+ Mono", "Naive CD4 T", "activated_stellate", "delta"], "pancreas")
    assert {label: ontology.label(term) for label, term in mapped.items()} == {
        "CD14+ Mono": "CD14-positive monocyte",
        "Naive CD4 T": "naive thymus-derived CD4-positive, alpha-beta T cell",
        "activated_stellate": "pancreatic stellate cell",
        "delta": "pancreatic D cell",
    }


def test_gold_labels_of_the_published_sets_are_read_as_their_curators_did(evaluation_data: Path) -> None:
    tissues = {"pancreas": "pancreas", "pbmc": "blood", "mouse": "immune organs"}
    table = pd.read_csv(evaluation_data / "gold_label_to_CL.csv", dtype=str, keep_default_na=False)
    right = 0
    for row in table.to_dict("records"):
        tissue = next((where for part, where in tissues.items() if part in row["dataset"]), "")
        species = "mouse" if "mouse" in row["dataset"] else "human"
        right += read_gold_labels([row["label"]], tissue, species)[row["label"]] == (row["cl_id"] or None)
    assert right >= 0.95 * len(table)
