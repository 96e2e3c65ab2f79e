"""The promises of docs/security.md that no other test holds; and each that one does names a file that exists."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from cassia_dagster.llm.store import Store
from cassia_dagster.server import serve
from cassia_dagster.terminal import plain
from resources.catalog import DatasetEntry

PROJECT = Path(__file__).parents[1]
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
