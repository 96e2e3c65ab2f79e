"""The second look as an asset: what the launchpad can say of it, and what it reads to answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest

from assets.boosted import BoostConfig, looked_at
from assets.model_calls import settings_of
from assets.second_look import data_of, expected_look
from cassia_dagster.agents.boost import BoostPlan, BoostStep, Conclusion
from cassia_dagster.agents.embedded import NO_OPINION
from cassia_dagster.agents.score import ScoreReply
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.store import Store
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    Expression,
    Hypothesis,
    Rubric,
    ScoredCluster,
)
from resources.catalog import DatasetEntry
from resources.llm import ModelResource
from resources.record_tables import read_records, to_arrow
from resources.settings import AnnotationSettings
from resources.storage import stored_cells, stored_table
from tests.servers.aimock import AIMock


@pytest.fixture
def boost(materialize: Callable[..., list[BoostedCluster]]) -> Callable[..., list[BoostedCluster]]:
    """Materialize the asset with a configuration; gives its rows."""
    return partial(materialize, "boosted", BoostedCluster)


def test_a_cluster_is_looked_at_again_on_demand_whatever_its_score(boost: Any) -> None:
    asked, *others = boost(clusters=["0"], score_threshold=0, additional_task="Is this malignant?")
    assert asked.cluster == "0"
    assert asked.score >= 75
    assert asked.outcome is BoostOutcome.CONFIRMED
    assert asked.additional_answer == NO_OPINION
    (tested,) = asked.rounds
    first, rival, *_ = tested.hypotheses
    assert first.celltype == asked.annotation.label
    found = {one.gene: one.expression for one in tested.lookups}
    assert [found[gene] for gene in first.genes if gene in found].count(Expression.UP) > 1
    assert Expression.UP not in {found[gene] for gene in rival.genes[:1] if gene in found}
    assert {row.outcome for row in others} == {BoostOutcome.NOT_NEEDED}


def test_depth_and_the_number_of_rounds_can_be_chosen(boost: Any) -> None:
    asked, *_ = boost(clusters=["0"], strategy="depth", max_rounds=1)
    assert [len(tested.hypotheses) for tested in asked.rounds] == [1]


def test_a_cluster_that_is_none_is_named_with_those_that_are(boost: Any) -> None:
    with pytest.raises(RuntimeError, match=r"no cluster '99'.*the clusters are 0, 1, 2"):
        boost(clusters=["99"])


def test_labels_of_another_clustering_are_not_looked_at_again(boost: Any, artifacts: Path) -> None:
    path = artifacts / "leiden_clusters" / "islets" / "0.4.parquet"
    before = path.read_bytes()
    clusters = pd.read_parquet(path)
    clusters.assign(cluster=clusters["cluster"].replace({"0": "1", "1": "0"})).to_parquet(path)
    try:
        with pytest.raises(RuntimeError, match="about other cells"):
            boost(clusters=["0"])
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("config", [{"strategy": "width"}, {"max_rounds": 5}, {"score_threshold": 101}])
def test_a_choice_that_does_not_exist_is_refused(boost: Any, config: dict[str, Any]) -> None:
    with pytest.raises((dg.DagsterInvalidConfigError, RuntimeError), match=r"enum type|less than or equal"):
        boost(**config)


def test_what_was_asked_about_one_cluster_stays_while_others_are_asked_about(boost: Any) -> None:
    first = boost(clusters=["0"], score_threshold=0, additional_task="Is this malignant?")[0]
    rows = boost(clusters=["1"], score_threshold=0, strategy="depth")
    assert rows[0] == first
    assert [row.cluster for row in rows if row.on_demand] == ["0", "1"]
    assert (rows[1].additional_task, rows[1].outcome) == ("", BoostOutcome.CONFIRMED)
    later = boost(score_threshold=0)
    assert [row.cluster for row in later if row.on_demand] == ["0", "1"], "a run of its own accord keeps them too"
    forgotten = boost(score_threshold=0, keep_asked=False)
    assert {row.outcome for row in forgotten} == {BoostOutcome.NOT_NEEDED}


def test_what_was_asked_is_looked_at_anew_when_its_annotation_changes(boost: Any, artifacts: Path) -> None:
    boost(clusters=["0"], score_threshold=0)
    path = artifacts / "scores" / "islets" / "0.4.parquet"
    before = path.read_bytes()
    rows = read_records(path, ScoredCluster)
    pq.write_table(to_arrow([row.model_copy(update={"score": 80.0}) for row in rows]), path)
    try:
        assert not any(row.on_demand for row in boost(score_threshold=0))
    finally:
        path.write_bytes(before)


def test_scores_of_earlier_annotations_are_not_looked_at(boost: Any, materialize: Any, artifacts: Path) -> None:
    materialize("scores", ScoredCluster)
    path = artifacts / "annotations" / "islets" / "0.4.parquet"
    before = path.read_bytes()
    other = Annotation(general_celltype="T cell")
    rows = read_records(path, AnnotatedCluster)
    pq.write_table(to_arrow([row.model_copy(update={"annotation": other}) for row in rows]), path)
    try:
        with pytest.raises(RuntimeError, match=r"score of cluster 0 is of an earlier annotation.*Materialize scores"):
            boost()
    finally:
        path.write_bytes(before)
    assert boost()


@pytest.mark.parametrize("asset", ["reviewed", "merged"])
def test_labels_of_clusters_that_are_gone_are_neither_reviewed_nor_grouped(
    execute: Any,
    materialize: Any,
    artifacts: Path,
    final_labels: None,
    asset: str,
) -> None:
    materialize("boosted", BoostedCluster)
    path = artifacts / "annotations" / "islets" / "0.4.parquet"
    before = path.read_bytes()
    pq.write_table(to_arrow(read_records(path, AnnotatedCluster)[:-1]), path)
    try:
        with pytest.raises(RuntimeError, match=r"has a row for cluster 11: it was made of other annotations"):
            execute(asset)
    finally:
        path.write_bytes(before)


@pytest.fixture
def over_the_wire(
    execute: Callable[..., dg.ExecuteInProcessResult],
    artifacts: Path,
    aimock: AIMock,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[BoostedCluster, dict[str, Any]]]:
    """Let a model of a server look at cluster 0 again; gives what came of it, and what Dagster says of it."""
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    model = {"model": "openai/gpt-4o-mini", "api_base": f"{aimock.url}/v1", "api_key_env": "TEST_API_KEY"}

    def look(**config: Any) -> tuple[BoostedCluster, dict[str, Any]]:
        asked = {"clusters": ["0"], "score_threshold": 0, "boost_llm": model, "score_llm": model}
        done = execute("boosted", **asked | config)
        said = done.asset_materializations_for_node("boosted")[0].metadata
        row = stored_table(artifacts, "boosted", "islets", "0.4").records(BoostedCluster)[0]
        return row, {name: entry.value for name, entry in said.items()}

    return look


def says(aimock: AIMock, asked: str, reply: Any) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    aimock.play({"match": {"userMessage": asked}, "response": {"content": reply.model_dump_json(), "usage": usage}})


def concluding(label: str, answer: str = "") -> Conclusion:
    annotation = Annotation(general_celltype=label, subtypes=(label,), supporting_genes=("SST",))
    return Conclusion(annotation=annotation, explanation="GCG is down.", additional_answer=answer)


RIVAL = Hypothesis(celltype="pancreatic A cell", genes=("GCG", "TTR"))


def test_over_the_wire_a_model_is_told_what_the_data_says_and_answers_the_extra_question(
    over_the_wire: Any, artifacts: Path, aimock: AIMock
) -> None:
    label = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)[0].annotation.label
    own = Hypothesis(celltype=label, genes=("SST", "NOSUCHGENE"))
    says(aimock, "Rounds left for hypotheses: 2.", BoostStep(hypotheses=(own, RIVAL)))
    says(aimock, "Rounds left for hypotheses: 1.", BoostStep(conclusion=concluding(label, "Nothing speaks for it.")))

    row, told = over_the_wire(additional_task="Is this malignant?", max_rounds=2)
    assert (row.outcome, row.annotation.label, row.on_demand) == (BoostOutcome.CONFIRMED, label, True)
    assert (row.additional_task, row.additional_answer) == ("Is this malignant?", "Nothing speaks for it.")
    found = {one.gene: one.expression for one in row.rounds[0].lookups}
    assert set(found) == {"SST", "NOSUCHGENE", "GCG", "TTR"}
    assert (found["SST"], found["NOSUCHGENE"]) == (Expression.UP, Expression.NOT_MEASURED)
    first, second = (request["body"]["messages"][-1]["content"] for request in aimock.requests())
    assert "Is this malignant?" in first
    assert "findings of round 1" in second
    assert "NOSUCHGENE" in second
    assert (told["calls"], told["cached_calls"]) == (2, 0)
    assert told["usd"] > 0
    assert told["expected_calls"] > 0

    again, told = over_the_wire(additional_task="Is this malignant?", max_rounds=2)
    assert (told["calls"], told["cached_calls"], told["usd"]) == (0, 2, 0)
    assert again.annotation == row.annotation


def test_over_the_wire_a_change_that_the_evidence_speaks_against_is_not_accepted(
    over_the_wire: Any, artifacts: Path, aimock: AIMock
) -> None:
    label = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)[0].annotation.label
    says(aimock, "Rounds left for hypotheses: 1.", BoostStep(hypotheses=(RIVAL,)))
    says(aimock, "Rounds left for hypotheses: 0.", concluding("T cell"))
    sure = ScoreReply(rubric=Rubric(identity=10, specificity=10, balance=10, alternatives=10), reasoning="clear")
    says(aimock, "Rate this label.", sure)
    row, told = over_the_wire(max_rounds=1, strategy="depth")
    assert (row.outcome, row.annotation.label) == (BoostOutcome.CONFIRMED, label)
    assert row.explanation.startswith("A change to T cell was considered and not accepted")
    assert told["calls"] == 3


def test_over_the_wire_a_refused_question_leaves_the_label_and_says_why(
    over_the_wire: Any, artifacts: Path, aimock: AIMock
) -> None:
    before = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)[0]
    too_long = {"error": {"message": "Too long for <me>", "type": "invalid_request_error"}, "status": 400}
    aimock.play({"match": {"userMessage": "What is this cluster, on second thoughts?"}, "response": too_long})
    row, told = over_the_wire()
    assert (row.outcome, row.annotation, row.status) == (BoostOutcome.FAILED, before.annotation, before.status)
    assert "Too long for <me>" in row.explanation
    assert told["failed_calls"] == 1


def test_the_estimate_counts_what_the_booster_is_shown_beside_the_markers(artifacts: Path, tmp_path: Path) -> None:
    tables = {name: stored_table(artifacts, name, "islets", "0.4") for name in ("annotations", "scores")}
    rows = tables["annotations"].records(AnnotatedCluster)[:1]
    pairs = list(zip(rows, tables["scores"].records(ScoredCluster), strict=False))
    clusters = stored_table(artifacts, "leiden_clusters", "islets", "0.4")
    data = data_of(rows, stored_cells(artifacts, "islets"), clusters)
    assert data["0"].contrast, "genes that are up against the most similar cluster"
    model = ModelResource(provider="openai", model="gpt-4o-mini")
    with Store.open(tmp_path / "models.sqlite") as store:
        whole = expected_look(pairs, (model, model), store, BoostPlan(), data)
        without = expected_look(pairs, (model, model), store, BoostPlan())
    assert [row.calls for row in whole] == [row.calls for row in without]
    assert whole[0].input_tokens > without[0].input_tokens


def test_clusters_that_share_a_name_with_kinds_are_looked_at_unless_the_launchpad_says_no(artifacts: Path) -> None:
    path = artifacts / "annotations" / "islets" / "0.4.parquet"
    scored = {row.cluster: row for row in read_records(artifacts / "scores" / "islets" / "0.4.parquet", ScoredCluster)}
    first, second, *_ = read_records(path, AnnotatedCluster)
    annotation = Annotation(general_celltype="B cell", supporting_genes=("CD79A",))
    check = check_annotation(annotation, first.evidence)
    both = [row.model_copy(update={"annotation": annotation, "check": check}) for row in (first, second)]
    sound = [(row, scored[row.cluster].model_copy(update={"score": 90.0})) for row in both]
    sound = [
        (row.model_copy(update={"check": check.model_copy(update={"findings": ()})}), score) for row, score in sound
    ]
    look = looked_at(sound, None, BoostConfig(), AnnotationSettings())
    assert [row.cluster for row in look.doubtful] == [first.cluster, second.cluster]
    assert look.namesakes == {first.cluster: (second.cluster,), second.cluster: (first.cluster,)}
    assert looked_at(sound, None, BoostConfig(), AnnotationSettings(namesakes=False)).doubtful == []


def test_what_the_launchpad_says_of_namesakes_goes_before_the_catalog() -> None:
    for listed in (True, False):
        entry = DatasetEntry(name="islets", path=Path("islets.h5ad"), tissue="pancreas", namesakes=listed)
        for said, holds in ((None, listed), (True, True), (False, False)):
            assert settings_of(AnnotationSettings(), entry, BoostConfig(namesakes=said)).namesakes is holds
