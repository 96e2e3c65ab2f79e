"""Several machines, on one: PostgreSQL, S3, Redis, two workers, one of which is killed. Takes minutes."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
import yaml

from cassia_dagster.llm.store import Store
from cassia_dagster.records import GroupedCluster
from resources.places import artifact_root
from resources.storage import stored_table
from tests.servers.moto import S3Server
from tests.servers.processes import PROJECT, running, wait_until

pytestmark = pytest.mark.daemon

ASSETS = PROJECT / "tests" / "servers" / "cluster_assets.py"
DATASETS = [f"donor-{number}" for number in range(8)]


def test_a_killed_worker_costs_no_partition_and_no_finished_call_twice(
    tmp_path: Path, postgres: str, redis_server: str, bucket: str, s3_server: S3Server
) -> None:
    pytest.importorskip("dagster_celery", reason="dagster-celery is not installed: uv sync --extra celery")
    home, server, tools = tmp_path / "dagster", urlsplit(postgres), Path(sys.executable).parent
    home.mkdir()
    instance_file = yaml.safe_load((PROJECT / "deploy" / "dagster.yaml").read_text())
    instance_file["storage"]["postgres"]["postgres_db"]["port"] = server.port
    instance_file["run_monitoring"]["poll_interval_seconds"] = 5
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance_file))
    environment = os.environ | s3_server.environment
    environment |= {
        "DAGSTER_HOME": str(home),
        "CASSIA_HOME": str(tmp_path),
        "CASSIA_ARTIFACTS": bucket,
        "CASSIA_MODEL_STORE": postgres,
        "CASSIA_CELERY_BROKER": redis_server,
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_USER": "cassia",
        "DAGSTER_POSTGRES_PASSWORD": "any",
        "DAGSTER_POSTGRES_DB": server.path.strip("/"),
    }
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        workers = [
            stack.enter_context(
                running(
                    *(tools / "celery", "-A", "cassia_dagster.celery_app", "worker", "-n", f"worker{number}@%h"),
                    environment=environment,
                    log=tmp_path / f"worker{number}.log",
                )
            )
            for number in range(2)
        ]
        daemon = (tools / "dagster-daemon", "run", "-f", ASSETS)
        stack.enter_context(running(*daemon, environment=environment, log=tmp_path / "daemon.log"))

        def done() -> set[str]:
            records = instance.fetch_materializations(dg.AssetKey("merged"), limit=100).records
            return {str(record.partition_key).partition("|")[0] for record in records}

        def calls(state: str) -> list[str]:
            with Store.open(postgres) as store:
                return [call.subject for call in store.calls() if call.state == state]

        # Both workers are at it; one is killed in the middle of a call.
        wait_until(lambda: len(done()) >= 2 and len(calls("sent")) >= 2, "two partitions are done", tmp_path)
        os.killpg(workers[0].pid, signal.SIGKILL)
        wait_until(lambda: done() == set(DATASETS), "all partitions are done", tmp_path)
        wait_until(
            lambda: not instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])), "ended", tmp_path
        )
        runs = instance.get_runs()
        failed = [run for run in runs if run.status is dg.DagsterRunStatus.FAILURE]

    assert len(failed) == 1, "the run of the killed worker, and no other"
    assert all(run.is_finished for run in runs)
    paid = Counter(calls("done"))
    assert set(paid.values()) == {1}, "no finished call is made again"
    assert len(paid) == 3 * len(DATASETS)
    for dataset in DATASETS:
        rows = stored_table(artifact_root(bucket), "merged", dataset, "0.4").records(GroupedCluster)
        assert [row.cluster for row in rows] == ["0", "1", "2"]
