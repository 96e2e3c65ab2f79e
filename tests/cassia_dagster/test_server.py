"""The user interface, as a browser would meet it: a real web server on the instance that the demo left."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cassia_dagster.definitions import ANALYSES, ASSETS

PROJECT = Path(__file__).parents[2]
PATIENCE = 180
"""Seconds; a busy machine needs most of a minute."""


@pytest.fixture(scope="module")
def server(demo, tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", str(port)],
        env=os.environ | {"CASSIA_HOME": str(demo.home.root)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/server_info", process, log)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_for(url, process, log):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = "" if log is None or log.seek(0) else log.read()[-2000:]
            pytest.fail(f"the web server ended: {said}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"no web server within {PATIENCE} s")


def ask(server, query):
    request = urllib.request.Request(
        f"{server}/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["data"]


def test_the_web_server_knows_every_asset(server):
    nodes = ask(server, "{ assetNodes { assetKey { path } description groupName } }")["assetNodes"]
    assert {"/".join(node["assetKey"]["path"]) for node in nodes} == {
        asset.key.to_user_string() for asset in (*ASSETS, *ANALYSES)
    }
    assert all(node["description"] for node in nodes)


def test_what_the_command_line_ran_is_visible(server):
    runs = ask(server, "{ runsOrError { ... on Runs { results { jobName status } } } }")["runsOrError"]["results"]
    assert sorted((run["jobName"], run["status"]) for run in runs) == [
        ("annotate_clusters", "SUCCESS"),
        ("annotate_clusters", "SUCCESS"),
        ("prepare_cells", "SUCCESS"),
        ("write_annotated_file", "SUCCESS"),
    ]


def test_a_label_can_be_read_in_the_metadata(server):
    query = """{ assetNodeOrError(assetKey: {path: ["annotations"]}) { ... on AssetNode {
        assetMaterializations(partitions: ["demo|0.4"], limit: 1) { metadataEntries {
            label ... on TableMetadataEntry { table { records } } } } } } }"""
    (event,) = ask(server, query)["assetNodeOrError"]["assetMaterializations"]
    tables = {entry["label"]: entry["table"]["records"] for entry in event["metadataEntries"] if "table" in entry}
    rows = [json.loads(record) for record in tables["labels"]]
    assert len(rows) == 12
    assert all(row["label"] for row in rows)


EVENT = """{ assetNodeOrError(assetKey: {path: ["ASSET"]}) { ... on AssetNode {
    dependencyKeys { path }
    assetMaterializations(partitions: ["KEY"], limit: 1) { tags { key value } metadataEntries {
        label
        ... on TextMetadataEntry { text }
        ... on PathMetadataEntry { path }
        ... on FloatMetadataEntry { floatValue }
        ... on IntMetadataEntry { intValue }
        ... on JsonMetadataEntry { jsonString }
        ... on TableMetadataEntry { table { records } } } } } } }"""


def event_of(server, asset, key):
    """What the UI shows of an asset's partition: the assets above it, its tags, its metadata."""
    node = ask(server, EVENT.replace("ASSET", asset).replace("KEY", key))["assetNodeOrError"]
    (event,) = node["assetMaterializations"]
    tags = {tag["key"].removeprefix("dagster/"): tag["value"] for tag in event["tags"]}
    metadata = {}
    for entry in event["metadataEntries"]:
        label, value = entry.pop("label"), next(iter(entry.values()), None)
        if "table" in entry:
            value = [json.loads(record) for record in value["records"]]
        metadata[label] = json.loads(value) if "jsonString" in entry else value
    return [parent["path"][-1] for parent in node["dependencyKeys"]], tags, metadata


