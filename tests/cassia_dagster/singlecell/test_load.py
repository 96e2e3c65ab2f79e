"""Tests of reading counts, and of refusing in plain words what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.load import MIN_CELLS, MIN_GENES, check_column, fingerprint, load_cells, load_counts

N_CELLS, N_GENES = 30, 250


def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(0.5, size=(N_CELLS, N_GENES)).astype(np.float32)


def stored(path: Path, matrix: Any, genes: list[str] | None = None, cells: list[str] | None = None) -> Path:
    n_cells, n_genes = matrix.shape
    adata = anndata.AnnData(
        X=matrix,
        obs=pd.DataFrame(index=cells or [f"cell{number}" for number in range(n_cells)]),
        var=pd.DataFrame(index=genes or [f"GENE{number}" for number in range(n_genes)]),
    )
    adata.write_h5ad(path)
    return path


def refusal(path: Path, *places: str | None) -> str:
    """Try to load the file, and return why that was refused; every refusal names the file."""
    with pytest.raises(InputError) as refused:
        load_counts(path, *places)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_the_islets_are_loaded_whole(islets_path: Path) -> None:
    adata = load_counts(islets_path)
    assert adata.shape == (1065, 14270)
    assert adata.obs["cell_type"].nunique() == 14


@pytest.mark.parametrize(
    "stored_as",
    [
        pytest.param(np.asarray, id="dense float32"),
        pytest.param(lambda matrix: matrix.astype(np.float64), id="dense float64"),
        pytest.param(lambda matrix: matrix.astype(np.int64), id="dense integer"),
        pytest.param(sparse.csr_matrix, id="sparse by rows"),
        pytest.param(sparse.csc_matrix, id="sparse by columns"),
        pytest.param(lambda matrix: sparse.csr_matrix(matrix.astype(np.int32)), id="sparse integer"),
    ],
)
def test_counts_in_any_storage_come_as_float32_by_rows(tmp_path: Path, stored_as: Any) -> None:
    adata = load_counts(stored(tmp_path / "cells.h5ad", stored_as(counts())))
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X.toarray(), counts())


def test_zeros_that_are_stored_are_not_taken_for_expression(tmp_path: Path) -> None:
    matrix = sparse.csr_matrix(counts())
    matrix.data[:100] = 0
    adata = load_counts(stored(tmp_path / "cells.h5ad", matrix))
    assert adata.X.nnz == np.count_nonzero(matrix.toarray())


def test_a_cell_and_a_gene_without_counts_are_kept(tmp_path: Path) -> None:
    matrix = counts()
    matrix[3], matrix[:, 7] = 0, 0
    adata = load_counts(stored(tmp_path / "cells.h5ad", matrix))
    assert adata.shape == (N_CELLS, N_GENES)
    np.testing.assert_array_equal(adata.X.toarray(), matrix)


def test_the_smallest_data_that_is_enough_is_accepted(tmp_path: Path) -> None:
    assert load_counts(stored(tmp_path / "cells.h5ad", np.ones((MIN_CELLS, MIN_GENES)))).shape == (MIN_CELLS, MIN_GENES)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "Give the path of an .h5ad file" in refusal(tmp_path / "cells.h5ad")


def test_a_download_that_broke_off_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "cells.h5ad", counts())
    path.write_bytes(path.read_bytes()[:5000])
    assert "Was the download complete?" in refusal(path)


def test_text_by_the_name_of_h5ad_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_text("gene,cell1,cell2\nINS,1,2\n")
    assert "cannot be read as an .h5ad file" in refusal(path)


def test_a_file_without_a_matrix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(obs=pd.DataFrame(index=["cell0"]), var=pd.DataFrame(index=["INS"])).write_h5ad(path)
    assert "Store the raw counts in X" in refusal(path)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((MIN_CELLS - 1, N_GENES), f"has 19 cells; at least {MIN_CELLS}"),
        ((N_CELLS, MIN_GENES - 1), f"has 199 genes; at least {MIN_GENES}"),
    ],
)
def test_too_little_data_is_refused_with_how_much_is_needed(tmp_path: Path, shape: tuple[int, int], words: str) -> None:
    assert words in refusal(stored(tmp_path / "cells.h5ad", np.ones(shape)))


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_a_cell_name_that_comes_twice_is_refused_with_how_to_mend_it(tmp_path: Path) -> None:
    names = [f"NAME{number}" for number in range(N_CELLS)]
    names[9] = names[4]
    reason = refusal(stored(tmp_path / "cells.h5ad", counts(), cells=names))
    assert "'NAME4'" in reason
    assert "adata.obs_names_make_unique()" in reason


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_genes_of_one_name_are_told_apart_and_that_is_said(tmp_path: Path) -> None:
    names = [f"NAME{number}" for number in range(N_GENES)]
    names[9] = names[11] = names[4]
    cells = load_cells(stored(tmp_path / "cells.h5ad", counts(), genes=names))
    assert cells.adata.var_names[[4, 9, 11]].to_list() == ["NAME4", "NAME4-1", "NAME4-2"]
    assert cells.notes == ("Names of genes that come again (2, the first is NAME4) got a number, as in NAME4-1.",)
    assert cells.adata.uns["cassia_input"] == {"matrix": "X", "values": "raw counts", "notes": cells.notes[0]}


@pytest.mark.parametrize("axis", ["genes", "cells"])
def test_a_name_that_is_none_is_refused_with_its_place(tmp_path: Path, axis: str) -> None:
    names: list[Any] = [f"NAME{number}" for number in range(N_GENES if axis == "genes" else N_CELLS)]
    names[4] = " "
    reason = refusal(stored(tmp_path / "cells.h5ad", counts(), **{axis: names}))
    assert f"{axis} without a name: 1 (the first is number 5)" in reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.astype(np.complex64), "type complex64"),
        (lambda x: x > 0, "type bool"),
        (lambda x: x.astype("S4"), "type |S4"),
        (lambda x: x.astype(np.uint64) + 2**63, "more than a cell can have"),
        (lambda x: x.astype(np.int64) + 2**24, "up to 1.68e+07, more than a cell can have"),
    ],
)
def test_values_of_another_type_or_beyond_all_counts_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    path = stored(tmp_path / "cells.h5ad", counts())
    with h5py.File(path, "a") as file:
        about = dict(file["X"].attrs)
        del file["X"]
        file["X"] = change(counts())
        file["X"].attrs.update(about)
    reason = refusal(path)
    assert words in reason
    with pytest.raises(InputError, match="no raw counts"):
        load_cells(path)


def test_entries_that_come_twice_in_a_sparse_matrix_are_one(tmp_path: Path) -> None:
    twice = sparse.csr_matrix(counts())
    twice = sparse.csr_matrix(
        (np.repeat(twice.data, 2), np.repeat(twice.indices, 2), twice.indptr * 2), shape=twice.shape
    )
    adata = load_counts(stored(tmp_path / "cells.h5ad", twice))
    assert adata.X.nnz == np.count_nonzero(counts())
    np.testing.assert_array_equal(adata.X.toarray(), counts() * 2)


@pytest.mark.parametrize("prefix", ["ENSG", "ENSMUSG"])
def test_genes_named_by_ensembl_ids_are_refused(tmp_path: Path, prefix: str) -> None:
    genes = [f"{prefix}{number:011}" for number in range(N_GENES)]
    reason = refusal(stored(tmp_path / "cells.h5ad", counts(), genes=genes))
    assert genes[0] in reason
    assert "Put gene symbols into var_names" in reason


def test_a_few_ensembl_ids_among_symbols_are_accepted(tmp_path: Path) -> None:
    genes = [f"ENSG{number:011}" if number < 50 else f"GENE{number}" for number in range(N_GENES)]
    assert load_counts(stored(tmp_path / "cells.h5ad", counts(), genes=genes)).n_vars == N_GENES


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "NaN or infinite"),
        (np.inf, "NaN or infinite"),
        (-1.0, "scaled or centred values (values from -1 to"),
        (0.25, "normalised counts (fractions up to"),
    ],
)
@pytest.mark.parametrize("stored_as", [np.asarray, sparse.csr_matrix])
def test_one_value_that_is_no_count_is_refused(tmp_path: Path, value: float, words: str, stored_as: Any) -> None:
    matrix = counts()
    matrix[11, 13] = value
    reason = refusal(stored(tmp_path / "cells.h5ad", stored_as(matrix)))
    assert words in reason
    assert "Store the raw counts in X" in reason


@pytest.mark.parametrize("stored_as", [np.asarray, sparse.csr_matrix])
def test_nothing_but_zeros_is_refused(tmp_path: Path, stored_as: Any) -> None:
    assert "nothing but zeros" in refusal(stored(tmp_path / "cells.h5ad", stored_as(np.zeros((N_CELLS, N_GENES)))))


def kept(path: Path, x: Any, *, layer: Any = None, raw: Any = None, **var: list[Any]) -> Path:
    """Store counts elsewhere than in X."""
    adata = anndata.AnnData(X=raw if raw is not None else x)
    adata.obs_names = [f"cell{number}" for number in range(adata.n_obs)]
    adata.var_names = [f"GENE{number}" for number in range(adata.n_vars)]
    if raw is not None:
        adata.raw = adata.copy()
        adata = adata[:, : x.shape[1]].copy()
        adata.X = x
    if layer is not None:
        adata.layers["counts"] = layer
    for column, values in var.items():
        adata.var[column] = values
    adata.write_h5ad(path)
    return path


def test_counts_in_a_layer_are_found_where_x_has_none(tmp_path: Path) -> None:
    adata = load_counts(kept(tmp_path / "cells.h5ad", counts() - 1, layer=counts()))
    np.testing.assert_array_equal(adata.X.toarray(), counts())
    assert "counts" not in adata.layers


def test_counts_in_raw_are_found_with_all_genes_that_raw_has(tmp_path: Path) -> None:
    adata = load_counts(kept(tmp_path / "cells.h5ad", np.log1p(counts())[:, :50], raw=counts()))
    np.testing.assert_array_equal(adata.X.toarray(), counts())
    assert adata.raw is None


def test_x_goes_before_a_layer_unless_the_layer_is_named(tmp_path: Path) -> None:
    path = kept(tmp_path / "cells.h5ad", counts(), layer=counts() + 1)
    np.testing.assert_array_equal(load_counts(path).X.toarray(), counts())
    np.testing.assert_array_equal(load_counts(path, "X").X.toarray(), counts())
    np.testing.assert_array_equal(load_counts(path, "layers/counts").X.toarray(), counts() + 1)


def test_without_counts_it_is_said_where_they_were_looked_for(tmp_path: Path) -> None:
    reason = refusal(kept(tmp_path / "cells.h5ad", counts() - 1, layer=np.log1p(counts())))
    assert "X holds scaled or centred values" in reason
    assert "layers/counts holds logarithms of normalised counts (fractions up to" in reason
    assert "raw is not there" in reason


def test_a_place_that_is_named_is_the_only_one_looked_at(tmp_path: Path) -> None:
    path = kept(tmp_path / "cells.h5ad", np.log1p(counts()), layer=counts())
    assert "X holds logarithms" in refusal(path, "X")


@pytest.mark.parametrize("place", ["raw", "layers/umi", "layers/None", "x"])
def test_a_place_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, place: str) -> None:
    reason = refusal(kept(tmp_path / "cells.h5ad", counts(), layer=counts()), place)
    assert repr(place) in reason
    assert "it has: X, layers/counts." in reason


def test_logarithms_are_taken_where_there_are_no_counts_and_that_is_said(tmp_path: Path) -> None:
    cells = load_cells(kept(tmp_path / "cells.h5ad", np.log1p(counts() * 0.7)))
    assert (cells.place, cells.holds.kind) == ("X", "log")
    (note,) = cells.notes
    assert note.startswith(
        "X holds no counts but logarithms (natural ones, as it seems) of values that have other totals"
    )
    assert "not normalised again" in note
    assert cells.adata.uns["cassia_input"]["notes"] == note


def test_counts_go_before_logarithms(tmp_path: Path) -> None:
    cells = load_cells(kept(tmp_path / "cells.h5ad", np.log1p(counts()), layer=counts()))
    assert (cells.place, cells.holds.kind, cells.notes) == ("layers/counts", "counts", ())


def test_a_place_that_is_named_is_taken_also_if_it_holds_logarithms(tmp_path: Path) -> None:
    assert load_cells(kept(tmp_path / "cells.h5ad", np.log1p(counts()), layer=counts()), "X").holds.kind == "log"


def test_of_a_scaled_file_the_logarithms_in_raw_are_taken(tmp_path: Path) -> None:
    cells = load_cells(kept(tmp_path / "cells.h5ad", counts()[:, :50] - 1, raw=np.log1p(counts())))
    assert (cells.place, cells.adata.n_vars) == ("raw", N_GENES)


def test_counts_in_a_layer_that_nobody_named_are_not_passed_over(tmp_path: Path) -> None:
    adata = anndata.read_h5ad(kept(tmp_path / "cells.h5ad", np.log1p(counts())))
    adata.layers["umi"] = counts()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InputError, match="there is also layers/umi"):
        load_cells(tmp_path / "cells.h5ad")


def test_a_scaled_file_is_refused_with_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"X holds scaled .* \(normalised values will do, scaled ones will not\)"):
        load_cells(kept(tmp_path / "cells.h5ad", counts() - 1))


def test_symbols_of_a_column_name_the_genes_and_one_without_keeps_its_name(tmp_path: Path) -> None:
    symbols = [f"SYM{number}" for number in range(N_GENES)]
    symbols[3], symbols[4], symbols[6] = None, " ", "SYM5"
    adata = load_counts(kept(tmp_path / "cells.h5ad", counts(), symbol=symbols), None, "symbol")
    assert adata.var_names[2:7].to_list() == ["SYM2", "GENE3", "GENE4", "SYM5", "SYM5-1"]


def test_a_column_of_symbols_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = kept(tmp_path / "cells.h5ad", counts(), symbol=["A"] * N_GENES)
    assert "no var column 'symbols' with gene symbols; it has: symbol." in refusal(path, None, "symbols")


def test_for_ensembl_ids_a_column_that_may_hold_symbols_is_offered(tmp_path: Path) -> None:
    columns = {"chromosome": ["1"] * N_GENES, "feature_name": [f"GENE{number}" for number in range(N_GENES)]}
    adata = anndata.read_h5ad(kept(tmp_path / "cells.h5ad", counts(), **columns))
    adata.var_names = [f"ENSG{number:011}" for number in range(N_GENES)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert "it may be feature_name." in refusal(tmp_path / "cells.h5ad")


def test_a_missing_column_is_refused_with_those_that_there_are(islets_path: Path, islets: anndata.AnnData) -> None:
    check_column(islets, "cell_type", islets_path)
    with pytest.raises(InputError, match=r"islets\.h5ad has no obs column 'celltype'; it has: cell_type"):
        check_column(islets, "celltype", islets_path)


def test_a_fingerprint_changes_with_the_content_only(tmp_path: Path) -> None:
    one, same, other = tmp_path / "one", tmp_path / "elsewhere.h5ad", tmp_path / "other"
    one.write_bytes(b"counts")
    same.write_bytes(b"counts")
    other.write_bytes(b"counts!")
    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(other)


def test_a_folder_s_fingerprint_changes_with_names_and_contents(tmp_path: Path) -> None:
    one, same, renamed, other = (tmp_path / name for name in ("one", "same", "renamed", "other"))
    for folder, name, content in ((one, "a", "1"), (same, "a", "1"), (renamed, "b", "1"), (other, "a", "2")):
        (folder / "part").mkdir(parents=True)
        (folder / "part" / name).write_text(content)
        (folder / ".zattrs").write_text("{}")
    assert fingerprint(one) == fingerprint(same)
    assert len({fingerprint(one), fingerprint(renamed), fingerprint(other)}) == 3
