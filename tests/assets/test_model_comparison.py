"""Models compared on clusters whose labels are known: with the rules, and over the wire with one that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assets.model_comparison import casts_of
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.score import SCORER, ScoreReply
from cassia_dagster.evaluation.leaderboard import Place, digest_of
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, Annotation, Rubric, Verdict
from resources.catalog import Catalog
from resources.llm import ModelOverride, ModelResource
from resources.storage import stored_table
from tests.servers.aimock import AIMock


@pytest.fixture
def compare(
    materialize: Callable[..., list[Place]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Place]]:
    """Materialize the asset with a configuration; gives the board."""
    monkeypatch.chdir(tmp_path)
    return partial(materialize, "model_comparison", Place)


def written(artifacts: Path, ending: str) -> Path:
    entry = Catalog.read(artifacts / "datasets.yaml").entry("islets")
    return entry.folder / "leiden_res_0.4" / f"islets_model_comparison{ending}"


def test_the_rules_are_measured_on_the_known_labels_of_the_clusters(compare: Any, artifacts: Path) -> None:
    (place,) = compare(labels="cell_type")
    assert (place.model, place.rank, place.usd) == ("embedded", 1, 0)
    assert place.summary.mean_hf1 > 0.7
    assert place.summary.n >= 8
    assert {one.case for one in place.answers} <= {str(number) for number in range(12)}
    rows = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)
    cells = {row.cluster: row.cells for row in rows}
    assert (place.cases_from, place.clusters) == ("", digest_of(cells)), "the report shows it while clusters are these"
    board = pd.read_csv(written(artifacts, ".csv"))
    assert board["mean_hf1"].tolist() == [pytest.approx(place.summary.mean_hf1)]
    assert written(artifacts, ".png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(written(artifacts, ".json").read_text())[0]["model"] == "embedded"
    assert pd.read_csv(written(artifacts, "_answers.csv"))["gold_label"].str.len().min() > 0


def test_the_cases_that_come_with_the_package_need_no_known_labels_and_are_no_clusters_of_the_ledger(
    compare: Any, tmp_path: Path
) -> None:
    (place,) = compare(cases="shipped")
    assert len(place.answers) == 13
    assert (place.cases_from, place.clusters) == ("shipped", "")
    with Store.open(tmp_path / "models.sqlite") as store:
        subjects = ("islets", "islets/0.4", "islets/0.4 model_comparison")
        asked = {subject: store.totals(subject=subject) for subject in subjects}
    calls = {subject: totals.calls + totals.cached for subject, totals in asked.items()}
    assert calls == {"islets": place.calls, "islets/0.4": 0, "islets/0.4 model_comparison": place.calls}


def test_of_a_file_of_cases_its_name_is_kept_and_not_where_it_lies(compare: Any, tmp_path: Path) -> None:
    path = tmp_path / "our_gold.csv"
    path.write_text('species,tissue,gold_label,markers\nhuman,pancreas,beta cell,"INS,IAPP,PDX1"\n')
    (place,) = compare(cases=str(path))
    assert (place.cases_from, len(place.answers)) == ("our_gold.csv", 1)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "no known labels to compare models with. Name a column"),
        ({"labels": "colour"}, "no column 'colour' in obs; it has"),
        ({"cases": "nowhere.csv"}, "no file nowhere.csv"),
    ],
)
def test_without_known_labels_nobody_is_asked(compare: Any, config: dict[str, Any], why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        compare(**config)


def test_models_of_one_name_are_told_apart() -> None:
    usual = {ANNOTATOR: ModelResource(), SCORER: ModelResource(provider="openai", model="o3")}
    assert list(casts_of(usual, [])) == ["embedded + openai/o3"]
    warm = [ModelOverride(model="openai/o3", temperature=warmth) for warmth in (0.0, 1.0)]
    named = casts_of(usual, warm)
    assert list(named) == ["openai/o3", "openai/o3 (2)"]
    assert {model.temperature for model in named["openai/o3 (2)"].values()} == {1.0}


def test_three_models_over_the_wire_are_ranked_though_one_fails_and_a_second_run_is_free(
    compare: Any, aimock: AIMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(asked: str, model: str, reply: Any) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        content = {"content": reply.model_dump_json(), "usage": usage}
        aimock.play({"match": {"userMessage": asked, "model": model}, "response": content})

    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    sure = ScoreReply(rubric=Rubric(identity=10, specificity=10, balance=10, alternatives=10), reasoning="clear")
    for model, label in {"gpt-4o": "type B pancreatic cell", "gpt-4o-mini": "T cell"}.items():
        says("Which cell type is this cluster?", model, Annotation(general_celltype=label, subtypes=(label,)))
        says("Does the annotation hold?", model, Verdict(accepted=True, reasons="it does"))
        says("Rate this label.", model, sure)
        aimock.play(
            {
                "match": {"userMessage": "What is this cluster, on second thoughts?", "model": model},
                "response": {"error": {"message": "Too long", "type": "invalid_request_error"}, "status": 400},
            }
        )
    no_such = {"error": {"message": "No such <model>", "type": "invalid_request_error", "code": "model_not_found"}}
    aimock.play({"match": {"model": "gpt-4.1"}, "response": {**no_such, "status": 404}})
    models = [
        {"model": f"openai/{name}", "api_base": f"{aimock.url}/v1", "api_key_env": "TEST_API_KEY"}
        for name in ("gpt-4o-mini", "gpt-4.1", "gpt-4o")
    ]
    board = compare(labels="cell_type", models=models)
    assert [(one.model, one.rank) for one in board] == [
        ("openai/gpt-4o", 1),
        ("openai/gpt-4o-mini", 2),
        ("openai/gpt-4.1", None),
    ]
    first, second, failed = board
    assert "No such <model>" in failed.reason
    assert (failed.summary, failed.answers) == (None, ())
    assert first.summary.mean_hf1 > second.summary.mean_hf1
    assert second.summary.contradiction == 1.0
    assert first.usd > second.usd > 0
    assert first.agreement == second.agreement < 0.5
    assert {one.label for one in first.answers} == {"type B pancreatic cell"}

    again = compare(labels="cell_type", models=models)
    assert [one.answers for one in again[:2]] == [first.answers, second.answers]
    assert [one.usd_when_bought for one in again[:2]] == pytest.approx([first.usd, second.usd])
