"""A server that speaks the formats of the providers of language models, and answers as a test tells it.

It is aimock, from npm; ``npm ci --prefix tests/servers`` installs it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

_CLI = Path(__file__).parent / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
_STARTED = "listening on "
_PATIENCE = 30.0


class AIMock:
    """The running server.

    Parameters
    ----------
    url
        Its address, without a path.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = build_opener(ProxyHandler({}))

    def play(self, *fixtures: dict[str, Any]) -> None:
        """Add answers: ``{"match": {"userMessage": …}, "response": {"content": …}}``; the first that matches wins."""
        self._control("fixtures", {"fixtures": list(fixtures)})

    def requests(self) -> list[dict[str, Any]]:
        """Give what was asked so far: path, headers, body (in OpenAI's form) and the response's status."""
        journal: list[dict[str, Any]] = self._control("journal")
        return journal

    def slow_down(self, milliseconds: int) -> None:
        """Let every answer take as long."""
        self._control("chaos", {"latencyMs": milliseconds})

    def reset(self) -> None:
        """Forget answers and requests, and be fast again."""
        self._control("reset", {})
        self._control("chaos", {"latencyMs": 0})

    def _control(self, command: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/__aimock/{command}", data, {"Content-Type": "application/json"})
        with self._opener.open(request, timeout=10) as response:
            return json.load(response)


@pytest.fixture(scope="session")
def aimock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AIMock]:
    """Start the server on a free port of the loopback interface, for all tests of this session."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not _CLI.exists():
        pytest.skip("aimock is not installed: npm ci --prefix tests/servers")
    folder = tmp_path_factory.mktemp("aimock")
    (folder / "none.json").write_text('{"fixtures": []}')
    log = folder / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [node, str(_CLI), "--port", "0", "--fixtures", str(folder / "none.json")],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield AIMock(_address(server, log))
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)


@pytest.fixture
def aimock(aimock_server: AIMock) -> AIMock:
    """Give the server without answers or requests of other tests."""
    aimock_server.reset()
    return aimock_server


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        for line in log.read_text().splitlines():
            if _STARTED in line:
                return line.partition(_STARTED)[2].strip()
        time.sleep(0.05)
    raise RuntimeError(f"aimock did not start: {log.read_text()}")
