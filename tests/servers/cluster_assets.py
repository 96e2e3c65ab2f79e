"""A code location for tests with several workers: each partition asks a slow model three questions."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Grouping, Record
from resources.storage import TableStorage

DATASETS = [f"donor-{number}" for number in range(8)]
PAIRS = dg.MultiPartitionsDefinition(
    {
        "dataset": dg.StaticPartitionsDefinition(DATASETS),
        "resolution": dg.StaticPartitionsDefinition(["0.4"]),
    }
)
SECONDS = 1.5


class Asked(Record):
    """A question of one cluster."""

    cluster: str


class Slow:
    """A model that needs its time; what it answered can be counted in the ledger."""

    provider, model = "slow", "slow-1"

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        return {"user": question.user}

    def answer(self, question: Question[Any]) -> RawReply:
        time.sleep(SECONDS)
        cluster = question.request.model_dump()["cluster"]
        row = Grouping(cluster=cluster, broad="leukocyte", intermediate="T cell", detailed="CD8 T cell")
        return RawReply(row.model_dump_json(), "stop", "slow-1", Usage(10, 10), usd=0.01)


@dg.asset(partitions_def=PAIRS, io_manager_key="tables", dagster_type=dg.Any, pool="llm")
def merged(context: dg.AssetExecutionContext) -> list[Grouping]:
    """Ask of three clusters, one after the other."""
    with Store.open(os.environ["CASSIA_MODEL_STORE"], run=context.run_id) as store:
        door = Door(Slow(), store)
        return [door.ask(_question(context.partition_key, str(cluster))).reply for cluster in range(3)]


def _question(partition: str, cluster: str) -> Question[Grouping]:
    return Question(
        role="merge",
        subject=f"{partition}/{cluster}",
        request=Asked(cluster=cluster),
        system="",
        user=f"{partition}/{cluster}",
        reply_type=Grouping,
        template="test",
    )


@dg.sensor(target=[merged], default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=5)
def every_partition_once(_: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest]:
    """Request each partition in a run of its own."""
    for key in PAIRS.get_partition_keys():
        yield dg.RunRequest(run_key=str(key), partition_key=key)


defs = dg.Definitions(
    assets=[merged],
    sensors=[every_partition_once],
    resources={"tables": TableStorage(root=os.environ.get("CASSIA_ARTIFACTS", "artifacts"))},
    executor=dg.in_process_executor,
)
