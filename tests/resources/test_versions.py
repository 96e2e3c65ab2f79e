"""Tests of data versions: the same meaning has the same version, in every process, and another one another."""

from __future__ import annotations

import os
import subprocess
import sys

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.records import Exchange, Rubric, ScoredCluster, Status
from resources.versions import version_of_adata, version_of_files, version_of_records, version_of_table

ROW = ScoredCluster(
    cluster="0",
    status=Status.OK,
    score=72.5,
    rubric=Rubric(identity=9, specificity=8, balance=7, alternatives=6),
    reasoning="Specific.",
)
TABLE = pd.DataFrame({"cell_id": ["a", "b", "c"], "cluster": ["0", "0", "1"], "x": [0.5, -1.0, 2.0]})

IN_ANOTHER_PROCESS = """
import numpy as np, pandas as pd
from cassia_dagster.records import Annotation, EvidenceCheck, BoostedCluster, BoostOutcome, Finding, Status
from resources.versions import version_of_records, version_of_table
words = tuple(sorted({"INS", "GCG", "SST", "PPY", "GHRL"}))
check = EvidenceCheck(cl_id=None, cl_label=None, support=0.5, cited_genes_up=words, cited_genes_absent=(),
                      candidates=(), findings=tuple(Finding))
row = BoostedCluster(cluster="0", status=Status.OK, outcome=BoostOutcome.CHANGED, check=check, score=1, rubric=None,
                     annotation=Annotation(general_celltype="T cell", supporting_genes=words))
table = pd.DataFrame({"cell_id": words, "cluster": pd.Categorical(["0", "1", "0", "1", "2"]), "x": np.arange(5) / 3})
print(version_of_records([row]).value, version_of_table(table).value)
"""


@pytest.fixture
def cells() -> anndata.AnnData:
    """Four cells as `normalized_adata` keeps them."""
    values = sparse.csr_matrix(np.arange(12, dtype=np.float32).reshape(4, 3))
    return anndata.AnnData(
        X=values,
        obs=pd.DataFrame({"n_counts": [3.0, 12.0, 21.0, 30.0], "cell_type": ["a", "a", "b", "b"]}, index=list("wxyz")),
        var=pd.DataFrame({"highly_variable": [True, False, True]}, index=["INS", "GCG", "SST"]),
        obsm={"X_pca": np.eye(4, 2, dtype=np.float32)},
        obsp={"connectivities": sparse.csr_matrix(np.eye(4, dtype=np.float32))},
    )


def test_the_same_meaning_has_the_same_version_in_every_process() -> None:
    versions = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(versions) == 1
    one, other = versions.pop().split()
    assert one != other
    assert len(one) == len(other) == 32


def test_how_an_answer_came_about_does_not_count() -> None:
    said = Exchange(role="score", provider="p", model="m", template="t", question="?", reply="{}")
    assert version_of_records([ROW.model_copy(update={"history": (said,)})]) == version_of_records([ROW])


@pytest.mark.parametrize(
    "change", [{"cluster": "1"}, {"score": 72.6}, {"score": None}, {"status": Status.FAILED}, {"reasoning": "Vague."}]
)
def test_another_answer_has_another_version(change: dict[str, object]) -> None:
    assert version_of_records([ROW.model_copy(update=change)]) != version_of_records([ROW])


def test_another_number_or_order_of_rows_has_another_version() -> None:
    other = ROW.model_copy(update={"cluster": "1"})
    versions = [version_of_records(rows) for rows in ([], [ROW], [ROW, ROW], [ROW, other], [other, ROW])]
    assert len({version.value for version in versions}) == 5


def test_a_copy_of_a_table_has_its_version() -> None:
    assert version_of_table(TABLE.copy()) == version_of_table(TABLE)
    assert version_of_table(TABLE["x"]) == version_of_table(TABLE[["x"]])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(TABLE.assign(cluster=["0", "1", "1"]), id="label of a cell"),
        pytest.param(TABLE.assign(x=[0.5, -1.0, 2.0000001]), id="number"),
        pytest.param(TABLE.rename(columns={"x": "y"}), id="name of a column"),
        pytest.param(TABLE[["cluster", "cell_id", "x"]], id="order of columns"),
        pytest.param(TABLE.iloc[::-1], id="order of rows"),
        pytest.param(TABLE.set_axis([1, 2, 3]), id="index"),
        pytest.param(TABLE.head(0), id="no rows"),
    ],
)
def test_another_table_has_another_version(other: pd.DataFrame) -> None:
    assert version_of_table(other) != version_of_table(TABLE)


def test_a_copy_of_the_cells_has_their_version(cells: anndata.AnnData) -> None:
    assert version_of_adata(cells.copy()) == version_of_adata(cells)


@pytest.mark.parametrize("part", ["values", "graph", "components", "genes", "cells", "variable genes", "known labels"])
def test_other_cells_have_another_version(cells: anndata.AnnData, part: str) -> None:
    other = cells.copy()
    if part == "values":
        other.X.data[0] += 1
    elif part == "graph":
        other.obsp["connectivities"].data[0] = 0.5
    elif part == "components":
        other.obsm["X_pca"][0, 0] = 0.5
    elif part == "genes":
        other.var_names = ["INS", "GCG", "PPY"]
    elif part == "cells":
        other.obs_names = list("wxyq")
    elif part == "variable genes":
        other.var["highly_variable"] = [True, True, True]
    else:
        other.obs["cell_type"] = ["a", "b", "b", "b"]
    assert version_of_adata(other) != version_of_adata(cells)


def test_another_column_behind_a_key_is_another_version(cells: anndata.AnnData) -> None:
    assert version_of_adata(cells, {}) == version_of_adata(cells)
    given = [{}, {"given": "a"}, {"given": "b"}, {"given": "a", "given-b": "b"}]
    assert len({version_of_adata(cells, one).value for one in given}) == len(given)
    one, other = ({"given": "a", "given-b": "b"}, {"given-b": "b", "given": "a"})
    assert version_of_adata(cells, one) == version_of_adata(cells, other)


def test_files_have_the_version_of_their_contents_in_order() -> None:
    version = version_of_files([b"a", b"b"])
    assert isinstance(version, dg.DataVersion)
    assert version == version_of_files(iter([b"a", b"b"]))
    assert version not in [version_of_files(parts) for parts in ([b"b", b"a"], [b"ab"], [b"a", b"b", b""])]
