"""How a project of many datasets feels: loading it, looking at its files, asking what is missing, opening its pages.

uv run python -m benchmarks.scale                   1,000 datasets × 5 resolutions
uv run python -m benchmarks.scale --datasets 100

The datasets are small files and their runs are played: only Dagster and this project's own code are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

    from resources.home import Home

RESOLUTIONS = ("0.2", "0.4", "0.6", "0.8", "1.0")
BY_DATASET = ("raw_adata", "normalized_adata", "umap", "manual_labels", "annotated_adata", "review")
BY_BOTH = ("leiden_clusters", "marker_table", "annotations", "scores", "boosted", "reviewed", "merged", "report")


PAGES = {
    "graph of all assets": (
        "{ assetNodes { assetKey { path } staleStatus assetMaterializations(limit: 1) { timestamp }"
        " partitionStats { numPartitions numMaterialized numFailed numMaterializing } } }"
    ),
    "all partitions of an asset": (
        '{ assetNodeOrError(assetKey: {path: ["annotations"]}) { ... on AssetNode {'
        " partitionKeysByDimension { name partitionKeys }"
        " assetPartitionStatuses { ... on MultiPartitionStatuses { ranges { primaryDimStartKey primaryDimEndKey"
        " secondaryDim { ... on DefaultPartitionStatuses { materializedPartitions } } } } } } } }"
    ),
    "one partition of an asset": (
        '{ assetNodeOrError(assetKey: {path: ["annotations"]}) { ... on AssetNode {'
        ' assetMaterializations(partitions: ["donor-0001|0.4"], limit: 1) { timestamp metadataEntries { label } }'
        ' staleStatus(partition: "donor-0001|0.4") } } }'
    ),
}
"""What the user interface asks its server for on some pages."""


def measure(root: Path, datasets: int) -> dict[str, list[float]]:
    """Make a project of that many datasets, and return how many seconds each thing takes.

    The second number is of this process' own work on the processor, which other programs do not lengthen.
    """
    os.environ["CASSIA_HOME"] = str(root)
    from cassia_dagster.definitions import build_defs
    from resources.home import Home

    home, seconds = Home(root), dict[str, list[float]]()
    names = _write_catalog(home, root, datasets)
    home.dagster.mkdir()
    (home.dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with _timed(seconds, "load the code location in a new process"):
        command = [sys.executable, "-c", "import cassia_dagster.definitions"]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})  # noqa: S603
    definitions = build_defs(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        cursor: str | None = None
        sensor = definitions.resolve_sensor_def("watch_catalog")
        for look in ("first look at the catalog", "second look, which reads the files", "look that finds nothing new"):
            with (
                _timed(seconds, look),
                dg.build_sensor_context(instance=instance, cursor=cursor, definitions=definitions) as context,
            ):
                seen = sensor(context)
            assert isinstance(seen, dg.SensorResult)  # noqa: S101
            cursor = seen.cursor
            for request in seen.dynamic_partitions_requests or []:
                instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys or []))
        with _timed(seconds, "evaluate all conditions where everything is missing"):
            _evaluate(definitions, instance)
        _play(instance, home.dagster, names)
        with _timed(seconds, "ask which partitions of annotations are made"):
            made = instance.get_materialized_partitions(dg.AssetKey("annotations"))
        assert len(made) == datasets * len(RESOLUTIONS)  # noqa: S101
        with _timed(seconds, "evaluate all conditions where everything is made"):
            cursor_of_all = _evaluate(definitions, instance)
        with _timed(seconds, "evaluate all conditions with nothing new"):
            _evaluate(definitions, instance, cursor_of_all)
        with _timed(seconds, "nightly schedule"), dg.build_schedule_context(instance=instance) as nightly:
            definitions.resolve_schedule_def("prepare_changed_cells")(nightly)
    _ask_pages(home, seconds)
    return seconds


def _evaluate(
    definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: AssetDaemonCursor | None = None
) -> AssetDaemonCursor:
    """Evaluate all conditions once.

    Within a tick Dagster remembers the partitions; its function for tests asks the database hundreds of times.
    """
    with patch.object(instance, "get_dynamic_partitions", cache(instance.get_dynamic_partitions)):
        return dg.evaluate_automation_conditions(definitions, instance, cursor=cursor).cursor


def _play(instance: dg.DagsterInstance, folder: Path, names: list[str]) -> None:
    """Enter an event of each asset and partition: of the first dataset by Dagster, of the others as copies of these."""
    template, *others = names
    for event in _events(template):
        instance.report_runless_asset_event(event)
    with closing(sqlite3.connect(folder / "history" / "runs" / "index.db")) as database:
        rows = database.execute("SELECT * FROM event_logs WHERE partition IS NOT NULL ORDER BY id").fetchall()
        named = [column[1] for column in database.execute("PRAGMA table_info(event_logs)")]
        tags = database.execute(
            "SELECT asset_key, key, value, event_timestamp, event_id FROM asset_event_tags"
        ).fetchall()
        (last,) = database.execute("SELECT MAX(id) FROM event_logs").fetchone()
        places = ", ".join("?" * len(named))
        of_event = {row[named.index("id")]: [tag for tag in tags if tag[-1] == row[named.index("id")]] for row in rows}
        for name in others:
            for row in rows:
                last += 1
                said = [part.replace(template, name) if isinstance(part, str) else part for part in row]
                copied = dict(zip(named, said, strict=True)) | {"id": last}
                database.execute(f"INSERT INTO event_logs VALUES ({places})", list(copied.values()))  # noqa: S608
                database.executemany(
                    "INSERT INTO asset_event_tags (asset_key, key, value, event_timestamp, event_id)"
                    " VALUES (?, ?, ?, ?, ?)",
                    [
                        (key, tag, value.replace(template, name), when, last)
                        for key, tag, value, when, _ in of_event[row[named.index("id")]]
                    ],
                )
        database.commit()


def _ask_pages(home: Home, seconds: dict[str, list[float]]) -> None:
    """Ask a web server of the project for its pages, twice: what it has seen once it may remember."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("dagster-webserver")), "-h", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"DAGSTER_HOME": str(home.dagster), "PYTHONWARNINGS": "ignore"}
    workspace = Path(__file__).parents[1] / "workspace.yaml"
    with _timed(seconds, "start the web server"):
        server = subprocess.Popen(  # noqa: S603
            [*command, "-w", str(workspace)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_until_up(port)
    try:
        for name, query in PAGES.items():
            for time_ in ("first time", "again"):
                with _timed(seconds, f"{name}, {time_}"):
                    _ask(port, query)
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_up(port: int) -> None:
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the web server did not start within two minutes")


def _ask(port: int, query: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as reply:  # noqa: S310
        answer = json.load(reply)
    if answer.get("errors"):
        raise RuntimeError(str(answer["errors"])[:2000])


def _write_catalog(home: Home, root: Path, datasets: int) -> list[str]:
    from resources.catalog import Catalog, DatasetEntry

    names = [f"donor-{number:04}" for number in range(datasets)]
    files = root / "files"
    files.mkdir(parents=True)
    for name in names:
        (files / f"{name}.h5ad").write_text(name)
    entries = tuple(
        DatasetEntry(name=name, path=files / f"{name}.h5ad", tissue="blood", resolutions=RESOLUTIONS) for name in names
    )
    Catalog(datasets=entries).write(home.catalog)
    return names


def _events(dataset: str) -> Iterator[dg.AssetMaterialization]:
    tags = {"dagster/data_version": "1"}
    for asset in BY_DATASET:
        yield dg.AssetMaterialization(asset, partition=dataset, tags=tags)
    for resolution in RESOLUTIONS:
        key = dg.MultiPartitionKey({"dataset": dataset, "resolution": resolution})
        for asset in BY_BOTH:
            yield dg.AssetMaterialization(asset, partition=key, tags=tags)


@contextmanager
def _timed(seconds: dict[str, list[float]], what: str) -> Iterator[None]:
    begun, worked = time.monotonic(), time.process_time()
    yield
    seconds[what] = [round(time.monotonic() - begun, 2), round(time.process_time() - worked, 2)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--datasets", type=int, default=1000)
    with tempfile.TemporaryDirectory(prefix="cassia-scale-") as temporary:
        print(json.dumps(measure(Path(temporary) / "home", parser.parse_args().datasets), indent=2))
