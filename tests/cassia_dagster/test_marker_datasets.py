"""Tests of a dataset that is a marker table: from the command to the report, without a cell."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from cassia_dagster.unchanged import kept_artifacts
from cassia_dagster.walk import open_instance
from resources.catalog import Catalog
from resources.home import Home
from tests.terminal import Outcome, typed

LISTS = {
    "7": "CD3D,CD3E,CD2,TRAC,CD5,IL7R,LTB,CD27,CD6",
    "B": "MS4A1,CD79A,CD79B,CD19,BANK1,CD22,PAX5,TCL1A,SDPR",
    "odd": "ACTB,GAPDH",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What the command left behind."""

    folder: Path
    home: Home
    text: str

    @property
    def results(self) -> Path:
        return self.folder / "output" / "lists"


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command that makes assets: they read the catalog when they are imported, in a process of their own."""
    line = [sys.executable, "-m", "cassia_dagster.cli", *words, "--home", str(folder / "home")]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def without_assets(folder: Path, *words: str) -> Outcome:
    """Type a command that makes none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return typed(*words, "--home", folder / "home")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("markers")
    pd.Series(LISTS, name="markers").rename_axis("cluster").to_csv(folder / "lists.csv")
    said = ("--tissue", "blood", "--species", "human")
    added = without_assets(folder, "datasets", "add", "lists.csv", *said)
    assert added.code == 0, added.errors
    assert "3 clusters, 20 markers" in added.printed
    done = command(folder, "run", "lists.csv", *said)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Made(folder, Home(folder / "home"), done.stdout)


def test_the_kind_is_told_by_the_columns_and_the_clusters_are_given(made: Made) -> None:
    entry = Catalog.read(made.home.catalog).entry("lists")
    assert (entry.kind, entry.clusterings) == ("markers", ("given",))


def test_every_cluster_has_its_row_and_the_columns_are_those_of_every_result(made: Made) -> None:
    rows = pd.read_csv(made.results / "given" / "lists_scored.csv", dtype=str, keep_default_na=False)
    assert rows["cluster"].to_list() == ["7", "B", "odd"]
    assert "B" in rows["general_celltype"].to_list()[1].split()
    assert {"celltype_1", "score", "CASSIA_merged_grouping_1", "marker_list", "status", "cl_id"} <= set(rows.columns)


def test_what_was_taken_from_the_table_is_kept_as_long_as_the_table_is_the_same(made: Made) -> None:
    with open_instance(made.home) as instance:
        assert set(kept_artifacts(instance, made.home.artifacts, "lists", "given")) == {
            "leiden_clusters",
            "marker_table",
        }


def test_what_needs_cells_is_absent_and_that_is_said(made: Made) -> None:
    assert {path.name for path in made.results.iterdir()} == {"given"}
    assert not any((Path(str(made.home.artifacts)) / asset).exists() for asset in ("normalized_adata", "umap"))
    assert "Only a marker table is known: there are no maps, no cell counts and no annotated file" in made.text
    assert "Only a marker table is known" in (made.results / "given" / "lists_report.html").read_text()
    assert "cells   " not in made.text


def test_former_symbols_of_the_table_are_present_ones_in_the_results(made: Made) -> None:
    rows = pd.read_csv(made.results / "given" / "lists_scored.csv", index_col="cluster")
    assert "CAVIN2" in rows.loc["B", "marker_list"]
    assert "SDPR → CAVIN2" in (made.results / "given" / "lists_report.html").read_text()


def test_the_marker_table_alone_cannot_be_annotated_under_the_name_of_another_dataset(made: Made) -> None:
    pd.Series(LISTS, name="markers").rename_axis("cluster").to_csv(made.folder / "others.csv")
    said = ("--tissue", "blood", "--species", "human", "--name", "lists")
    refused = without_assets(made.folder, "annotate", "others.csv", *said)
    assert refused.code == 1
    assert "'lists' is the name of a dataset in the catalog" in refused.errors


@pytest.mark.long
def test_what_is_asked_of_clusters_needs_no_cells(made: Made) -> None:
    said = {
        ("hypotheses", "lists"): "memory B cell",
        ("uncertainty", "lists"): "no measure of uncertainty",
        ("boost", "lists", "--cluster", "odd"): "named nothing",
        ("drift", "lists"): "0.0% of the cells are called something else",
        ("plan",): "0 of 1 would be made",
    }
    for words, answer in said.items():
        done = command(made.folder, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert answer in done.stdout


@pytest.mark.parametrize("words", [("subclusters", "lists", "--cluster", "7"), ("figures", "lists")])
def test_what_is_made_of_cells_is_refused(made: Made, words: tuple[str, ...]) -> None:
    refused = without_assets(made.folder, *words)
    assert refused.code == 1
    assert "is a marker table: no cell of it is known" in refused.errors


def test_a_job_of_cells_fails_with_what_to_make_instead(made: Made) -> None:
    import dagster as dg

    from cassia_dagster.definitions import build_defs

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["lists"])
        job = build_defs(made.home).resolve_job_def("prepare_cells")
        done = job.execute_in_process(partition_key="lists", instance=instance, raise_on_error=False)
    events = [event for event in done.all_events if event.is_step_failure]
    assert [event.step_key for event in events] == ["normalized_adata"]
    assert "is a marker table: no cell of it is known" in events[0].step_failure_data.user_failure_data.description


@pytest.mark.long
def test_another_run_and_a_second_look_end_well(made: Made) -> None:
    for words in (
        ("boost", "lists", "--cluster", "odd"),
        ("run", "lists.csv", "--tissue", "blood", "--species", "human"),
    ):
        done = command(made.folder, *words)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.long
def test_what_was_found_out_of_a_cluster_whose_markers_are_others_now_is_dropped(made: Made) -> None:
    table = made.folder / "lists.csv"
    debate = ("symphony", "lists", "--candidate", "T cell", "--candidate", "B cell", "--cluster")
    for words in (("hypotheses", "lists"), (*debate, "7"), (*debate, "B")):
        assert command(made.folder, *words).returncode == 0
    table.write_text(table.read_text().replace("BANK1", "CD37"))
    for words in (
        ("run", "lists.csv", "--tissue", "blood", "--species", "human"),
        ("hypotheses", "lists", "--cluster", "odd"),
        (*debate, "odd"),
    ):
        done = command(made.folder, *words)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for analysis in ("hypotheses", "symphony"):
        rows = json.loads((made.results / "given" / f"lists_{analysis}.json").read_text())
        assert [row["cluster"] for row in rows] == ["7", "odd"]
    drifted = command(made.folder, "drift", "lists", "--max-changed", "1")
    assert "their cells or markers are others" in drifted.stdout
