"""The promises of docs/security.md that no other test holds; and each that one does names a file that exists."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from shlex import quote

import dagster as dg
import pandas as pd
import pytest
from markupsafe import escape

from cassia_dagster.commands.terminal import plain
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.store import Store
from cassia_dagster.server import serve
from cassia_dagster.singlecell.resolutions import given_keys
from resources.catalog import DatasetEntry, check_name
from resources.storage import AdataStorage, TableStorage

PROJECT = Path(__file__).parents[1]
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
PAGE = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_promise_has_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    for row in rows:
        files = re.findall(r"`(tests/[^`]+)`", row)
        assert files, row
        assert [file for file in files if not (PROJECT / file).exists()] == []


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "a\0b", "a;rm", "$(id)", "`id`", "'--"])
def test_no_name_of_a_dataset_leads_anywhere(name, tmp_path):
    with pytest.raises(ValueError, match="cannot name a dataset"):
        DatasetEntry(name=name, path=tmp_path / "cells.h5ad", tissue="blood")


@pytest.mark.parametrize("name", ["../../../evil", "/abs/evil", "$(id)"])
@pytest.mark.parametrize("storage", [TableStorage, AdataStorage])
def test_no_partition_that_somebody_adds_is_kept_outside_of_the_artifacts(name, storage, tmp_path):
    artifacts = tmp_path / "home" / "project" / "artifacts"
    artifacts.mkdir(parents=True)
    datasets = dg.DynamicPartitionsDefinition(name="dataset")
    pairs = dg.MultiPartitionsDefinition({"dataset": datasets, "resolution": dg.StaticPartitionsDefinition(["0.4"])})

    @dg.asset(partitions_def=datasets, io_manager_key="storage", dagster_type=dg.Any)
    def one():
        return pd.DataFrame({"a": [1]})

    @dg.asset(partitions_def=pairs, io_manager_key="storage", dagster_type=dg.Any)
    def both():
        return pd.DataFrame({"a": [1]})

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", [name])
        for asset, key in ((one, name), (both, dg.MultiPartitionKey({"dataset": name, "resolution": "0.4"}))):
            with pytest.raises(ConfigurationError, match="names no file of the project"):
                dg.materialize(
                    [asset],
                    partition_key=key,
                    instance=instance,
                    resources={"storage": storage(root=str(artifacts))},
                )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


COLUMNS = ["cell_type", "../../etc", "a/b", "..", "$(id)", "x'; DROP TABLE calls; --", "<script>", "a\0b", "ü", "", "."]


def test_a_column_of_the_file_becomes_a_key_that_leads_nowhere():
    keys = given_keys(COLUMNS)
    assert len(keys) == len(COLUMNS), "and two that look alike stay two"
    for key in keys:
        assert check_name(key) == key
        assert plain(key) == key == str(escape(key)) == quote(key)


@pytest.mark.parametrize("subject", ["x' OR '1'='1", "x'; DROP TABLE calls; --", "x%", "x_"])
def test_text_that_is_sql_is_a_value(subject, tmp_path):
    with Store.open(tmp_path / "models.sqlite") as store:
        assert list(store.calls(subject=subject)) == []
        assert store.replies.count(model=subject) == 0
        store.replies.clear(model=subject)
        assert store.totals().calls == 0


def test_text_cannot_speak_to_the_terminal():
    assert "\x1b" not in plain("\x1b[2J\x1b]0;owned\x07[red]")
    assert plain("[red]x") == "\\[red]x"


def test_the_web_server_listens_to_this_machine_alone(tmp_path, monkeypatch):
    asked = []

    class Nothing:
        def __init__(self, command, **_):
            asked.extend(command)

        def wait(self):
            return 0

    monkeypatch.setattr("cassia_dagster.server.subprocess.Popen", Nothing)
    monkeypatch.setattr("cassia_dagster.server.signal.signal", lambda *_: None)
    serve(PROJECT / "workspace.yaml", tmp_path, 3000)
    host = asked[asked.index("-h") + 1]
    assert socket.inet_aton(host)[0] == 127


def test_no_file_of_deployment_opens_the_web_server_to_others():
    compose = (PROJECT / "deploy" / "compose.yaml").read_text()
    ports = re.findall(r"ports: \[(.*)\]", compose)
    assert ports == ['"127.0.0.1:3000:3000"']
    assert "type: ClusterIP" in (PROJECT / "deploy" / "values.yaml").read_text()


def test_the_reverse_proxy_and_the_audit_of_packages_are_described():
    assert "asks for a login" in PAGE
    assert "ssh -L" in PAGE
    assert "pip-audit --require-hashes -r requirements.lock" in PAGE


def test_what_an_image_and_ci_install_is_checked_by_hash():
    locked = re.findall(r"^[a-z0-9][^ ]*==\S+ .*?(?=^[a-z0-9#]|\Z)", LOCK, re.MULTILINE | re.DOTALL)
    assert len(locked) > 100
    assert [package.split()[0] for package in locked if "--hash=sha256:" not in package] == []
    for user in ("deploy/Dockerfile", ".ci/run"):
        assert re.search(r"--require-hashes .*requirements\.lock", (PROJECT / user).read_text()), user
