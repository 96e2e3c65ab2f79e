"""The second look as an asset: what the launchpad can say of it, and what it reads to answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.embedded import NO_OPINION, EmbeddedBackend
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.definitions import ASSETS
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.records import BoostedCluster, BoostOutcome, Expression
from cassia_dagster.singlecell.profile import gather_evidence
from resources.llm import ModelResource, ModelStore
from resources.record_tables import read_records, to_arrow
from resources.storage import AdataStorage, TableStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from anndata import AnnData

PARTITION = dg.MultiPartitionKey({"dataset": "islets", "resolution": "0.4"})


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, islets: AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> Path:
    """What the asset reads, where the IO managers look for it."""
    root = tmp_path_factory.mktemp("artifacts")
    evidence = gather_evidence(islets, islets_labels, islets_markers, species="human", tissue="pancreas")
    with Store.open(root / "models.sqlite") as store:
        door = Door(EmbeddedBackend(), store)
        annotated = [annotate_cluster(one, door, door, one.cluster) for one in evidence]
        scored = [score_cluster(row.evidence, row, door, row.cluster) for row in annotated]
    tables = {"annotations": to_arrow(annotated), "scores": to_arrow(scored)}
    for asset, table in tables.items():
        (root / asset / "islets").mkdir(parents=True)
        pq.write_table(table, root / asset / "islets" / "0.4.parquet")
    (root / "leiden_clusters" / "islets").mkdir(parents=True)
    clusters = islets_labels.rename("cluster").rename_axis("cell_id").reset_index()
    clusters.to_parquet(root / "leiden_clusters" / "islets" / "0.4.parquet")
    (root / "normalized_adata").mkdir()
    islets.write_h5ad(root / "normalized_adata" / "islets.h5ad")
    return root


@pytest.fixture
def boost(inputs: Path, tmp_path: Path) -> Callable[..., list[BoostedCluster]]:
    """Materialize the asset with a configuration; gives its rows."""

    def materialize(**config: Any) -> list[BoostedCluster]:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("dataset", ["islets"])
            done = dg.materialize(
                ASSETS,
                selection="boosted",
                partition_key=PARTITION,
                instance=instance,
                resources={
                    "adata_storage": AdataStorage(root=str(inputs)),
                    "table_storage": TableStorage(root=str(inputs)),
                    "model_store": ModelStore(path=str(tmp_path / "models.sqlite")),
                    **dict.fromkeys(
                        ("annotation_llm", "validation_llm", "score_llm", "boost_llm", "merge_llm"), ModelResource()
                    ),
                    "catalog": dg.ResourceDefinition.none_resource(),
                },
                run_config={"ops": {"boosted": {"config": config}}},
                raise_on_error=False,
            )
            failures = [event.event_specific_data for event in done.get_step_failure_events()]
            if failures:
                raise RuntimeError(str(failures[0]))
        return read_records(inputs / "boosted" / "islets" / "0.4.parquet", BoostedCluster)

    return materialize


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


@pytest.mark.parametrize("config", [{"strategy": "width"}, {"max_rounds": 5}, {"score_threshold": 101}])
def test_a_choice_that_does_not_exist_is_refused(boost: Any, config: dict[str, Any]) -> None:
    with pytest.raises((dg.DagsterInvalidConfigError, RuntimeError), match=r"enum type|less than or equal"):
        boost(**config)
