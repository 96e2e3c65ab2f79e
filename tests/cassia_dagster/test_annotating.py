"""The method from a marker table alone: as a function, and as a command."""

import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

import cassia_dagster
from cassia_dagster import annotate_markers, scored_table
from cassia_dagster.cli import app
from cassia_dagster.errors import ConfigurationError, InputError, ModelError
from cassia_dagster.llm.store import Store
from cassia_dagster.outputs.result import final_label

MARKERS = pd.DataFrame(
    {
        "cluster": ["T", "10", "2", "nothing"],
        "markers": [
            "CD3D, CD3E, IL7R, TRAC, CD2, LTB, CD27",
            "MS4A1, CD79A, CD79B, CD19, BANK1, TCL1A, FCER2",
            "GCG, TTR, CHGB, PCSK2, GC, IRX2, TM4SF4",
            "NOSUCHGENE1, NOSUCHGENE2",
        ],
    }
)


@pytest.fixture
def lists(tmp_path):
    path = tmp_path / "my lists.csv"
    MARKERS.to_csv(path, index=False)
    return path


def annotated(markers, home, **options):
    return annotate_markers(markers, **({"tissue": "blood", "species": "human", "home": home} | options))


def test_every_cluster_of_a_data_frame_has_a_row(tmp_path):
    result = annotated(MARKERS, tmp_path)
    table = scored_table(result)
    assert table["cluster"].tolist() == ["2", "10", "T", "nothing"]
    assert table["celltype_1"].tolist()[:2] == ["pancreatic A cell", "B cell"]
    assert table["status"].tolist() == ["ok", "ok", "ok", "unresolved"]
    assert result.resolution == "given"
    assert {row.evidence.n_cells for row in result.clusters} == {None}


def test_the_same_table_is_asked_once(tmp_path):
    first, second = annotated(MARKERS, tmp_path), annotated(MARKERS, tmp_path)
    assert first.clusters == second.clusters
    assert first.cached_calls == 0
    assert second.cached_calls == second.calls == first.calls


def test_calls_are_in_the_ledger_under_the_name_of_the_table(tmp_path):
    result = annotated(MARKERS, tmp_path, name="lists")
    with Store.open(tmp_path / "models.sqlite") as store:
        assert store.totals(subject="lists/given").calls == result.calls
        assert {call.role for call in store.calls(subject="lists/given/T")} >= {"annotate", "validate", "score"}


def test_without_cells_the_second_look_has_nothing_to_compare_with(tmp_path):
    result = annotated(pd.DataFrame({"cluster": ["0"], "markers": ["CD3D, LYZ, INS, ALB, EPCAM"]}), tmp_path)
    (row,) = result.clusters
    assert "boost" in {exchange.role for exchange in row.boosted.history}
    assert "up against the most similar" not in row.boosted.explanation


def test_groupings_that_the_merger_did_not_give_are_warned_of(tmp_path, monkeypatch):
    """The embedded model breaks one of its own rules here, as a language model may."""
    from cassia_dagster.agents import embedded
    from cassia_dagster.agents.merge import MergeReply, MergeRequest

    monkeypatch.setitem(embedded.RULES, MergeRequest, lambda _: MergeReply(groupings=()))
    with pytest.warns(UserWarning, match="The merger was given the clusters"):
        result = annotated(MARKERS, tmp_path)
    assert [row.grouping.detailed for row in result.clusters[:2]] == ["pancreatic A cell", "B cell"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"species": "rat"}, "species 'rat' is not known; it must be human or mouse"),
        ({"tissue": " "}, "tissue ' ' says nothing"),
        ({"species": "mouse"}, "Are the cells of human"),
    ],
)
def test_what_is_said_of_the_sample_is_checked(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        annotated(MARKERS, tmp_path, **options)


@pytest.mark.parametrize(
    ("genes", "message"),
    [("ENSG00999999997, ENSG00999999998", "Ensembl ids"), ("foo, bar", "none of its 2 genes is a known symbol")],
)
def test_genes_that_are_no_symbols_are_refused(tmp_path, genes, message):
    with pytest.raises(InputError, match=message):
        annotated(pd.DataFrame({"cluster": ["0"], "markers": [genes]}), tmp_path)


def test_a_model_without_a_provider_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="'gpt-5' has no provider"):
        annotated(MARKERS, tmp_path, model="gpt-5")


def test_the_command_writes_tables_and_a_report_that_say_what_is_missing(lists, tmp_path):
    options = ["--tissue", "blood", "--species", "human", "--home", str(tmp_path / "home"), "--output", str(tmp_path)]
    done = CliRunner().invoke(app, ["annotate", str(lists), *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert "B cell" in done.output
    assert "no cell" in done.output
    folder = tmp_path / "my_lists" / "given"
    assert {path.name for path in folder.iterdir()} == {
        "transcripts",
        *(f"my_lists_{kind}" for kind in ("report.html", "summary.csv", "full.csv", "scored.csv")),
    }
    table = pd.read_csv(folder / "my_lists_scored.csv", dtype={"cluster": str}, keep_default_na=False)
    assert table["cluster"].tolist() == ["2", "10", "T", "nothing"]
    page = (folder / "my_lists_report.html").read_text("utf-8")
    assert "Only a marker table is known" in page
    assert "Wilcoxon" not in page


def test_a_name_that_could_be_no_folder_is_refused(lists, tmp_path):
    options = ["--tissue", "blood", "--species", "human", "--home", str(tmp_path), "--name", "../up"]
    done = CliRunner().invoke(app, ["annotate", str(lists), *options])
    assert isinstance(done.exception, InputError)


def test_the_package_itself_stays_light():
    code = "import sys, cassia_dagster; print(sorted({'pandas', 'dagster', 'jinja2', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cassia_dagster.nothing  # noqa: B018


def test_one_gene_names_nothing_however_specific(tmp_path):
    table = pd.DataFrame({"cluster": ["a", "b"], "genes": ["CD8A", "MS4A1,CD79A,CD79B,CD19,BANK1,PAX5"]})
    result = annotate_markers(table, tissue="blood", species="human", home=tmp_path)
    assert [final_label(row) for row in result.clusters] == ["unresolved", "B cell"]
    assert scored_table(result)["status_reason"].tolist() == ["its markers support no cell type well enough", ""]


def test_the_environment_chooses_models_and_budget_here_too(tmp_path, monkeypatch):
    monkeypatch.setenv("CASSIA_MODEL", "openai/no-such-model")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    table = pd.DataFrame({"cluster": ["a"], "genes": ["MS4A1,CD79A,CD79B,CD19"]})
    with pytest.raises(ModelError, match="price of openai/no-such-model is not known"):
        annotate_markers(table, tissue="blood", species="human", home=tmp_path, max_usd=1.0)
