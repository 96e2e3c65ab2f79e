"""Tests of reading what others write: the same cells in every format, and a plain word for what is none."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell import formats
from cassia_dagster.singlecell.formats import read

MATRIX = np.random.default_rng(0).poisson(0.5, size=(30, 250))
CELLS = [f"ACGT{number}-1" for number in range(30)]
GENES = ["ACTB", "MT-CO1", *(f"GENE{number}" for number in range(248))]
IDS = [f"ENSG{number:011}" for number in range(250)]


def table(matrix: Any = MATRIX, cells: list[str] = CELLS, genes: list[str] = GENES) -> pd.DataFrame:
    return pd.DataFrame(matrix, index=cells, columns=genes)


def mtx(folder: Path, names: tuple[str, str, str], genes: list[str] = GENES, kinds: list[str] | None = None) -> Path:
    folder.mkdir()
    rows = [IDS, genes] if kinds is None else [IDS, genes, kinds]
    matrix, features, barcodes = (folder / name for name in names)
    io.mmwrite(folder / "plain.mtx", sparse.coo_matrix(MATRIX.T))
    content = (folder / "plain.mtx").read_bytes()
    (folder / "plain.mtx").unlink()
    matrix.write_bytes(gzip.compress(content) if matrix.suffix == ".gz" else content)
    pd.DataFrame(zip(*rows, strict=True)).to_csv(features, sep="\t", header=False, index=False)
    pd.DataFrame(CELLS).to_csv(barcodes, sep="\t", header=False, index=False)
    return folder


def tenx_h5(path: Path, genes: list[str] = GENES, kinds: list[str] | None = None) -> Path:
    by_cell = sparse.csr_matrix(MATRIX)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(by_cell, name)
        group["shape"] = MATRIX.shape[::-1]
        group["barcodes"] = np.array(CELLS, dtype="S")
        features = group.create_group("features")
        for name, values in (("id", IDS), ("name", genes)):
            features[name] = np.array(values, dtype="S")
        features["feature_type"] = np.array(kinds or ["Gene Expression"] * 250, dtype="S")
        features["genome"] = np.array(["GRCh38"] * 250, dtype="S")
    return path


def zarr(path: Path) -> Path:
    anndata.AnnData(table().astype(np.float32)).write_zarr(path)
    return path


def h5ad(path: Path) -> Path:
    anndata.AnnData(table().astype(np.float32)).write_h5ad(path)
    return path


def loom(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["matrix"] = MATRIX.T
        file["row_attrs/Gene"], file["col_attrs/CellID"] = GENES, CELLS
    return path


def csv(path: Path) -> Path:
    table().to_csv(path, sep="," if ".csv" in path.name.lower() else "\t")
    return path


NEW_NAMES = ("matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz")
OLD_NAMES = ("matrix.mtx", "genes.tsv", "barcodes.tsv")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("cells.h5ad", h5ad),
        ("cells.h5", tenx_h5),
        ("cells.loom", loom),
        ("cells.zarr", zarr),
        ("cells.csv", csv),
        ("cells.tsv", csv),
        ("CELLS.CSV", csv),
        ("cells.csv.gz", csv),
        ("cells.tsv.gz", csv),
        ("filtered_feature_bc_matrix", lambda path: mtx(path, NEW_NAMES)),
        ("hg19", lambda path: mtx(path, OLD_NAMES)),
    ],
)
def test_the_same_cells_come_out_of_every_format(tmp_path: Path, name: str, write: Any) -> None:
    adata = read(write(tmp_path / name))
    assert adata.obs_names.to_list() == CELLS
    assert adata.var_names.to_list() == GENES
    np.testing.assert_array_equal(sparse.csr_matrix(adata.X).toarray(), MATRIX)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", ["cells.rds", "cells", "cells.txt"])
def test_another_format_is_refused_with_those_that_can_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert "is not an .h5ad file, nor a 10x .h5" in refusal(tmp_path / name)


def test_a_folder_with_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.h5ad").mkdir()
    assert "is a folder" in refusal(tmp_path / "cells.h5ad")


def test_a_file_with_the_name_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.zarr").write_bytes(b"")
    assert "cannot be read" in refusal(tmp_path / "cells.zarr")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cells.h5ad")
    assert "is a pipe or a device" in refusal(tmp_path / "cells.h5ad")


@pytest.mark.parametrize("name", ["cells.h5", "cells.loom", "cells.h5ad", "cells.csv", "cells.csv.gz", "cells.tsv"])
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n\x00\x00"])
def test_a_file_that_broke_off_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name)


def test_an_empty_zarr_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.zarr").mkdir()
    assert "cannot be read as a .zarr folder" in refusal(tmp_path / "cells.zarr")


def test_an_anndata_file_that_is_named_h5_is_told_from_one_of_10x(tmp_path: Path) -> None:
    h5ad(tmp_path / "cells.h5ad").rename(tmp_path / "cells.h5")
    assert "Rename it to cells.h5ad" in refusal(tmp_path / "cells.h5")


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize("write", [lambda path, genes: mtx(path, NEW_NAMES, genes), tenx_h5])
def test_genes_of_10x_that_share_a_symbol_keep_their_ids(tmp_path: Path, write: Any) -> None:
    path = tmp_path / ("cells.h5" if write is tenx_h5 else "cells")
    adata = read(write(path, ["TBCE", "TBCE", *GENES[2:]]))
    assert adata.var_names[:2].to_list() == ["TBCE", "TBCE"]
    assert adata.var["gene_ids"].to_list() == IDS


@pytest.mark.parametrize("write", [lambda path, kinds: mtx(path, NEW_NAMES, kinds=kinds), tenx_h5])
def test_antibodies_in_a_10x_matrix_are_no_genes(tmp_path: Path, write: Any) -> None:
    kinds = ["Gene Expression"] * 248 + ["Antibody Capture"] * 2
    path = tmp_path / ("cells.h5" if write is tenx_h5 else "cells")
    assert read(write(path, kinds=kinds)).var_names.to_list() == GENES[:248]


def test_a_10x_file_whose_indices_are_damaged_is_refused(tmp_path: Path) -> None:
    kinds = ["Gene Expression"] * 248 + ["Antibody Capture"] * 2
    path = tenx_h5(tmp_path / "cells.h5", kinds=kinds)
    with h5py.File(path, "a") as file:
        file["matrix/indices"][5] = 10**6
    assert "damaged" in refusal(path)


def test_a_link_out_of_a_10x_folder_is_refused(tmp_path: Path) -> None:
    folder = mtx(tmp_path / "cells", OLD_NAMES)
    (folder / "genes.tsv").rename(tmp_path / "elsewhere.tsv")
    (folder / "genes.tsv").symlink_to(tmp_path / "elsewhere.tsv")
    assert f"is a link to {tmp_path / 'elsewhere.tsv'}, outside" in refusal(folder)


@pytest.mark.parametrize("change", ["shrinks", "is replaced"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path, other = h5ad(tmp_path / "cells.h5ad"), h5ad(tmp_path / "other.h5ad")

    def read_and_change(path: Path) -> anndata.AnnData:
        adata = anndata.read_h5ad(path)
        if change == "shrinks":
            os.truncate(path, 5000)
        else:
            other.replace(path)
        return adata

    monkeypatch.setitem(formats.READERS, ".h5ad", read_and_change)
    assert "changed while it was read. Wait until nothing writes to it" in refusal(path)


def test_another_hdf5_file_is_told_from_an_anndata_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file["data"] = [1]
    assert "no AnnData: it has data" in refusal(tmp_path / "cells.h5ad")


@pytest.mark.parametrize("missing", OLD_NAMES)
def test_a_10x_folder_that_lacks_a_file_is_refused_with_what_it_has(tmp_path: Path, missing: str) -> None:
    folder = mtx(tmp_path / "cells", OLD_NAMES)
    (folder / missing).unlink()
    reason = refusal(folder)
    assert missing in reason
    assert all(name in reason for name in OLD_NAMES if name != missing)


def test_10x_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = mtx(tmp_path / "cells", OLD_NAMES)
    (folder / "barcodes.tsv").write_text("A\nB\n")
    assert "matrix.mtx is 250 × 30, but genes.tsv names 250 genes and barcodes.tsv 2 cells" in refusal(folder)


def test_a_table_of_genes_by_cells_is_refused_with_what_to_do(tmp_path: Path) -> None:
    table().T.to_csv(tmp_path / "cells.csv")
    reason = refusal(tmp_path / "cells.csv")
    assert "genes × cells" in reason
    assert "'ACTB'" in reason
    assert "Transpose" in reason


def test_a_table_whose_header_lacks_the_first_column_is_read_as_r_writes_it(tmp_path: Path) -> None:
    text = table().to_csv()
    (tmp_path / "cells.csv").write_text(text.removeprefix(","))
    adata = read(tmp_path / "cells.csv")
    assert adata.var_names.to_list() == GENES
    assert adata.obs_names.to_list() == CELLS


def test_a_gene_that_comes_twice_in_a_table_keeps_its_name(tmp_path: Path) -> None:
    table(genes=["ACTB", "ACTB", *GENES[2:]]).to_csv(tmp_path / "cells.csv")
    assert read(tmp_path / "cells.csv").var_names[:2].to_list() == ["ACTB", "ACTB"]


def test_text_in_a_table_is_refused_with_its_column(tmp_path: Path) -> None:
    table().assign(cell_type="beta").to_csv(tmp_path / "cells.csv")
    assert "column 'cell_type' holds 'beta', which is no number" in refusal(tmp_path / "cells.csv")


def test_a_table_with_another_separator_is_refused(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "cells.csv", sep="\t")
    assert "with commas between them" in refusal(tmp_path / "cells.csv")
