"""Tests of comparing a catalog entry with its file, before and after the values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.load import INPUT
from resources.catalog import DatasetEntry
from resources.catalog_check import check_frame, load_checked, tables_checked


@pytest.fixture(scope="module")
def path(islets_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty cells, with columns that are fit for one thing and not for another."""
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.obs["organ"] = ["pancreas"] * 59 + [None]
    adata.obs["barcode"] = adata.obs_names.to_numpy()
    adata.obs["donor"] = np.tile(["d1", "d2"], 30)
    adata.layers["umi"] = adata.X
    path = tmp_path_factory.mktemp("check") / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def entry(path: Path, **said: Any) -> DatasetEntry:
    return DatasetEntry.model_validate({"name": "islets", "path": path, "tissue": "pancreas"} | said)


def test_what_is_right_passes_both_checks(path: Path) -> None:
    right = entry(path, labels="cell_type", clusters=["donor", "cell_type"], batch_key="donor", counts="layers/umi")
    check_frame(right)
    assert load_checked(right).adata.shape == (60, 14270)


def test_a_tissue_that_cannot_be_read_is_noted_where_the_report_finds_it(path: Path) -> None:
    cells = load_checked(entry(path, tissue="immune organs"))
    assert any("'immune organs' names no organ" in note for note in cells.notes)
    assert cells.adata.uns[INPUT]["notes"].splitlines() == list(cells.notes)
    assert not any("tissue" in note for note in load_checked(entry(path)).notes)
    assert tables_checked(entry(path, tissue="immune organs"), "X")[1] == list(cells.notes), "also where it is streamed"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"labels": "celltype"}, "no obs column 'celltype'; it has: cell_type, organ"),
        ({"clusters": "celltype"}, "no obs column 'celltype'"),
        ({"clusters": "barcode"}, "does not hold clusters"),
        ({"clusters": "organ"}, "says nothing of 1 of 60 cells, so their cluster"),
        ({"batch_key": "barcode"}, "does not hold batches"),
        ({"tissue": None, "tissue_column": "organ"}, "so their tissue is not known"),
        ({"tissue": None, "tissue_column": "barcode"}, "does not hold tissues"),
        ({"counts": "layers/counts"}, "no matrix 'layers/counts' to take counts from; it has: X, layers/umi"),
        ({"gene_symbols": "symbol"}, "no var column 'symbol'"),
        ({"species": "mouse"}, "Are the cells of human?"),
    ],
)
@pytest.mark.parametrize("check", [check_frame, load_checked])
def test_what_is_wrong_is_told_by_both_checks(path: Path, check: Any, said: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as refused:
        check(entry(path, **said))
    assert str(path) in str(refused.value) or "species" in said
    assert words in str(refused.value)


def test_genes_are_looked_for_in_raw_too(path: Path, tmp_path: Path) -> None:
    adata = anndata.read_h5ad(path)
    adata.raw = adata.copy()
    few = adata[:, :50].copy()
    few.X = few.X * 0.5
    few.write_h5ad(tmp_path / "cells.h5ad")
    check_frame(entry(tmp_path / "cells.h5ad"))
    check_frame(entry(tmp_path / "cells.h5ad", counts="raw"))
    with pytest.raises(InputError, match="50 genes"):
        check_frame(entry(tmp_path / "cells.h5ad", counts="X"))


def test_ensembl_ids_are_told_as_such(path: Path, tmp_path: Path) -> None:
    adata = anndata.read_h5ad(path)
    adata.var_names = [f"ENSG{number:011d}" for number in range(adata.n_vars)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InputError, match="names its genes by Ensembl ids"):
        check_frame(entry(tmp_path / "cells.h5ad"))


def test_ensembl_ids_with_versions_become_symbols_and_the_ids_are_kept(
    path: Path, tmp_path: Path, gene_ids: dict[str, str]
) -> None:
    adata = anndata.read_h5ad(path)
    named = adata.var_names.to_list()
    adata.var_names = [f"{gene_ids[name]}.4" if name in gene_ids else name for name in named]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    check_frame(entry(tmp_path / "cells.h5ad"))
    cells = load_checked(entry(tmp_path / "cells.h5ad"))
    assert cells.adata.var_names[named.index("INS")] == "INS"
    assert cells.adata.var["cassia_name_in_file"].to_list() == adata.var_names.to_list()
    assert "Ensembl ids became present symbols" in cells.notes[0]
    assert cells.notes[-1].startswith("What the file calls each gene is in var['cassia_name_in_file']")


def test_ids_of_the_other_species_are_refused_with_both_named(
    path: Path, tmp_path: Path, gene_ids: dict[str, str]
) -> None:
    adata = anndata.read_h5ad(path)
    adata.var_names = [gene_ids.get(name, name) for name in adata.var_names]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    for check in (check_frame, load_checked):
        with pytest.raises(InputError, match=r"by Ensembl ids of human .* but the species is mouse"):
            check(entry(tmp_path / "cells.h5ad", species="mouse"))


def test_a_former_symbol_of_a_table_of_any_format_becomes_the_present_one(path: Path, tmp_path: Path) -> None:
    adata = anndata.read_h5ad(path)
    frame = pd.DataFrame(adata.X.toarray(), index=adata.obs_names, columns=adata.var_names)
    assert "SDPR" in frame.columns
    frame.to_csv(tmp_path / "cells.csv.gz")
    cells = load_checked(entry(tmp_path / "cells.csv.gz"))
    assert "CAVIN2" in cells.adata.var_names
    assert "SDPR" not in cells.adata.var_names
