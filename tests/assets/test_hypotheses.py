"""Alternatives as an asset: what the matrix says of the genes that would tell, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cassia_dagster.agents.hypothesize import ClusterHypotheses
from cassia_dagster.records import AnnotatedCluster, Annotation, BoostedCluster, Expression, Status
from resources.record_tables import read_records, to_arrow


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
