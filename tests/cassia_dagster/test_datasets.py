"""Tests of the commands about datasets: what they print, what they refuse, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cassia_dagster.cli import app
from cassia_dagster.errors import ConfigurationError, InputError
from resources.catalog import Catalog, DatasetEntry


def run(*words: Any, home: Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)], env={"CASSIA_HOME": str(home), "COLUMNS": "200"})


def known(home: Path, path: Path, name: str = "islets", **more: Any) -> Path:
    entry = DatasetEntry(name=name, path=path, tissue="pancreas", **more)
    Catalog.read(home / "datasets.yaml").with_entry(entry).write(home / "datasets.yaml")
    return home


def test_a_project_without_datasets_says_how_to_add_one(tmp_path: Path) -> None:
    result = run("datasets", "list", home=tmp_path)
    assert result.exit_code == 0
    assert "cassia-dagster run FILE" in result.stdout


def test_the_list_has_a_row_for_each_dataset(tmp_path: Path, islets_path: Path) -> None:
    known(tmp_path, islets_path)
    known(tmp_path, islets_path, "blood")
    lines = run("datasets", "list", home=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines if "pancreas" in line] == ["islets", "blood"]


def test_text_of_the_catalog_cannot_speak_to_the_terminal(tmp_path: Path, islets_path: Path) -> None:
    entry = DatasetEntry(name="islets", path=islets_path, tissue="[red]gut[/red]\x1b[31m")
    Catalog().with_entry(entry).write(tmp_path / "datasets.yaml")
    shown = run("datasets", "list", home=tmp_path).stdout
    assert "[red]gut[/red]" in shown
    assert "\x1b[31m" not in shown


def test_a_dataset_that_can_be_annotated_passes_the_check(tmp_path: Path, islets_path: Path) -> None:
    result = run("datasets", "check", home=known(tmp_path, islets_path, labels=("cell_type",)))
    assert result.exit_code == 0
    assert "✓ islets  1,065 cells, 14,270 genes" in result.stdout


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"labels": ("celltype",)}, "no obs column 'celltype'"),
        ({"species": "mouse"}, "Are the cells of human?"),
        ({"counts": "layers/umi"}, "no matrix 'layers/umi'"),
        ({"gene_symbols": "symbol"}, "no var column 'symbol'"),
    ],
)
def test_a_dataset_that_cannot_be_annotated_fails_the_check_and_hides_no_other(
    tmp_path: Path, islets_path: Path, said: dict[str, Any], words: str
) -> None:
    known(tmp_path, islets_path, "wrong", **said)
    known(tmp_path, islets_path, "right")
    result = run("datasets", "check", home=tmp_path)
    assert words in result.stdout
    assert "✓ right" in result.stdout
    assert isinstance(result.exception, InputError)
    assert "1 of 2 datasets" in str(result.exception)


def test_only_the_datasets_that_are_named_are_checked(tmp_path: Path, islets_path: Path) -> None:
    known(tmp_path, tmp_path / "nowhere.h5ad", "wrong")
    known(tmp_path, islets_path, "right")
    assert run("datasets", "check", "right", home=tmp_path).exit_code == 0


def test_a_removed_dataset_is_gone_from_the_catalog_and_its_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_bytes(b"counts")
    known(tmp_path, path)
    known(tmp_path, path, "blood")
    result = run("datasets", "remove", "islets", home=tmp_path)
    assert result.exit_code == 0
    assert [entry.name for entry in Catalog.read(tmp_path / "datasets.yaml").datasets] == ["blood"]
    assert path.read_bytes() == b"counts"


@pytest.mark.parametrize("command", ["check", "remove"])
def test_a_dataset_that_is_not_known_is_an_error_with_those_that_are(tmp_path: Path, command: str) -> None:
    result = run("datasets", command, "liver", home=known(tmp_path, tmp_path / "cells.h5ad"))
    assert isinstance(result.exception, ConfigurationError)
    assert "no dataset 'liver'; it has: islets" in str(result.exception)


def test_inspecting_shows_what_is_there_and_the_command_to_run(tmp_path: Path, islets_path: Path) -> None:
    result = run("inspect", islets_path, home=tmp_path / "home")
    assert result.exit_code == 0
    for words in ("1,065 cells × 14,270 genes", "X: raw counts", "species: human", "cell_type: 14 values"):
        assert words in result.stdout
    assert f"cassia-dagster run {islets_path} --species human --labels cell_type --tissue TISSUE" in result.stdout
    assert not (tmp_path / "home").exists()


def test_inspecting_says_what_a_run_would_need(tmp_path: Path, islets_path: Path) -> None:
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.obs["leiden"] = [str(number % 14) for number in range(60)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    shown = run("inspect", tmp_path / "cells.h5ad", home=tmp_path).stdout
    assert f"memory: about {1 + 24e-9 * np.count_nonzero(adata.X.toarray()):.1f} GB of " in shown
    assert "3 to 9 for each cluster, and one for each resolution" in shown
    assert "of the 14 clusters of leiden it would be asked 43 to 127" in shown
    assert "nothing is paid" in shown


def test_inspecting_logarithms_says_that_they_would_be_taken_as_they_are(tmp_path: Path, islets_path: Path) -> None:
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.X.data = np.log1p(adata.X.data * np.float32(0.7))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    result = run("inspect", tmp_path / "cells.h5ad", home=tmp_path)
    assert result.exit_code == 0
    assert "would take the logarithms of normalised counts of X" in result.stdout
    assert "They are not normalised again." in result.stdout


def test_inspecting_a_file_that_run_would_refuse_shows_it_all_the_same_and_fails(
    tmp_path: Path, islets_path: Path
) -> None:
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.X = adata.X.toarray() - np.float32(1)
    adata.obs["[bold]x\x1b[31m"] = "[red]y"
    adata.write_h5ad(tmp_path / "cells.h5ad")
    result = run("inspect", tmp_path / "cells.h5ad", home=tmp_path)
    assert "X: scaled or centred values (values from -1 to" in result.stdout
    assert "[bold]x [31m: 1 value ([red]y)" in result.stdout
    assert "would refuse this file" in result.stdout
    assert isinstance(result.exception, InputError)
    assert "scaled or centred" in str(result.exception)
