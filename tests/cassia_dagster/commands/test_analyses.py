"""The commands of the analyses, on the demo with the embedded model: what they show, keep and refuse."""

import json
import re
import shutil
from pathlib import Path

import anndata
import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from assets.results import digest_of_annotation
from cassia_dagster.cli import app
from cassia_dagster.errors import CassiaError
from cassia_dagster.knowledge.lab import read_lab_markers
from cassia_dagster.outputs.h5ad import REFINED
from cassia_dagster.records import AnnotatedCluster, ScoredCluster
from resources.catalog import Catalog
from resources.home import Home
from resources.record_tables import to_arrow
from resources.storage import stored_table


@pytest.fixture(scope="module")
def analysed(demo, tmp_path_factory) -> Home:
    """The demo in a home and an output folder of its own."""
    folder = tmp_path_factory.mktemp("analysed")
    home = Home(folder / "home")
    shutil.copytree(demo.home.root, home.root)
    entry = Catalog.read(home.catalog).entry("demo")
    Catalog(datasets=(entry.model_copy(update={"output": folder / "output"}),)).write(home.catalog)
    return home


@pytest.fixture
def run(analysed, monkeypatch):
    """Type a command; gives what it printed."""
    for variable in ("CASSIA_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(variable, str(analysed.root))
    monkeypatch.setenv("COLUMNS", "200")

    def typed(*words: str) -> str:
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return typed


def folder_of(home: Home) -> Path:
    return Catalog.read(home.catalog).entry("demo").folder / "leiden_res_0.4"


def test_uncertainty_shows_every_cluster_and_says_that_rules_measure_none(run, analysed):
    said = run("uncertainty", "demo")
    assert "nothing is sent and nothing is paid" in said
    assert said.count("deterministic") == 12
    assert "no measure of uncertainty" in said
    rows = json.loads((folder_of(analysed) / "demo_uncertainty.json").read_text())
    assert {row["consensus"]["modal_share"] for row in rows} == {1.0}


def test_symphony_decides_between_candidates(run, analysed):
    said = run("symphony", "demo", "--cluster", "2", "--candidate", "alpha cell", "--candidate", "beta cell")
    assert "cluster 2: alpha cell, by marker knowledge alone" in said
    assert "GCG (up)" in said
    (row,) = json.loads((folder_of(analysed) / "demo_symphony.json").read_text())
    assert row["verdict"] == "alpha cell"


def test_hypotheses_are_shown_with_the_genes_that_would_tell(run, analysed):
    said = run("hypotheses", "demo", "--cluster", "1")
    assert "pancreatic A cell" in said
    assert "GCG↓" in said
    (row,) = json.loads((folder_of(analysed) / "demo_hypotheses.json").read_text())
    assert (row["label"], row["status"]) == ("type B pancreatic cell", "ok")


@pytest.mark.long
def test_a_second_look_shows_the_label_that_a_person_gave_for_that_is_what_stands(run):
    said = ("--label", "mast cell", "--who", "Ada", "--why", "TPSAB1 in every cell")
    run("review", "set", "demo", "5", *said)
    shown = run("boost", "demo", "--cluster", "5", "--rounds", "1")
    (row,) = [line for line in shown.splitlines() if line.strip().startswith("5 ")]
    assert re.split(r"\s{2,}", row.strip())[2] == "mast cell", "the label now"
    assert "Cluster 5 has the label that Ada gave it: TPSAB1 in every cell" in shown
    drifted = run("drift", "demo", "--max-changed", "1")
    assert "labels of persons: clusters 5" in drifted
    run("review", "remove", "demo", "5")


def test_boost_answers_and_its_result_is_in_the_tables(run, analysed):
    said = run("boost", "demo", "--cluster", "3", "--question", "Is this malignant?", "--rounds", "1")
    assert "endothelial cell" in said
    assert "ask a language model" in said
    table = pd.read_csv(folder_of(analysed) / "demo_full.csv", dtype=str)
    (row,) = table[table["additional_task"].notna()].to_dict("records")
    assert (row["cluster"], row["additional_task"], row["boost_outcome"]) == ("3", "Is this malignant?", "confirmed")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("uncertainty", "demo", "--resolution", "3"), "demo has no resolution 3.0; it has 0.4, 0.8"),
        (("hypotheses", "demo", "--cluster", "99"), "no cluster '99'; the clusters are 0, 1, 2"),
        (("boost", "demo", "--cluster", "99"), "no cluster '99'"),
        (("symphony", "demo", "--cluster", "2", "--candidate", "T cell"), "needs 2 to 4 candidates"),
        (("boost", "demo", "--cluster", "2", "--question", "x" * 1001), "additional_task: .* at most 1000"),
        (("uncertainty", "demo", "--model", "gpt-5"), "gpt-5"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_run(run, words, why):
    with pytest.raises(CassiaError, match=why):
        run(*words)


def test_a_dataset_that_is_not_annotated_yet_is_named(run, analysed):
    made = analysed.artifacts / "annotations" / "demo" / "0.8.parquet"
    away = made.rename(made.with_suffix(".away"))
    with pytest.raises(CassiaError, match=r"demo is not annotated at resolution 0\.8 yet: run it first"):
        run("hypotheses", "demo", "--resolution", "0.8")
    away.rename(made)


def test_a_second_look_without_scores_says_what_to_make_first(run, analysed):
    made = analysed.artifacts / "scores" / "demo" / "0.8.parquet"
    away = made.rename(made.with_suffix(".away"))
    with pytest.raises(CassiaError, match=r"There are no scores yet\. Materialize scores"):
        run("boost", "demo", "--resolution", "0.8", "--cluster", "1")
    away.rename(made)


def test_an_estimate_sends_nothing_and_makes_nothing(run, analysed, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = sorted(analysed.artifacts.rglob("*.parquet"))
    a_or_b = ("--candidate", "T cell", "--candidate", "B cell")
    for words in (
        ("uncertainty", "demo", "--runs", "3", "--model", "openai/gpt-4.1"),
        ("hypotheses", "demo", "--model", "openai/gpt-4.1"),
        ("boost", "demo", "--cluster", "3", "--model", "openai/gpt-4.1"),
        ("symphony", "demo", "--cluster", "2", *a_or_b, "--model", "openai/o3"),
    ):
        assert "calls and" in run(*words, "--estimate")
    assert "calls and" in run("model-comparison", "demo", "--model", "openai/gpt-4.1", "--estimate")
    assert "nothing is sent" in run("model-comparison", "demo", "--model", "embedded", "--estimate")
    monkeypatch.setenv("CASSIA_MODEL", "openai/gpt-4.1")
    assert "calls and" in run("subclusters", "demo", "--cluster", "0", "--estimate")
    assert sorted(analysed.artifacts.rglob("*.parquet")) == made


@pytest.mark.long
def test_parts_of_a_cluster_are_shown_with_what_they_are_of(run, analysed):
    said = run("subclusters", "demo", "--cluster", "0", "--cluster", "2", "--together")
    assert "0+2.0" in said
    table = pd.read_csv(folder_of(analysed) / "demo_subclusters.csv", dtype=str, keep_default_na=False)
    obs = anndata.read_h5ad(folder_of(analysed).parent / "demo_annotated.h5ad", backed="r").obs.astype(str)
    assert obs.index.tolist() == table["cell_id"].tolist()
    for column, ours in REFINED.items():
        assert obs[column].tolist() == table[ours].tolist()
        assert obs[f"{column}_res_0.4"].tolist() == table[ours].tolist()
        assert f"{column}_res_0.8" not in obs
    inside = obs["CASSIA_refined_source"] == "subclusters"
    assert set(obs.loc[inside, "leiden_res_0.4"]) == {"0", "2"}
    assert (obs.loc[~inside, "CASSIA_refined_annotation"] == obs.loc[~inside, "CASSIA_annotation"]).all()


def test_models_are_compared_at_once_on_the_published_labels_of_the_demo(run, analysed):
    said = run("model-comparison", "demo", "--model", "embedded")
    assert "nothing is sent and nothing is paid" in said
    board = pd.read_csv(folder_of(analysed) / "demo_model_comparison.csv")
    assert board[["rank", "model", "usd"]].to_numpy().tolist() == [[1, "embedded", 0]]
    assert board["mean_hf1"][0] > 0.7
    assert f"{board['mean_hf1'][0]:.2f}" in said
    page = (folder_of(analysed) / "demo_report.html").read_text()
    assert f"embedded comes to a mean hierarchical F1 of {board['mean_hf1'][0]:.2f}" in page


def test_the_versions_that_drift_can_be_told_from_are_listed(run):
    said = run("drift", "demo", "--list")
    assert "data version" in said
    assert "UTC" in said


def test_what_drift_cannot_compare_with_starts_no_run_that_fails(run, analysed):
    with pytest.raises(CassiaError, match=r"no earlier version|begin with 'zzz'"):
        run("drift", "demo", "--against", "zzz")
    with dg.DagsterInstance.from_config(str(analysed.dagster)) as instance:
        assert not instance.get_runs(dg.RunsFilter(job_name="analyse_drift", statuses=[dg.DagsterRunStatus.FAILURE]))


def test_an_estimate_of_a_second_look_knows_the_table_of_the_lab(run, analysed, monkeypatch, tmp_path):
    table, catalog = tmp_path / "lab.csv", Catalog.read(analysed.catalog)
    table.write_text("cell type,gene\ntype B pancreatic cell,IAPP\nB cell,VPREB3\n")
    version = read_lab_markers(table, "human").version  # as evidence has it that another process gathered
    made, scores = (stored_table(analysed.artifacts, asset, "demo", "0.4") for asset in ("annotations", "scores"))
    before = {one.path: one.path.read_bytes() for one in (made, scores)}
    rows = [
        row.model_copy(update={"evidence": row.evidence.model_copy(update={"lab_markers": version})})
        for row in made.records(AnnotatedCluster)
    ]
    scored = [
        score.model_copy(update={"about": digest_of_annotation(row)})
        for row, score in zip(rows, scores.records(ScoredCluster), strict=True)
    ]
    pq.write_table(to_arrow(rows), made.path)
    pq.write_table(to_arrow(scored), scores.path)
    catalog.model_copy(update={"datasets": (catalog.entry("demo").model_copy(update={"markers": table}),)}).write(
        analysed.catalog
    )
    try:
        words = ("boost", "demo", "--cluster", "3", "--model", "openai/gpt-4.1", "--estimate")
        assert "calls and" in run(*words)
    finally:
        for path, content in before.items():
            path.write_bytes(content)
        catalog.write(analysed.catalog)
