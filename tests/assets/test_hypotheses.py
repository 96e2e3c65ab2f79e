"""Alternatives as an asset: what the matrix says of the genes that would tell, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cassia_dagster.agents.hypothesize import Alternative, Alternatives, ClusterHypotheses
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.records import AnnotatedCluster, Annotation, BoostedCluster, Expression, Status
from resources.record_tables import read_records, to_arrow
from resources.storage import stored_table
from tests.servers.aimock import AIMock


@pytest.fixture
def hypothesize(
    materialize: Callable[..., list[Any]], artifacts: Path
) -> Iterator[Callable[..., list[ClusterHypotheses]]]:
    """Materialize the asset with a configuration; gives its rows. The final words that it reads are there."""
    path = artifacts / "reviewed" / "islets" / "0.4.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(to_arrow(materialize("boosted", BoostedCluster)), path)
    yield partial(materialize, "hypotheses", ClusterHypotheses)
    path.unlink()


def test_every_cluster_has_its_alternatives_with_genes_of_its_own_data(hypothesize: Any) -> None:
    rows = hypothesize()
    assert [row.cluster for row in rows] == [str(number) for number in range(12)]
    assert {row.status for row in rows} == {Status.OK}
    alpha = next(one for one in rows[1].alternatives if one.celltype == "pancreatic A cell")
    assert {one.gene: one.expression for one in alpha.lookups}["GCG"] is Expression.DOWN
    assert alpha.leaning < 0
    assert any(one.not_measured for row in rows for one in row.alternatives)


def test_a_final_word_on_an_earlier_annotation_is_refused(hypothesize: Any, artifacts: Path) -> None:
    path = artifacts / "annotations" / "islets" / "0.4.parquet"
    before = path.read_bytes()
    rows = read_records(path, AnnotatedCluster)
    other = Annotation(general_celltype="T cell")
    pq.write_table(to_arrow([row.model_copy(update={"annotation": other}) for row in rows]), path)
    try:
        with pytest.raises(RuntimeError, match=r"final word on cluster 3 is about an earlier annotation.*again"):
            hypothesize(clusters=["3"])
    finally:
        path.write_bytes(before)
    assert [row.cluster for row in hypothesize(clusters=["3"])] == ["3"]


def test_clusters_that_are_not_asked_about_keep_what_they_had(hypothesize: Any) -> None:
    (first,) = hypothesize(clusters=["3"])
    rows = hypothesize(clusters=["10"])
    assert [row.cluster for row in rows] == ["3", "10"]
    assert rows[0] == first


def test_over_the_wire_a_model_names_alternatives_and_code_looks_their_genes_up(
    hypothesize: Any, execute: Callable[..., Any], artifacts: Path, aimock: AIMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypothesize(clusters=["3"])
    monkeypatch.setenv("TEST_API_KEY", "sk-not-a-real-key-0123456789")
    unlikely = Alternative(celltype="T cell", plausibility=5, genes=("CD3E", "NOSUCHGENE"), reason="It may be <i>.")
    likely = Alternative(celltype="pancreatic A cell", plausibility=60, genes=("GCG",), reason="It is near.")
    label = stored_table(artifacts, "reviewed", "islets", "0.4").records(BoostedCluster)[10].annotation.label
    itself = Alternative(celltype=label, plausibility=99, genes=("INS",), reason="It is what it is.")
    said = Alternatives(alternatives=(unlikely, itself, likely)).model_dump_json()
    asked = "What else could this cluster be?"
    too_long = {"error": {"message": "Too long for <me>", "type": "invalid_request_error"}, "status": 400}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    models = {
        "gpt-4o-mini": {"content": said, "usage": usage},
        "gpt-4o": too_long,
    }
    for model, response in models.items():
        aimock.play({"match": {"userMessage": asked, "model": model}, "response": response})

    def ask(model: str, cluster: str) -> dict[str, Any]:
        choice = {"model": f"openai/{model}", "api_base": f"{aimock.url}/v1", "api_key_env": "TEST_API_KEY"}
        done = execute("hypotheses", clusters=[cluster], annotation_llm=choice)
        made = done.asset_materializations_for_node("hypotheses")[0].metadata
        return {name: entry.value for name, entry in made.items()}

    told = ask("gpt-4o-mini", "10")
    assert (told["calls"], told["expected_calls"]) == (1, 1)
    assert told["usd"] > 0
    (request,) = aimock.requests()
    assert label in request["body"]["messages"][-1]["content"]
    kept, row = stored_table(artifacts, "hypotheses", "islets", "0.4").records(ClusterHypotheses)
    assert (kept.cluster, kept.deterministic, row.cluster, row.deterministic) == ("3", True, "10", False)
    assert [one.celltype for one in row.alternatives] == ["pancreatic A cell", "T cell"], "the label is none"
    assert row.alternatives[0].relation is Relation.SIBLING
    looked_up = {one.gene: one.expression for one in row.alternatives[0].lookups}
    assert looked_up["GCG"] is not Expression.UP
    assert "NOSUCHGENE" in row.alternatives[1].not_measured
    assert told["genes_not_measured"] > 0
    assert row.history[0].model == "gpt-4o-mini"

    again = ask("gpt-4o-mini", "10")
    assert (again["calls"], again["expected_calls"], again["cached_calls"], again["usd"]) == (0, 0, 1, 0)

    ask("gpt-4o", "3")
    failed, row_after = stored_table(artifacts, "hypotheses", "islets", "0.4").records(ClusterHypotheses)
    assert (failed.status, failed.alternatives) == (Status.FAILED, ())
    assert "Too long for <me>" in failed.status_reason
    assert row_after == row.model_copy(update={"history": row_after.history})