def test_from_a_label_everything_that_it_came_from_can_be_reached(server, islets_path):
    reached, ahead = {}, [("boosted", "demo|0.4")]
    while ahead:
        asset, key = ahead.pop()
        parents, tags, _ = reached[asset] = event_of(server, asset, key)
        for parent in parents:
            parent_key = "demo" if parent in {"raw_adata", "normalized_adata", "umap"} else "demo|0.4"
            if parent not in reached:
                ahead.append((parent, parent_key))
            # It was made from this very version of what is above it.
            version = event_of(server, parent, parent_key)[1]["data_version"]
            assert tags[f"input_data_version/{parent}"] == hashlib.sha256(version.encode()).hexdigest()
    metadata = {asset: shown for asset, (_, _, shown) in reached.items()}
    (final,) = [row for row in metadata["boosted"]["outcomes"] if row["cluster"] == "3"]
    replies = [row for row in metadata["annotations"]["replies"] if row["about"] == "demo/0.4/3"]
    assert [row["role"] for row in replies] == ["annotate", "validate"]
    assert final["label"] in replies[0]["reply"]
    assert re.fullmatch(r"annotate\.v\d+@[0-9a-f]{12}", replies[0]["prompt"])
    assert replies[0]["prompt"] in reached["annotations"][1]["code_version"]
    assert replies[0]["model"].startswith("embedded/knowledge-")
    assert replies[0]["usd"] == 0.0
    assert final["score"] in {row["score"] for row in metadata["scores"]["scores"] if row["cluster"] == "3"}
    assert metadata["normalized_adata"]["parameters"]["n_neighbors"] == 10
    assert metadata["leiden_clusters"]["parameters"]["seed"] == 0
    assert metadata["marker_table"]["parameters"]["max_p_val_adj"] == 0.05
    assert metadata["raw_adata"]["sha256"] == hashlib.sha256(islets_path.read_bytes()).hexdigest()
    assert all("code_version" in tags for asset, (_, tags, _) in reached.items() if asset != "raw_adata")


def test_checks_are_shown_with_their_outcome(server):
    query = """{ assetNodeOrError(assetKey: {path: ["annotations"]}) { ... on AssetNode { assetChecksOrError {
        ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } } }"""
    checks = ask(server, query)["assetNodeOrError"]["assetChecksOrError"]["checks"]
    assert [check["name"] for check in checks] == ["every_cell_has_a_row"]
    assert checks[0]["executionForLatestMaterialization"]["status"] == "SUCCEEDED"


@pytest.mark.long
def test_nothing_is_left_running_when_the_terminal_is_closed(demo):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", str(port)],
        env=os.environ | {"CASSIA_HOME": str(demo.home.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(f"http://127.0.0.1:{port}/server_info", server, None)
    server.send_signal(signal.SIGHUP)
    server.wait(timeout=60)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)


@pytest.mark.daemon
def test_an_edited_prompt_reaches_the_running_daemon_by_a_reload_and_makes_stale_what_uses_it(demo, tmp_path):
    for package in ("cassia_dagster", "assets", "resources"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("workspace.yaml", "dagster.yaml"):
        shutil.copy(PROJECT / file, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", str(port)],
            env=os.environ | {"CASSIA_HOME": str(demo.home.root), "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{address}/server_info", process, log)
            before, fresh = versions_and_states(address)
            assert set(fresh.values()) == {"FRESH"}
            (template,) = (tmp_path / "cassia_dagster" / "agents" / "prompts").glob("score.v*.j2")
            template.write_text(
                template.read_text().replace("{% block user %}", "{% block user %}\nTake your time.", 1)
            )
            ask(
                address,
                'mutation { reloadRepositoryLocation(repositoryLocationName: "cassia-dagster") { __typename } }',
            )
            after, states = versions_and_states(address)
        finally:
            process.terminate()
            process.wait(timeout=60)
    assert {asset for asset in after if after[asset] != before[asset]} == {"scores", "boosted"}
    assert {asset for asset, state in states.items() if state == "STALE"} >= {"scores", "boosted"}
    assert {states["annotations"], states["marker_table"]} == {"FRESH"}


def versions_and_states(server):
    """What the server knows of each asset of a resolution: the version of its code, and whether it is out of date."""
    nodes = ask(server, '{ assetNodes { assetKey { path } opVersion staleStatus(partition: "demo|0.4") } }')[
        "assetNodes"
    ]
    chain = {"leiden_clusters", "marker_table", "annotations", "scores", "boosted", "merged", "report"}
    known = {node["assetKey"]["path"][-1]: node for node in nodes if node["assetKey"]["path"][-1] in chain}
    return (
        {asset: node["opVersion"] for asset, node in known.items()},
        {asset: node["staleStatus"] for asset, node in known.items()},
    )
