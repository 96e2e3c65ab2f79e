"""CASSIA's pipeline by its own name: its parameters, its files, and what it does not do."""

import pandas as pd
import pytest

import cassia_dagster.compat as CASSIA  # noqa: N812 - as a notebook writes it
from cassia_dagster.errors import ConfigurationError, InputError
from cassia_dagster.llm.store import Store

RUBRIC = '{"rubric": {"identity": 9, "specificity": 9, "balance": 9, "alternatives": 9}, "reasoning": "fits"}'


def test_it_writes_four_files_and_returns_a_row_for_every_cluster(here, markers):
    table = CASSIA.runCASSIA_pipeline("blood", "Blood", "Human", markers)
    assert {path.name for path in here.iterdir()} == {
        "home",
        *(f"blood_{kind}" for kind in ("summary.csv", "full.csv", "scored.csv", "report.html")),
    }
    assert table["cluster"].tolist() == ["0", "10", "mystery"]
    assert table["celltype_1"].tolist() == ["B cell", "T cell", "unresolved"]
    read = pd.read_csv("blood_scored.csv", dtype={"cluster": str})
    assert read["celltype_1"].tolist() == table["celltype_1"].tolist()


def test_two_pipelines_in_one_folder_leave_each_other_alone(here, markers):
    CASSIA.runCASSIA_pipeline("first", "blood", "human", markers)
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()}
    CASSIA.runCASSIA_pipeline("results/second", "blood", "human", markers.head(1), output_dir=str(here))
    assert {name: (here / name).read_bytes() for name in before} == before
    assert len(list((here / "results").iterdir())) == 4


def test_the_threshold_decides_who_is_looked_at_again(here, markers):
    named = markers.iloc[[1]]
    CASSIA.runCASSIA_pipeline("all", "blood", "human", named, score_threshold=100)
    CASSIA.runCASSIA_pipeline("none", "blood", "human", named, score_threshold=0)
    looked = {name: pd.read_csv(f"{name}_full.csv")["boost_outcome"].tolist() for name in ("all", "none")}
    assert looked == {"all": ["confirmed"], "none": ["not_needed"]}


def test_only_so_many_genes_are_shown(here, markers):
    CASSIA.runCASSIA_pipeline("few", "blood", "human", markers, n_genes=3)
    assert pd.read_csv("few_full.csv")["n_markers"].tolist() == [3, 3, 2]


