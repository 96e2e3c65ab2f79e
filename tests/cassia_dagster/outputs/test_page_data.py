import pandas as pd
from anndata import AnnData

from cassia_dagster.outputs.downloads import downloads_of
from cassia_dagster.outputs.page_data import page_data
from cassia_dagster.outputs.result import ResolutionResult

ANCHORS = {cluster: f"cluster-{cluster}" for cluster in ("0", "2", "3", "10", "T?")}


def test_scripts_know_every_cluster_and_what_was_found_of_it(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    data = page_data(blood, ANCHORS, downloads_of(blood), blood_cells, None, blood_expression)
    said = {row["id"]: (row["label"], row["score"], row["evidence"]) for row in data["clusters"]}
    assert said == {
        "0": ("CD8-positive, alpha-beta T cell", 85, "passed"),
        "2": ("B cell", 90, "passed"),
        "3": ("unresolved", None, "not checked"),
        "10": ("CD14-positive monocyte", 72.5, "cites genes that are not among the markers"),
        "T?": ("unresolved", None, "not checked"),
    }
    assert [group["said"] for group in data["groups"]] == [
        "85 cells, clusters 0, 2 and 10",
        "15 cells, clusters 3 and T?",
    ]
    assert list(data["cells"]["genes"]) == list(blood_expression.var_names)


def test_without_cells_scripts_know_none(blood: ResolutionResult) -> None:
    assert page_data(blood, ANCHORS, downloads_of(blood), None, None, None)["cells"] is None
