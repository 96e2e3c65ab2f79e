import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.tables import as_it_was, full_table, inert_csv, scored_table, summary_table, write_tables
from cassia_dagster.records import Marker

CD8 = "CD8-positive, alpha-beta T cell"


def with_label(result: ResolutionResult, label: str) -> ResolutionResult:
    """The same result, whose first cluster bears another label."""
    first = result.clusters[0]
    annotation = first.boosted.annotation
    assert annotation is not None
    boosted = first.boosted.model_copy(update={"annotation": annotation.model_copy(update={"subtypes": (label,)})})
    return result.model_copy(update={"clusters": (first.model_copy(update={"boosted": boosted}), *result.clusters[1:])})


def test_the_snippet_that_notebooks_use_works_as_it_stands(
    blood: ResolutionResult, blood_cells: pd.DataFrame, tmp_path: Path
) -> None:
    path = write_tables(blood, tmp_path, "blood")["scored"]
    adata = ad.AnnData(np.zeros((len(blood_cells), 1)), obs=pd.DataFrame(index=blood_cells.index))
    adata.obs["leiden_res_0.4"] = blood_cells["cluster"].astype("category")

    r = pd.read_csv(path)
    adata.obs["CASSIA_annotation"] = adata.obs["leiden_res_0.4"].map(dict(zip(r["cluster"].astype(str), r["celltype_1"])))  # fmt: skip  # noqa: E501, B905

    assert set(zip(adata.obs["leiden_res_0.4"], adata.obs["CASSIA_annotation"], strict=True)) == {
        ("0", CD8),
        ("2", "B cell"),
        ("3", "unresolved"),
        ("10", "CD14-positive monocyte"),
        ("T?", "unresolved"),
    }


def test_the_columns_are_those_that_users_know(blood: ResolutionResult) -> None:
    assert list(summary_table(blood)) == [
        "cluster", "n_cells", "general_celltype", "celltype_1", "celltype_2", "celltype_3",
        "mixed_celltypes", "score", "status", "n_markers", "marker_list",
    ]  # fmt: skip
    assert {
        "cluster", "celltype_1", "celltype_2", "celltype_3", "general_celltype", "mixed_celltypes", "score",
        "scoring_reasoning", "CASSIA_merged_grouping_1", "CASSIA_merged_grouping_2",
        "CASSIA_merged_grouping_3", "marker_list", "n_markers",
        "iterations", "model", "provider", "tissue", "species", "status", "cl_id",
    } <= set(scored_table(blood))  # fmt: skip
    assert set(summary_table(blood)) < set(full_table(blood))


@pytest.mark.parametrize("table", [summary_table, full_table, scored_table])
def test_every_cluster_has_a_row_in_natural_order(
    table: Callable[[ResolutionResult], pd.DataFrame], blood: ResolutionResult
) -> None:
    assert list(table(blood)["cluster"]) == ["0", "2", "3", "10", "T?"]


def test_a_cluster_without_a_name_says_why(blood: ResolutionResult) -> None:
    table = full_table(blood).set_index("cluster")
    for cluster in ("3", "T?"):
        assert list(table.loc[cluster, ["celltype_1", "general_celltype", "score"]]) == ["unresolved"] * 2 + [None]
    assert list(table.loc["3", ["status", "status_reason"]]) == [
        "budget_exhausted",
        "The budget of $1 is spent.",
    ]
    assert list(table.loc["T?", ["status", "unresolved_reason"]]) == ["unresolved", "no_markers"]


def test_merged_grouping_1_is_the_broadest_and_celltype_1_the_most_detailed(blood: ResolutionResult) -> None:
    row = scored_table(blood).set_index("cluster").loc["0"]
    groupings = [row[f"CASSIA_merged_grouping_{level}"] for level in (1, 2, 3)]
    assert groupings == ["leukocyte", "T cell", CD8]
    assert [row["celltype_1"], row["celltype_2"], row["celltype_3"]] == [CD8, "memory T cell", None]


