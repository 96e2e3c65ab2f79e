"""The demo in a home of its own, whose models are from now on those of a server on this machine."""

from __future__ import annotations

import collections
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cassia_dagster.llm.choice import ModelChoice
from cassia_dagster.records import Record
from resources.catalog import Catalog
from resources.home import Home
from resources.storage import stored_table

if TYPE_CHECKING:
    from tests.conftest import Demo
    from tests.servers.aimock import AIMock

COMMAND = [sys.executable, "-m", "cassia_dagster.cli"]


class ServedDemo:
    """The demo, annotated by a model of a server on this machine from now on."""

    def __init__(self, demo: Demo, folder: Path, api_base: str) -> None:
        self.home = Home(folder / "home")
        shutil.copytree(demo.home.root, self.home.root)
        self.output = folder / "output"
        model = ModelChoice(
            provider="openai", model="gpt-4o-mini", api_base=f"{api_base}/v1", api_key_env="TEST_API_KEY"
        )
        entry = Catalog.read(self.home.catalog).entry("demo")
        Catalog(datasets=(entry.model_copy(update={"models": {"all": model}, "output": self.output}),)).write(
            self.home.catalog
        )
        self.environment = os.environ | {
            "CASSIA_HOME": str(self.home.root),
            "TEST_API_KEY": "sk-not-a-real-key-0123456789",
            "COLUMNS": "200",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=200)
        assert process.returncode == 0, said
        return said

    def calls(self, state: str) -> collections.Counter[str]:
        """Count the calls of a state by their question, as the ledger has them now."""
        with sqlite3.connect(f"file:{self.home.model_store}?mode=ro", uri=True, timeout=5) as connection:
            rows = connection.execute(
                "SELECT key FROM calls WHERE state = ? AND provider_name = 'openai'", (state,)
            ).fetchall()
        return collections.Counter(key for (key,) in rows)

    def rows[R: Record](self, asset: str, record: type[R]) -> list[R]:
        """Read what an asset made."""
        return stored_table(self.home.artifacts, asset, "demo", "0.4").records(record)

    @property
    def folder(self) -> Path:
        """Where the report lies."""
        return self.output / "demo" / "leiden_res_0.4"


@pytest.fixture
def served_demo(demo: Demo, tmp_path: Path, aimock: AIMock) -> ServedDemo:
    """Give the demo, annotated by the embedded model, to a model of the server."""
    return ServedDemo(demo, tmp_path, aimock.url)
