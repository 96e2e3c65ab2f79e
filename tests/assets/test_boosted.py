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

from cassia_dagster.agents.embedded import NO_OPINION
from cassia_dagster.records import BoostedCluster, BoostOutcome, Expression, ScoredCluster
from resources.record_tables import read_records, to_arrow


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
