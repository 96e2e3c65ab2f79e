import os
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from cassia_dagster.agents.subclusters import Subcluster
from cassia_dagster.errors import InputError
from cassia_dagster.outputs.h5ad import annotate, write_h5ad
from cassia_dagster.outputs.refined import refine
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import Status


@pytest.fixture
def adata(blood_cells: pd.DataFrame) -> ad.AnnData:
    counts = csr_array(np.random.default_rng(0).poisson(1, (len(blood_cells), 3)).astype("float32"))
    adata = ad.AnnData(counts, obs=pd.DataFrame({"donor": "d1"}, index=blood_cells.index))
    adata.layers["counts"] = counts
    adata.raw = adata.copy()
    return adata


@pytest.fixture
def both(blood: ResolutionResult) -> list[ResolutionResult]:
    return [blood, blood.model_copy(update={"resolution": "1.0"})]


def of_both(cells: pd.DataFrame) -> dict[str, "pd.Series[Any]"]:
    # In another order than the matrix, as a table read from a file may be.
    return dict.fromkeys(("0.4", "1.0"), cells["cluster"].iloc[::-1])


def test_the_file_holds_every_resolution_and_can_be_read_again(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "blood_annotated.h5ad"
    umap = blood_cells[["x", "y"]].to_numpy()
    write_h5ad(annotate(adata, both, of_both(blood_cells), umap, primary="1.0"), path)
    read = ad.read_h5ad(path)
    columns = ["CASSIA_annotation", "CASSIA_score", "CASSIA_status", "cell_type_ontology_term_id"]
    columns += [f"CASSIA_merged_grouping_{level}" for level in (1, 2, 3)]
    for suffix in ("", "_res_0.4", "_res_1.0"):
        assert {f"{column}{suffix}" for column in columns} <= set(read.obs)
    assert list(read.obs["leiden_res_0.4"]) == list(blood_cells["cluster"])
    assert list(read.obs["leiden_res_0.4"].cat.categories) == ["0", "2", "3", "10", "T?"]
    row = read.obs[read.obs["leiden_res_0.4"] == "0"].iloc[0]
    assert row["CASSIA_annotation_res_0.4"] == row["CASSIA_annotation"] == "CD8-positive, alpha-beta T cell"
    assert (row["CASSIA_score"], row["cell_type_ontology_term_id"]) == (85, "CL:0000625")
    np.testing.assert_allclose(read.obsm["X_umap"], umap)
    assert read.raw is not None
    assert (read.layers["counts"] != adata.layers["counts"]).nnz == 0
    assert read.uns["cassia"]["primary_resolution"] == "1.0"
    assert read.uns["cassia"]["resolutions"]["0.4"]["models"]["annotate"] == "openai/gpt-4o"


def test_parts_of_a_cluster_are_told_cell_by_cell_whatever_the_order(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame, tmp_path: Path
) -> None:
    clusters = of_both(blood_cells)
    final = {row.cluster: row.boosted for row in both[0].clusters}
    members = clusters["0.4"].index[clusters["0.4"] == "0"]
    part = Subcluster(
        cluster="0.0",
        cells="",
        parent="0",
        parent_label="T cell",
        n_cells=len(members),
        members=tuple(members),
        share_of_parent=1.0,
        markers_against_siblings=(),
        status=Status.UNRESOLVED,
        annotation=None,
        check=None,
        score=None,
        relation=None,
    )
    refined = {"0.4": refine(clusters["0.4"], [part], final)}
    renamed = part.model_copy(update={"parents": ("0",), "parent_label": "what it was called before"})
    assert set(refine(clusters["0.4"], [renamed], final).loc[members, "parent"]) == {final["0"].annotation.label}
    write_h5ad(annotate(adata, both, clusters, None, primary="1.0", refined=refined), tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    inside = read.obs["leiden_res_0.4"] == "0"
    assert set(read.obs["CASSIA_subcluster_res_0.4"][inside]) == {"0.0"}
    assert set(read.obs["CASSIA_refined_annotation_res_0.4"][inside]) == {"unresolved"}
    assert set(read.obs["CASSIA_refined_parent_res_0.4"][inside]) == {"T cell"}
    assert set(read.obs["CASSIA_refined_source_res_0.4"][~inside]) == {"clusters"}
    named = read.obs["CASSIA_annotation_res_0.4"][~inside].astype(str).tolist()
    assert read.obs["CASSIA_refined_annotation_res_0.4"][~inside].astype(str).tolist() == named
    assert not [column for column in read.obs if "refined" in column and not column.endswith("_res_0.4")]
    assert read.uns["cassia"]["resolutions"]["0.4"]["looked_into"] == {"0": "0.0"}
    with pytest.raises(InputError, match="parts of clusters are of other cells"):
        annotate(adata, both, clusters, None, primary="1.0", refined={"0.4": refined["0.4"].iloc[1:]})


def test_a_cluster_without_a_name_is_unknown_and_has_its_status(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame
) -> None:
    obs = annotate(adata, both, of_both(blood_cells), None, primary="0.4").obs
    cell = obs[obs["leiden_res_0.4"] == "3"].iloc[0]
    assert cell["CASSIA_annotation"] == "unresolved"
    assert cell["CASSIA_status"] == "budget_exhausted"
    assert cell["cell_type_ontology_term_id"] == "unknown"
    assert np.isnan(cell["CASSIA_score"])


def test_what_is_given_is_not_changed_and_its_matrix_not_copied(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame
) -> None:
    annotated = annotate(adata, both, of_both(blood_cells), None, primary="0.4")
    assert list(adata.obs) == ["donor"]
    assert "cassia" not in adata.uns
    assert annotated.X is adata.X
    assert annotated.layers["counts"] is adata.layers["counts"]


def test_the_authors_own_ontology_terms_are_kept(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame
) -> None:
    adata.obs["cell_type_ontology_term_id"] = "CL:0000738"
    once = annotate(adata, both, of_both(blood_cells), None, primary="0.4")
    twice = annotate(once, both, of_both(blood_cells), None, primary="0.4")
    for annotated in (once, twice):
        assert set(annotated.obs["cell_type_ontology_term_id_original"]) == {"CL:0000738"}
        assert "CL:0000625" in set(annotated.obs["cell_type_ontology_term_id"])


def test_clusters_match_exactly_or_not_at_all(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame
) -> None:
    wrong = blood_cells["cluster"].replace("10", "1")
    with pytest.raises(InputError, match=r"'1'.*'10'"):
        annotate(adata, both, {"0.4": wrong, "1.0": wrong}, None, primary="0.4")


def test_cells_match_exactly_or_not_at_all(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match="same cells"):
        annotate(adata[1:].copy(), both, of_both(blood_cells), None, primary="0.4")


def test_the_primary_resolution_must_be_an_annotated_one(
    adata: ad.AnnData, both: list[ResolutionResult], blood_cells: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=r"'2\.0'"):
        annotate(adata, both, of_both(blood_cells), None, primary="2.0")


def test_a_write_that_fails_leaves_the_old_file(
    adata: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blood.h5ad"
    path.write_text("old")

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_h5ad(adata, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_clusters_that_the_authors_gave_stay_in_their_column_and_ours_are_called_given(
    adata: ad.AnnData, blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    adata.obs["mine"] = pd.Categorical(blood_cells["cluster"], categories=[*set(blood_cells["cluster"]), "unused"])
    theirs = adata.obs["mine"].copy()
    given = blood.model_copy(update={"resolution": "given", "column": "mine"})
    obs = annotate(adata, [given], {"given": blood_cells["cluster"]}, None, primary="given").obs
    pd.testing.assert_series_equal(obs["mine"], theirs)
    assert {"CASSIA_annotation_given", "CASSIA_score_given", "CASSIA_annotation"} <= set(obs)
    assert not [column for column in obs if column.startswith("leiden")]
    assert obs.loc[obs["mine"] == "0", "CASSIA_annotation_given"].unique().tolist() == [
        "CD8-positive, alpha-beta T cell"
    ]


def test_a_column_of_clusters_with_a_name_of_ours_is_kept_beside_it(
    adata: ad.AnnData, blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    adata.uns["cassia"] = {}
    adata.obs["CASSIA_annotation"] = blood_cells["cluster"]
    given = blood.model_copy(update={"resolution": "given", "column": "CASSIA_annotation"})
    obs = annotate(adata, [given], {"given": blood_cells["cluster"]}, None, primary="given").obs
    assert obs["CASSIA_annotation_original"].tolist() == blood_cells["cluster"].tolist()
