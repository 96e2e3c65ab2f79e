"""Files with marker genes, as R and Python write them."""

import gzip

import numpy as np
import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.marker_files import ranked_genes, read_marker_table

R_TABLE = '"","p_val","avg_logFC","pct.1","pct.2","p_val_adj","cluster","gene"\n"CD3D",0,1,1,0.1,0,"01","CD3D"\n'


@pytest.fixture(scope="module")
def ranked():
    """A matrix whose genes Scanpy ranked, with the fractions of cells that express them."""
    import anndata
    import scanpy as sc

    rng = np.random.default_rng(0)
    counts = rng.poisson(1, (60, 8)).astype("float32")
    counts[:30, 0] += 8
    adata = anndata.AnnData(counts, obs=pd.DataFrame({"louvain": pd.Categorical(["0"] * 30 + ["1"] * 30)}))
    adata.obs_names, adata.var_names = [f"c{i}" for i in range(60)], [f"G{i}" for i in range(8)]
    sc.pp.log1p(adata)
    sc.tl.rank_genes_groups(adata, "louvain", method="wilcoxon", pts=True)
    return adata


def test_a_table_that_r_wrote_is_read(tmp_path):
    path = tmp_path / "markers.csv"
    path.write_text(R_TABLE)
    assert read_marker_table(path)[["cluster", "gene", "pct.1"]].to_numpy().tolist() == [["01", "CD3D", 1.0]]


def test_tabs_compression_and_parquet_hold_the_same(tmp_path):
    plain, tabs, parquet = tmp_path / "m.csv", tmp_path / "m.TSV.gz", tmp_path / "m.parquet"
    plain.write_text(R_TABLE)
    tabs.write_bytes(gzip.compress(R_TABLE.replace(",", "\t").encode()))
    pd.read_csv(plain, dtype={"cluster": str}).to_parquet(parquet)
    expected = read_marker_table(plain)
    pd.testing.assert_frame_equal(read_marker_table(tabs), expected)
    pd.testing.assert_frame_equal(read_marker_table(parquet), expected)


def test_lists_without_a_header_lose_no_cluster(tmp_path):
    path = tmp_path / "lists.csv"
    path.write_text('0,"CD3D, CD3E"\n1,"MS4A1, CD79A"\n')
    assert read_marker_table(path)["cluster"].tolist() == ["0", "0", "1", "1"]


def test_scanpys_ranking_is_read_from_an_h5ad_as_scanpy_reads_it(ranked, tmp_path):
    import scanpy as sc

    path = tmp_path / "ranked.h5ad"
    ranked.write_h5ad(path)
    table = read_marker_table(path)
    theirs = sc.get.rank_genes_groups_df(ranked, group=None)
    assert table["cluster"].tolist() == theirs["group"].astype(str).tolist()
    assert table["gene"].tolist() == theirs["names"].tolist()
    for ours, name in (("avg_log2FC", "logfoldchanges"), ("pct.1", "pct_nz_group"), ("pct.2", "pct_nz_reference")):
        np.testing.assert_allclose(table[ours], theirs[name])


def test_a_ranking_without_fractions_leaves_them_unknown(ranked):
    ranking = {name: value for name, value in ranked.uns["rank_genes_groups"].items() if not name.startswith("pts")}
    table = ranked_genes(ranking, "adata")
    assert table["pct.1"].isna().all()
    assert table["score"].notna().all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("markers.xlsx", b"", r"must end in \.csv"),
        ("markers.csv", b"", r"cannot be read as a \.csv file"),
        ("markers.csv", b"cluster;gene\n0;CD3D\n", "one column when it is read with commas"),
        ("markers.parquet", b"PAR1", r"cannot be read as a \.parquet file"),
        ("markers.h5ad", b"nothing", r"cannot be read as a \.h5ad file"),
    ],
)
def test_a_file_that_is_no_marker_table_says_so(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_marker_table(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        read_marker_table(tmp_path / "nowhere.csv")


def test_cells_without_a_ranking_are_no_marker_table(tmp_path):
    import anndata

    anndata.AnnData(np.ones((2, 2), dtype="float32")).write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InputError, match="no ranking of genes"):
        read_marker_table(tmp_path / "cells.h5ad")


def test_published_seurat_tables_are_read(evaluation_data):
    clusters = {
        name: read_marker_table(evaluation_data / "markers" / f"{name}.csv.gz")["cluster"].nunique()
        for name in ("pancreas_de", "pbmc3k_seurat_de", "large_intestine_de")
    }
    assert clusters == {"pancreas_de": 13, "pbmc3k_seurat_de": 9, "large_intestine_de": 6}


def test_a_parquet_file_of_too_many_rows_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.parquet"
    pd.DataFrame({"cluster": "0", "gene": np.repeat("INS", 5_000_001)}).astype("category").to_parquet(path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match=r"declares 5,000,001 rows; a marker table has at most 5,000,000"):
        read_marker_table(path)