def test_each_role_is_asked_by_the_model_that_is_named_for_it(here, markers, aimock, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_BASE", f"{aimock.url}/v1")
    CASSIA.set_api_key("sk-or-none", provider="openrouter")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-none")  # taken back after the test
    aimock.play({"match": {"userMessage": "Rate this label."}, "response": {"content": RUBRIC}})
    table = CASSIA.runCASSIA_pipeline(
        "roles",
        "blood",
        "human",
        markers.head(1),
        annotation_provider="embedded",
        annotationboost_provider="embedded",
        merge_provider="embedded",
        score_model="openai/gpt-5.1",
        score_provider="openrouter",
    )
    assert table["score"].tolist() == [90.0]
    assert [request["body"]["model"] for request in aimock.requests()] == ["openai/gpt-5.1"]
    with Store.open(here / "home" / "models.sqlite") as store:
        asked = {call.role: f"{call.provider_name}/{call.request_model}" for call in store.calls()}
    assert asked["score"] == "openrouter/openai/gpt-5.1"
    assert {model.partition("/")[0] for role, model in asked.items() if role != "score"} == {"embedded"}


def test_a_server_of_ones_own_is_named_by_its_address(here, markers, aimock, monkeypatch):
    CASSIA.set_api_key("sk-own", provider=f"{aimock.url}/v1")
    monkeypatch.setenv("CUSTOMIZED_API_KEY", "sk-own")
    aimock.play({"match": {"userMessage": "Rate this label."}, "response": {"content": RUBRIC}})
    CASSIA.runCASSIA_pipeline(
        "own",
        "blood",
        "human",
        markers.head(1),
        overall_provider="embedded",
        score_model="local-model",
        score_provider=f"{aimock.url}/v1",
    )
    assert {request["body"]["model"] for request in aimock.requests()} == {"local-model"}


def test_a_batch_is_the_same_with_one_model(here, markers):
    table = CASSIA.runCASSIA_batch(markers, output_name="batch.csv", tissue="blood", provider="embedded")
    assert table["celltype_1"].tolist() == ["B cell", "T cell", "unresolved"]
    assert (here / "batch_summary.csv").exists()


@pytest.mark.parametrize("output", ["", "..", "a|b", "results/.."])
def test_a_name_that_no_file_can_have_is_refused(here, markers, output):
    with pytest.raises(ConfigurationError, match="output name"):
        CASSIA.runCASSIA_pipeline(output, "blood", "human", markers)
    assert list(here.iterdir()) == []


def test_a_parameter_without_effect_is_said_and_an_unknown_one_is_refused(here, markers):
    with pytest.warns(UserWarning, match="ranking_method has no effect here"):
        CASSIA.runCASSIA_pipeline("one", "blood", "human", markers, ranking_method="p_val_adj")
    with pytest.raises(TypeError, match="has no parameter 'tisue'"):
        CASSIA.runCASSIA_pipeline("one", "blood", "human", markers, tisue="blood")


def test_a_folder_that_cannot_be_written_is_named(here, markers):
    (here / "taken").write_text("a file")
    with pytest.raises(ConfigurationError, match="taken"):
        CASSIA.runCASSIA_pipeline("taken/blood", "blood", "human", markers)


def test_what_is_missing_says_what_serves_instead():
    with pytest.raises(AttributeError, match="runCASSIA_pipeline scores every cluster"):
        CASSIA.runCASSIA_score_batch  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        CASSIA.nothing  # noqa: B018


@pytest.mark.parametrize(("key", "provider"), [("", "openai"), ("sk", "no provider"), ("a\nb", "openai")])
def test_what_is_no_key_or_no_provider_is_refused(key, provider):
    with pytest.raises(ConfigurationError):
        CASSIA.set_api_key(key, provider)


def test_a_cluster_is_looked_at_again_by_name(here, markers):
    CASSIA.runCASSIA_pipeline("blood", "blood", "human", markers)
    table = CASSIA.runCASSIA_annotationboost(
        full_result_path="blood_full.csv",
        marker=markers,
        cluster_name="10",
        major_cluster_info="Human Peripheral Blood",
        output_name="ten",
        num_iterations=5,
        provider="embedded",
        additional_task="Are these helper cells?",
    )
    assert table["cluster"].tolist() == ["10"]
    assert table["boost_outcome"].tolist() == ["confirmed"]
    assert table["additional_task"].tolist() == ["Are these helper cells?"]
    assert (here / "ten_summary.html").exists()
    assert (here / "ten_full.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cluster_name": "1"}, "no cluster '1'; it has 0, 10, mystery"),
        ({"search_strategy": "random"}, "search_strategy 'random' is none of breadth, depth"),
        ({"num_iterations": 0}, "at least one round"),
        ({"output_name": "blood"}, r"would replace blood_full\.csv"),
        ({"full_result_path": "none.csv"}, r"none\.csv cannot be read"),
        ({"full_result_path": "blood_scored.csv"}, "no column rationale"),
    ],
)
def test_a_second_look_that_cannot_be_taken_says_why(here, markers, options, message):
    CASSIA.runCASSIA_pipeline("blood", "blood", "human", markers)
    usual = {
        "full_result_path": "blood_full.csv",
        "marker": markers,
        "cluster_name": "0",
        "major_cluster_info": "blood",
        "output_name": "again",
    }
    with pytest.raises((InputError, ConfigurationError), match=message):
        CASSIA.runCASSIA_annotationboost(**usual | options)
