"""Every analysis started from Dagster's interface, as its launchpad would: over GraphQL, run by the daemon."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from resources.catalog import Catalog
from resources.home import Home
from tests.cassia_dagster.test_server import ask, wait_for

pytestmark = pytest.mark.daemon

PATIENCE = 900
"""Seconds for one run, on a machine that does much else."""

LAUNCHES = {
    # What the second look leaves is another version of the labels, which drift can be told from.
    "look_again": {"boosted": {"clusters": ["3"], "additional_task": "Is this malignant?", "max_rounds": 1}},
    "analyse_drift": {"drift": {"max_changed_share": 0.2, "severity": "error"}},
    "analyse_uncertainty": {"uncertainty": {"runs": 5, "clusters": ["1", "2"]}},
    "analyse_symphony": {"symphony": {"cluster": "2", "candidates": ["alpha cell", "beta cell"]}},
    "analyse_hypotheses": {"hypotheses": {"clusters": ["1"]}},
    "analyse_subclusters": {"subclusters": {"clusters": ["0", "2"], "together": True}},
    "analyse_model_comparison": {"model_comparison": {"models": [{"provider": "embedded"}]}},
    "refresh_report": {},
}
"""What the launchpad says, by job, in the order in which they are started."""

LAUNCH = """mutation { launchRun(executionParams: {
    selector: {repositoryLocationName: "cassia-dagster", repositoryName: "__repository__", jobName: "JOB"},
    runConfigData: CONFIG,
    executionMetadata: {tags: [
        {key: "dagster/partition", value: "demo|0.4"},
        {key: "dagster/partition/dataset", value: "demo"},
        {key: "dagster/partition/resolution", value: "0.4"}]}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""


@pytest.fixture
def served(demo, tmp_path):
    """A copy of the demo, and the address of the interface to it."""
    home = Home(tmp_path / "home")
    shutil.copytree(demo.home.root, home.root)
    entry = Catalog.read(home.catalog).entry("demo")
    Catalog(datasets=(entry.model_copy(update={"output": tmp_path / "output"}),)).write(home.catalog)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", str(port)],
            env=environment | {"CASSIA_HOME": str(home.root)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/server_info", process, log)
            yield f"http://127.0.0.1:{port}", tmp_path / "output" / "demo" / "leiden_res_0.4"
        finally:
            process.terminate()
            process.wait(timeout=60)


def finished(server, run):
    """Wait for a run; give how it ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = ask(server, f'{{ runOrError(runId: "{run}") {{ ... on Run {{ status }} }} }}')["runOrError"]["status"]
        if status in {"SUCCESS", "FAILURE", "CANCELED"}:
            return status
        time.sleep(1)
    return f"not within {PATIENCE} s"


def metadata_of(server, asset):
    query = """{ assetNodeOrError(assetKey: {path: ["ASSET"]}) { ... on AssetNode {
        assetMaterializations(partitions: ["demo|0.4"], limit: 1) { metadataEntries {
            label
            ... on TextMetadataEntry { text }
            ... on IntMetadataEntry { intValue } } } } } }"""
    (event,) = ask(server, query.replace("ASSET", asset))["assetNodeOrError"]["assetMaterializations"]
    return {entry["label"]: entry.get("text", entry.get("intValue")) for entry in event["metadataEntries"]}


def test_every_analysis_runs_from_the_launchpad(served):
    server, folder = served
    for job, ops in LAUNCHES.items():
        config = json.dumps({"ops": {asset: {"config": said} for asset, said in ops.items()}})
        query = LAUNCH.replace("JOB", job).replace("CONFIG", json.dumps(config))
        launched = ask(server, query)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", (job, launched)
        assert finished(server, launched["run"]["runId"]) == "SUCCESS", job
    for asset in ("uncertainty", "symphony", "hypotheses", "subclusters", "model_comparison"):
        assert metadata_of(server, asset)["expected_calls"] == 0, "the embedded model costs nothing, and this is said"
        assert json.loads((folder / f"demo_{asset}.json").read_text())
    assert metadata_of(server, "symphony")["outcome"].startswith("cluster 2: alpha cell")
    assert metadata_of(server, "model_comparison")["best"] == "embedded"
    assert metadata_of(server, "drift")["clusters_changed"] == 0
    page = (folder / "demo_report.html").read_text()
    assert all(f'id="{section}"' in page for section in ("uncertainty", "hypotheses", "symphony", "model-comparison"))
