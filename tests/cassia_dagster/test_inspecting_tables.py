"""Tests of looking at tables of markers: what is understood of them is what is read, and what is not is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.errors import InputError
from cassia_dagster.inspecting_tables import OF_A_LAB, OF_CLUSTERS, inspect_table, is_table_of_markers

SEURAT = (
    "p_val,avg_logFC,pct.1,pct.2,p_val_adj,cluster,gene,remark\n"
    "0,2,0.9,0.1,0,T cells,CD3D,\n0,1,0.9,0.1,0,T cells,SDPR,\n0,-1,0.1,0.9,0,T cells,MS4A1,\n"
    "0,2,0.9,0.1,0,10,MS4A1,\n0.2,2,0.9,0.1,0.6,10,NOTAGENE,\n"
)
LAB = "# ours\nCell Type,gene,sign,source\nB cell,MS4A1,+,us\nB cell,CD3D,-,us\nbeta cells,INS,,\nB cell,ODDGENE,,\n"


def _write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_of_a_table_of_clusters_columns_clusters_genes_and_species_are_told(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path, SEURAT, name)
    assert is_table_of_markers(path)
    seen = inspect_table(path)
    assert (seen.kind, seen.n_rows, seen.species, seen.obstacle) == (OF_CLUSTERS, 5, "human", None)
    assert (seen.columns["avg_logFC"], seen.columns["gene"], seen.columns["remark"]) == ("avg_log2FC", "gene", "")
    assert {one.name: one.says for one in seen.groups} == {
        "10": "2 genes, 1 of them down or not significant, the first MS4A1, NOTAGENE",
        "T cells": "3 genes, 1 of them down or not significant, the first CD3D, SDPR, MS4A1",
    }
    assert (seen.genes, seen.unknown) == (("CD3D", "SDPR", "MS4A1", "NOTAGENE"), ("NOTAGENE",))
    assert seen.known_genes["human"] == 3
    assert any("SDPR → CAVIN2" in note for note in seen.notes)
    assert seen.command == f"cassia-dagster annotate {path} --species human --tissue TISSUE"


def test_mouse_genes_are_told_by_their_names_and_ids_by_their_species(tmp_path: Path, gene_ids: dict[str, str]) -> None:
    mouse = _write(tmp_path, 'cluster,markers\n0,"Cd79a, Ms4a1, Cd19"\n', "mouse.csv")
    assert (inspect_table(mouse).species, inspect_table(mouse).columns["markers"]) == ("mouse", "genes, best first")
    ids = _write(tmp_path, f"cluster,gene\n0,{gene_ids['CD3D']}\n0,{gene_ids['CD3E']}\n", "ids.csv")
    assert (inspect_table(ids).species, inspect_table(ids).known_genes["human"]) == ("human", 2)


def test_of_a_labs_table_the_terms_are_told_that_its_names_are_read_as(tmp_path: Path) -> None:
    path = _write(tmp_path, LAB)
    seen = inspect_table(path)
    assert (seen.kind, seen.n_rows, seen.species, seen.obstacle) == (OF_A_LAB, 4, "human", None)
    assert seen.columns == {"Cell Type": "cell_type", "gene": "gene", "sign": "sign", "source": "source"}
    assert {one.name: one.says for one in seen.groups} == {
        "B cell": "CL:0000236, 2 genes for it, 1 against it",
        "type B pancreatic cell": "CL:0000169, 1 gene for it",
    }
    assert seen.unknown == ("ODDGENE",)
    assert seen.command.startswith("cassia-dagster run CELLS.h5ad --species human --markers")


def test_what_would_be_refused_is_shown_all_the_same_and_fails(tmp_path: Path) -> None:
    path = _write(tmp_path, LAB + "no such type of cell,INS,,\n")
    assert "no such type of cell" in str(inspect_table(path).obstacle)
    shown = CliRunner().invoke(app, ["inspect", str(path)])
    assert "would refuse this file" in shown.stdout
    assert isinstance(shown.exception, InputError)
    strange = _write(tmp_path, "cluster,gene\n0,nonsense1\n0,nonsense2\n", "strange.csv")
    assert inspect_table(strange).species is None
    assert "none of its 2 genes is a known symbol" in str(inspect_table(strange).obstacle)


def test_the_command_shows_tables_and_their_text_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    path = _write(tmp_path, SEURAT.replace("remark", "re\x1b[31mmark"))
    shown = CliRunner().invoke(app, ["inspect", str(path)])
    assert shown.exit_code == 0
    for words in ("marker genes of clusters, 5 rows", "avg_logFC: avg_log2FC", "mark: not read", "species: human"):
        assert words in shown.stdout
    assert "\x1b" not in shown.stdout


def test_tables_of_counts_and_other_files_are_none(tmp_path: Path) -> None:
    assert not is_table_of_markers(_write(tmp_path, "cell,CD3D,MS4A1\nAAAC,1,0\n"))
    assert not is_table_of_markers(_write(tmp_path, "not gzip", "cut.csv.gz").with_name("nowhere.csv"))
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(SEURAT.encode())[:30])
    assert not is_table_of_markers(broken)
    parquet = tmp_path / "markers.parquet"
    pd.DataFrame({"cluster": ["0"], "gene": ["CD3D"]}).to_parquet(parquet)
    assert inspect_table(parquet).columns == {"cluster": "cluster", "gene": "gene"}
