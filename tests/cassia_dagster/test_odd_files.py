"""Every odd file that a user may bring, at the command itself: one clear message, or a good result that says so."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from resources.catalog import Catalog
from tests.terminal import Outcome, typed

pytestmark = pytest.mark.filterwarnings("ignore")
"""What libraries say of odd files is for programmers; what the command says is under test."""


type Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Give the command line, with a home of its own in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(typed, CASSIA_HOME=tmp_path / "home", COLUMNS=300)


def refused(outcome: Outcome) -> str:
    """Insist on one message, without a traceback and without an excuse, and return it."""
    assert outcome.code == 1, outcome
    assert "Traceback" not in outcome.printed + outcome.errors
    (message,) = outcome.errors.strip().splitlines()
    return message


# --- files that nothing can be done with ------------------------------------------------------------


@pytest.fixture(scope="module")
def cells(islets_path: Path) -> anndata.AnnData:
    """A few good cells, with a few hundred genes that are known."""
    adata = anndata.read_h5ad(islets_path)[:40]
    return adata[:, np.argsort(-np.asarray(adata.X.sum(axis=0)).ravel())[:400]].copy()


def with_matrix(change: Callable[[np.ndarray], Any]) -> Callable[[anndata.AnnData, Path], None]:
    def write(adata: anndata.AnnData, path: Path) -> None:
        adata.X = change(adata.X.toarray())
        adata.write_h5ad(path)

    return write


def with_value(value: float) -> Callable[[anndata.AnnData, Path], None]:
    def change(matrix: np.ndarray) -> np.ndarray:
        matrix[3, 7] = value
        return matrix

    return with_matrix(change)


def with_names(axis: str, change: Callable[[list[str]], list[Any]]) -> Callable[[anndata.AnnData, Path], None]:
    def write(adata: anndata.AnnData, path: Path) -> None:
        setattr(adata, axis, change(getattr(adata, axis).to_list()))
        adata.write_h5ad(path)

    return write


def with_part(rows: slice, columns: slice) -> Callable[[anndata.AnnData, Path], None]:
    return lambda adata, path: adata[rows, columns].copy().write_h5ad(path)


def with_change_on_disk(change: Callable[[h5py.File], Any]) -> Callable[[anndata.AnnData, Path], None]:
    def write(adata: anndata.AnnData, path: Path) -> None:
        adata.write_h5ad(path)
        with h5py.File(path, "a") as file:
            change(file)

    return write


def cut_to(share: float) -> Callable[[anndata.AnnData, Path], None]:
    def write(adata: anndata.AnnData, path: Path) -> None:
        adata.write_h5ad(path)
        os.truncate(path, int(share * path.stat().st_size))

    return write


def declare_petabytes(file: h5py.File) -> None:
    file["uns"].create_dataset("bomb", shape=(10**7, 10**8), chunks=(1, 10**4), dtype="f4")


def point_outside(file: h5py.File) -> None:
    file["X/indices"][5] = 10**6


def lead_outside(file: h5py.File) -> None:
    file["uns/more"] = h5py.ExternalLink("/etc/hostname", "/")


CANNOT_BE_USED: dict[str, tuple[Callable[[anndata.AnnData, Path], Any], str]] = {
    "missing": (lambda _, _path: None, "There is no file"),
    "a folder": (lambda _, path: path.mkdir(), "is a folder, which is not an .h5ad file"),
    "a pipe": (lambda _, path: os.mkfifo(path), "is a pipe or a device"),
    "without a byte": (lambda _, path: path.write_bytes(b""), "cannot be read as an .h5ad file"),
    "text": (lambda _, path: path.write_text("gene,c1\nINS,2\n"), "cannot be read as an .h5ad file"),
    "HDF5 of something else": (
        lambda _, path: h5py.File(path, "w").create_dataset("a", data=[1]).file.close(),
        "no AnnData: it has a,",
    ),
    "cut off in its head": (cut_to(0.01), "Was the download complete?"),
    "cut off in its middle": (cut_to(0.5), "Was the download complete?"),
    "cut off at its end": (cut_to(0.99), "Was the download complete?"),
    "without cells": (with_part(slice(0), slice(None)), "holds nothing (0 cells × 400 genes)"),
    "without genes": (with_part(slice(None), slice(0)), "holds nothing (40 cells × 0 genes)"),
    "of one cell": (with_part(slice(1), slice(None)), "has 1 cell; at least 20 are needed"),
    "of one gene": (with_part(slice(None), slice(1)), "has 1 gene; at least 200 are needed"),
    "of zeros": (with_matrix(lambda x: x * 0), "holds nothing (nothing but zeros)"),
    "with NaN": (with_value(np.nan), "X holds damaged values (NaN or infinite values: 1)"),
    "with infinity": (with_value(np.inf), "X holds damaged values (NaN or infinite values: 1)"),
    "with a negative value": (with_value(-1), "X holds scaled or centred values (values from -1"),
    "scaled": (with_matrix(lambda x: (x - x.mean(0)) / (x.std(0) + 1)), "scaled ones will not"),
    "with an overflow of 32 bits": (with_matrix(lambda x: x.astype(np.uint32) - 1), "more than a cell can have"),
    "with an overflow of 64 bits": (with_matrix(lambda x: x.astype(np.uint64) - 1), "more than a cell can have"),
    "of truth values": (with_matrix(lambda x: x > 0), "values of the type bool"),
    "with a cell twice": (
        with_names("obs_names", lambda names: [names[1], *names[1:]]),
        "names of cells that come again: 1",
    ),
    "with a cell without a name": (with_names("obs_names", lambda names: ["", *names[1:]]), "without a name"),
    "with Ensembl ids": (
        with_names("var_names", lambda names: [f"ENSG{number:011}" for number in range(len(names))]),
        "by Ensembl ids (such as ENSG00000000000). Put gene symbols into var_names",
    ),
    "with numbers for genes": (
        with_names("var_names", lambda names: list(range(len(names)))),
        "Only 0 of 400 gene names are known symbols of human (the first are '0', '1', '2')",
    ),
    "with a link to another file": (with_change_on_disk(lead_outside), "/uns/more leads to /etc/hostname"),
    "with a bomb": (with_change_on_disk(declare_petabytes), "Store the matrix sparse"),
    "with a broken matrix": (with_change_on_disk(point_outside), "the sparse matrix X is damaged"),
}


@pytest.mark.parametrize("kind", CANNOT_BE_USED)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    cells: anndata.AnnData, tmp_path: Path, command: Command, kind: str
) -> None:
    write, said = CANNOT_BE_USED[kind]
    write(cells.copy(), tmp_path / "cells.h5ad")
    message = refused(command("inspect", tmp_path / "cells.h5ad"))
    assert said in message
    assert str(tmp_path / "cells.h5ad") in message or kind == "with numbers for genes"


RUN = ("--tissue", "pancreas", "--species", "human")


@pytest.mark.parametrize("kind", ["cut off in its middle", "scaled"])
def test_a_run_of_such_a_file_says_the_same_and_leaves_the_other_datasets_alone(
    cells: anndata.AnnData, tmp_path: Path, command: Command, kind: str
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "datasets.yaml").write_text(
        f"datasets: [{{name: good, path: {tmp_path}/good.h5ad, tissue: blood}}]"
    )
    good = Catalog.read(tmp_path / "home" / "datasets.yaml").entry("good")
    write, said = CANNOT_BE_USED[kind]
    write(cells.copy(), tmp_path / "cells.h5ad")
    assert said in refused(command("run", tmp_path / "cells.h5ad", *RUN))
    assert Catalog.read(tmp_path / "home" / "datasets.yaml").entry("good") == good


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--labels", "celltype"), "no obs column 'celltype'; it has: cell_type"),
        (("--counts", "layers/umi"), "no matrix 'layers/umi' to take counts from; it has: X"),
        (("--gene-symbols", "symbol"), "no var column 'symbol'"),
        (("--species", "mouse"), "Are the cells of human?"),
    ],
)
def test_what_the_file_does_not_have_is_named_with_what_it_has(
    cells: anndata.AnnData, tmp_path: Path, command: Command, words: tuple[str, ...], said: str
) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert said in refused(command("run", tmp_path / "cells.h5ad", *RUN, *words))


@pytest.mark.parametrize("name", ["../x", "a/../b", "a|b", "a b", "🧬", "-x", "x" * 101])
def test_a_name_that_cannot_be_a_file_is_refused_and_writes_nothing(
    tmp_path: Path, islets_path: Path, command: Command, name: str
) -> None:
    message = refused(command("run", islets_path, *RUN, "--name", name, "--output", tmp_path / "output"))
    assert "cannot name a dataset: use letters" in message
    assert not (tmp_path / "output").exists()
    assert not Catalog.read(tmp_path / "home" / "datasets.yaml").datasets


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        ("- cells.h5ad\n", "must be a mapping"),
        ("datasets: [{name: a, path: b, tissue: c}, {name: a, path: d, tissue: e}]", "two entries have the name 'a'"),
        ("datasets: [{name: a, path: b, tissue: c, species: cat}]", "datasets → a → species"),
        ("datasets: {\n", "is not valid YAML"),
    ],
)
def test_a_catalog_that_says_nothing_sensible_is_refused(
    tmp_path: Path, command: Command, catalog: str, said: str
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "datasets.yaml").write_text(catalog)
    outcome = command("datasets", "list")
    assert (outcome.code, said in outcome.printed + outcome.errors) == (1, True)
    assert "Traceback" not in outcome.errors
    assert (tmp_path / "home" / "datasets.yaml").read_text() == catalog


# --- files that are odd, and good enough ------------------------------------------------------------


def test_odd_names_and_levels_are_no_obstacle(cells: anndata.AnnData, tmp_path: Path, command: Command) -> None:
    odd = cells.copy()
    odd.obs_names = [str(number) for number in range(odd.n_obs)]
    odd.var_names = [odd.var_names[1], *odd.var_names[1:]]
    odd.obs["cell_type"] = pd.Categorical(odd.obs["cell_type"], categories=[*odd.obs["cell_type"].unique(), "nobody"])
    odd.write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "my 🧬|cells.h5ad").symlink_to(tmp_path / "cells.h5ad")
    outcome = command("inspect", tmp_path / "my 🧬|cells.h5ad")
    assert outcome.code == 0
    assert "Names of genes that come again (1," in outcome.printed
    assert "nobody" not in outcome.printed


@pytest.fixture
def story(islets_path: Path, tmp_path: Path) -> Path:
    """One kind of cell, 100,000 genes, no counts: what a colleague might send after a night of work."""
    adata = anndata.read_h5ad(islets_path)
    adata = adata[adata.obs["cell_type"] == "beta"][:30].copy()
    dense = adata.X.toarray().astype(np.float64)
    dense[5] = 0
    shares = dense / np.maximum(dense.sum(axis=1, keepdims=True), 1)
    logarithms = sparse.csr_matrix(np.log2(shares * 1e6 + 1), dtype=np.float32)
    silent = sparse.csr_matrix((adata.n_obs, 100_000 - adata.n_vars), dtype=np.float32)
    names = [*adata.var_names, *(f"SILENT{number}" for number in range(silent.shape[1]))]
    names[-1] = names[-2]
    odd = anndata.AnnData(
        X=sparse.hstack([logarithms, silent], format="csr"),
        obs=pd.DataFrame({"cell_type": adata.obs["cell_type"]}, index=adata.obs_names),
        var=pd.DataFrame(index=names),
    )
    path = tmp_path / "my 🧬|cells.h5ad"
    odd.write_h5ad(path)
    return path


@pytest.mark.long
def test_one_kind_of_cell_without_counts_and_with_100000_genes_runs_to_the_end(
    story: Path, tmp_path: Path, command: Command
) -> None:
    outcome = command(
        "run", story, *RUN, "--resolution", "0.4", "--labels", "cell_type", "--output", tmp_path / "output"
    )
    assert outcome.code == 0, outcome
    note = "X holds no counts but logarithms (base 2) of values that sum to 1,000,000 in every cell."
    again = "Names of genes that come again (1, the first is SILENT"
    assert note in outcome.printed
    assert again in outcome.printed
    folder = tmp_path / "output" / "my_cells"
    page = (folder / "leiden_res_0.4" / "my_cells_report.html").read_text()
    assert note in page
    assert again in page
    rows = pd.read_csv(folder / "leiden_res_0.4" / "my_cells_summary.csv", dtype=str)
    assert rows[["cluster", "n_cells", "status"]].to_numpy().tolist() == [["0", "30", "unresolved"]]
    annotated = anndata.read_h5ad(folder / "my_cells_annotated.h5ad")
    assert annotated.shape == (30, 100_000)
    assert "counts" not in annotated.layers
    assert "n_counts" not in annotated.obs
    assert note in annotated.uns["cassia_input"]["notes"]
    assert re.fullmatch(r"\d+", str(annotated.obs["leiden_res_0.4"].iloc[5]))