def test_a_second_look_that_changed_a_label_is_in_the_tables(blood: ResolutionResult) -> None:
    row = full_table(blood).set_index("cluster").loc["2"]
    assert list(row[["celltype_1", "score", "score_before_boost", "boost_outcome"]]) == [
        "B cell",
        90,
        55,
        "changed",
    ]
    assert scored_table(blood).set_index("cluster").loc["2", "model"] == "o3"
    (tested,) = json.loads(row["boost_rounds"])
    assert [one["gene"] for one in tested["lookups"]] == ["JCHAIN", "MZB1"]
    assert list(row[["boost_refuting_genes", "additional_task", "additional_answer"]]) == [
        "JCHAIN",
        "Is this malignant?",
        "No sign of it.",
    ]


def test_the_state_of_cells_stands_apart_from_their_type(blood: ResolutionResult) -> None:
    for table in (full_table(blood), scored_table(blood)):
        states = table.set_index("cluster")["cell_state"]
        assert (states["2"], states["3"]) == ("cycling", None)


def test_a_cluster_without_a_name_or_an_answer_may_have_a_state(blood: ResolutionResult) -> None:
    cycling = tuple(Marker(gene=gene) for gene in ["MKI67", "TOP2A", "UBE2C", "CDK1", "BIRC5"])
    clusters = tuple(
        row.model_copy(
            update={
                "annotated": row.annotated.model_copy(
                    update={"evidence": row.evidence.model_copy(update={"markers": cycling})}
                ),
                "boosted": row.boosted.model_copy(update={"annotation": None}),
            }
        )
        for row in blood.clusters
    )
    table = scored_table(blood.model_copy(update={"clusters": clusters}))
    assert set(table["celltype_1"]) == {"unresolved"}
    assert set(table["cell_state"]) == {"cycling"}


def test_the_conversation_can_be_read_back_from_the_file(blood: ResolutionResult, tmp_path: Path) -> None:
    table = pd.read_csv(write_tables(blood, tmp_path, "blood")["full"], dtype={"cluster": str}).set_index("cluster")
    history = json.loads(str(table.loc["2", "conversation_history"]))
    assert [exchange["role"] for exchange in history] == ["annotate", "validate", "score", "boost"]
    assert [verdict["accepted"] for verdict in json.loads(str(table.loc["2", "validator_rounds"]))] == [
        False,
        True,
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_text_that_a_spreadsheet_would_run_is_made_inert(start: str, blood: ResolutionResult, tmp_path: Path) -> None:
    label = f"{start}HYPERLINK(1)"
    paths = write_tables(with_label(blood, label), tmp_path, "blood")
    for path in paths.values():
        assert pd.read_csv(path).loc[0, "celltype_1"] == f"'{label}"


def test_numbers_stay_numbers(blood: ResolutionResult, tmp_path: Path) -> None:
    negative = with_label(blood, "-1.5")
    table = pd.read_csv(write_tables(negative, tmp_path, "blood")["scored"])
    assert table.loc[0, "celltype_1"] == "-1.5"
    assert list(table["score"].dropna()) == [85, 90, 72.5]


def test_a_write_that_fails_leaves_the_old_table_and_nothing_else(
    blood: ResolutionResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tables(blood, tmp_path, "blood")["summary"]
    before = path.read_bytes()
    files = set(tmp_path.iterdir())

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_tables(with_label(blood, "other"), tmp_path, "blood")
    assert path.read_bytes() == before
    assert set(tmp_path.iterdir()) == files


@pytest.mark.parametrize("text", ["=1+1", "-x", "'quoted'", "'", "'=1", "-1.5", "3", "CD4+"])
def test_a_written_id_is_read_back_as_it_was(text: str) -> None:
    (_, written) = csv.reader(io.StringIO(inert_csv(pd.DataFrame({"cluster": [text]}))))
    assert as_it_was(written[0]) == (text if text != "'=1" else "=1"), "of two texts with one form, the likelier"
