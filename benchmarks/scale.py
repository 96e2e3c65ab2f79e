"""How a project of many datasets feels: loading it, looking at its files, asking what is missing.

uv run python -m benchmarks.scale                   1,000 datasets × 5 resolutions
uv run python -m benchmarks.scale --datasets 100

The datasets are small files and their runs are played: only Dagster and this project's own code are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from resources.home import Home

RESOLUTIONS = ("0.2", "0.4", "0.6", "0.8", "1.0")
BY_DATASET = ("normalized_adata", "umap", "annotated_adata")
BY_BOTH = ("leiden_clusters", "marker_table", "annotations", "scores", "boosted", "merged", "report")


def measure(root: Path, datasets: int) -> dict[str, float]:
    """Make a project of that many datasets, and return how many seconds each thing takes."""
    os.environ["CASSIA_HOME"] = str(root)
    from cassia_dagster.definitions import build_defs
    from resources.home import Home

    home, seconds = Home(root), dict[str, float]()
    names = _write_catalog(home, root, datasets)
    home.dagster.mkdir()
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
            for event in seen.asset_events:
                instance.report_runless_asset_event(event)
        with _timed(seconds, "play one event of each asset and partition"):
            for event in _events(names):
                instance.report_runless_asset_event(event)
        with _timed(seconds, "ask which partitions of annotations are made"):
            made = instance.get_materialized_partitions(dg.AssetKey("annotations"))
        assert len(made) == datasets * len(RESOLUTIONS)  # noqa: S101
        with _timed(seconds, "evaluate all conditions the first time"):
            first = dg.evaluate_automation_conditions(definitions, instance)
        with _timed(seconds, "evaluate all conditions with nothing new"):
            dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    return seconds


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


def _events(names: list[str]) -> Iterator[dg.AssetMaterialization]:
    tags = {"dagster/data_version": "1"}
    for name in names:
        for asset in BY_DATASET:
            yield dg.AssetMaterialization(asset, partition=name, tags=tags)
        for resolution in RESOLUTIONS:
            key = dg.MultiPartitionKey({"dataset": name, "resolution": resolution})
            for asset in BY_BOTH:
                yield dg.AssetMaterialization(asset, partition=key, tags=tags)


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    seconds[what] = round(time.monotonic() - begun, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--datasets", type=int, default=1000)
    with tempfile.TemporaryDirectory(prefix="cassia-scale-") as temporary:
        print(json.dumps(measure(Path(temporary) / "home", parser.parse_args().datasets), indent=2))
