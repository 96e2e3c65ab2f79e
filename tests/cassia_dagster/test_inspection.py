"""Tests of looking at a file: what is seen of it is what is there, and what a run would do is what it does."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.errors import InputError
from cassia_dagster.inspection import Inspection, inspect, questions


@pytest.fixture(scope="module")
def cells(islets_path: Path) -> anndata.AnnData:
    return anndata.read_h5ad(islets_path)[:60].copy()


def seen(adata: anndata.AnnData, folder: Path) -> Inspection:
    adata.write_h5ad(folder / "cells.h5ad")
    return inspect(folder / "cells.h5ad")


def test_the_islets_are_human_counts_with_labels(islets_path: Path) -> None:
    found = inspect(islets_path)
    assert (found.n_cells, found.n_genes) == (1065, 14270)
    assert [(one.place, one.holds.kind) for one in found.matrices] == [("X", "counts")]
    assert found.counts == "X"
    assert (found.gene_ids, found.species) == ("symbols", "human")
    assert found.having("labels") == ["cell_type"]
    assert found.obstacle is None


@pytest.mark.parametrize(
    ("change", "kind", "sign"),
    [
        (lambda x: x, "counts", "whole numbers up to"),
        (lambda x: np.log1p(x * 0.7), "log", "fractions up to"),
        (lambda x: x * 100.7, "normalised", "too large for logarithms"),
        (lambda x: x - 1, "scaled", "values from -1 to"),
        (lambda x: np.where(x > 0, np.nan, 0), "damaged", "NaN or infinite"),
        (lambda x: x * 0, "empty", "nothing but zeros"),
    ],
)
def test_what_a_matrix_holds_is_told_by_its_values(
    cells: anndata.AnnData, tmp_path: Path, change: Any, kind: str, sign: str
) -> None:
    changed = cells.copy()
    changed.X = np.asarray(change(cells.X.toarray()), dtype=np.float32)
    found = seen(changed, tmp_path)
    assert found.matrices[0].holds.kind == kind
    assert sign in found.matrices[0].holds.signs
    assert (found.obstacle is None) == (kind in ("counts", "log", "normalised"))
    assert any("holds no counts" in note for note in found.notes) == (kind in ("log", "normalised"))


def test_counts_in_a_layer_of_any_name_are_found_and_named_in_the_command(
    cells: anndata.AnnData, tmp_path: Path
) -> None:
    changed = cells.copy()
    changed.layers["umi"] = changed.X.copy()
    changed.X = sparse.csr_matrix(np.log1p(changed.X * 0.7))
    found = seen(changed, tmp_path)
    assert found.counts == "layers/umi"
    assert found.obstacle is None
    assert "--counts layers/umi" in found.command


def test_symbols_beside_ensembl_ids_are_found_and_named_in_the_command(cells: anndata.AnnData, tmp_path: Path) -> None:
    changed = cells.copy()
    changed.var["feature name"] = changed.var_names.astype(str)
    changed.var_names = [f"ENSG{number:011}" for number in range(changed.n_vars)]
    found = seen(changed, tmp_path)
    assert (found.gene_ids, found.species) == ("Ensembl ids", "human")
    assert found.gene_examples[0] == "ENSG00000000000"
    assert found.obstacle is None
    assert "--gene-symbols 'feature name'" in found.command


def test_ensembl_ids_without_symbols_are_an_obstacle(cells: anndata.AnnData, tmp_path: Path) -> None:
    changed = cells.copy()
    changed.var_names = [f"ENSG{number:011}" for number in range(changed.n_vars)]
    found = seen(changed, tmp_path)
    assert found.species == "human"
    assert found.obstacle is not None
    assert "Ensembl ids" in found.obstacle


def test_ensembl_ids_that_have_symbols_tell_the_species_and_are_read(
    cells: anndata.AnnData, tmp_path: Path, gene_ids: dict[str, str]
) -> None:
    changed = cells.copy()
    changed.var_names = [gene_ids.get(name, name) for name in changed.var_names]
    found = seen(changed, tmp_path)
    assert (found.gene_ids, found.species, found.obstacle) == ("Ensembl ids", "human", None)
    assert any("Ensembl ids became present symbols" in note for note in found.notes)


def test_mice_are_told_by_their_genes(cells: anndata.AnnData, tmp_path: Path) -> None:
    changed = cells.copy()
    changed.var_names = [name.capitalize() for name in changed.var_names]
    assert seen(changed, tmp_path).species == "mouse"


def test_genes_of_neither_species_are_an_obstacle(cells: anndata.AnnData, tmp_path: Path) -> None:
    changed = cells.copy()
    changed.var_names = [f"gene_{number}" for number in range(changed.n_vars)]
    found = seen(changed, tmp_path)
    assert (found.gene_ids, found.species) == ("unknown", None)
    assert found.obstacle is not None
    assert "known symbols" in found.obstacle


def test_columns_are_told_by_name_and_values(cells: anndata.AnnData, tmp_path: Path) -> None:
    changed = cells.copy()
    number = np.arange(changed.n_obs)
    changed.obs = pd.DataFrame(
        {
            "Broad_cell_type": pd.Categorical(["a", "b"] * 30, categories=["a", "b", "unused"]),
            "donor_id": ["d1"] * 40 + ["d2"] * 20,
            "organ": "pancreas",
            "organism": ["x", "y"] * 30,
            "leiden_cluster": pd.Categorical((number % 7).astype(str)),
            "label_score": number / 7,
            "sample": "only one",
            "n_counts": number + 1000,
        },
        index=changed.obs_names,
    )
    columns = {column.name: column for column in seen(changed, tmp_path).columns}
    assert {name: column.role for name, column in columns.items() if column.role} == {
        "Broad_cell_type": "labels",
        "donor_id": "batch",
        "organ": "tissue",
        "leiden_cluster": "clusters",
    }
    assert (columns["Broad_cell_type"].n_values, columns["Broad_cell_type"].examples) == (2, ("a", "b"))
    assert columns["donor_id"].examples == ("d1", "d2")
    assert columns["n_counts"].examples == ("1,000 to 1,059",)


def test_it_takes_more_memory_for_more_values(cells: anndata.AnnData, tmp_path: Path) -> None:
    found = seen(cells, tmp_path)
    assert found.memory == 1_000_000_000 + 24 * np.count_nonzero(cells.X.toarray())


def test_the_least_and_the_most_questions_are_those_of_the_roles() -> None:
    # One question each to annotator, validator and scorer; or three rounds of the first two, the scorer, three rounds
    # of the booster and its conclusion, and the scorer of that.
    assert questions(1) == (3, 12)
    assert questions(20) == (60, 240)


def test_the_command_survives_a_shell(cells: anndata.AnnData, tmp_path: Path) -> None:
    changed = cells.copy()
    changed.obs["cell type; rm"] = changed.obs["cell_type"]
    folder = tmp_path / "my data's"
    folder.mkdir()
    found = seen(changed, folder)
    words = shlex.split(found.command)
    assert str(found.path) in words
    assert "cell type; rm" in words


def test_a_file_with_too_few_cells_or_no_gene_is_an_obstacle(cells: anndata.AnnData, tmp_path: Path) -> None:
    few, none = seen(cells[:1].copy(), tmp_path), seen(cells[:, :0].copy(), tmp_path)
    assert few.obstacle is not None
    assert "has 1 cell;" in few.obstacle
    assert none.obstacle is not None
    assert "0 genes" in none.obstacle


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.h5ad").write_text("no HDF5")
    with pytest.raises(InputError, match="cannot be read"):
        inspect(tmp_path / "cells.h5ad")
