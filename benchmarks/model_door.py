"""How fast, how safe: the door to the models against a server with latency, a quota, or a kill in the middle.

uv run python -m benchmarks model-door latency   30 clusters × 2 s × 16 in flight, against the ideal
uv run python -m benchmarks model-door quota     the same under 60 requests a minute
uv run python -m benchmarks model-door unknown   under 30 requests a minute, of which nobody told the client
uv run python -m benchmarks model-door kill      killed in the middle, and started again
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llmock.chaos import ChaosSettings
from llmock.ratelimit import LimitSettings
from llmock.testing import LLMockServer

from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Verdict

CLUSTERS = 30
ROUNDS = 2
"""Questions of a cluster that follow on each other, as annotator and validator do."""
IN_FLIGHT = 16
LATENCY = 2.0
QUOTAS = {"quota": 60, "unknown": 30}
"""Requests a minute that the server grants."""
MEASUREMENTS = ("latency", *QUOTAS, "kill")


def ask_all(store: Path, api_base: str, in_flight: int = IN_FLIGHT, **quota: int) -> tuple[float, int]:
    """Ask every cluster's questions in turn; return seconds and how many questions failed."""
    os.environ["BENCHMARK_API_KEY"] = "none"
    backend = LiteLLMBackend("openai", "gpt-4.1", api_base=api_base, api_key_env="BENCHMARK_API_KEY", **quota)
    backend.check()  # imports LiteLLM, whose seconds are not those of the door
    with Store.open(store) as opened, ThreadPoolExecutor(in_flight) as pool:
        door = Door(backend, opened)

        def work(cluster: int) -> int:
            request = Verdict(accepted=True, reasons="")
            for number in range(ROUNDS):
                question = f"Cluster {cluster}, question {number}"
                try:
                    subject = f"benchmark/1.0/{cluster}"
                    door.ask(Question("validate", subject, request, "You check.", question, Verdict, "benchmark"))
                except Exception as error:  # noqa: BLE001 - counted and shown
                    print(f"  lost: {error}")
                    return 1
            return 0

        begun = time.monotonic()
        failed = sum(pool.map(work, range(CLUSTERS)))
        return time.monotonic() - begun, failed


def measure(name: str, folder: Path) -> None:
    """Run one of the measurements and print what came of it."""
    chaos = ChaosSettings(latency_ms=int(1000 * LATENCY))
    with LLMockServer(chaos=chaos) as server:
        if name in QUOTAS:
            server.state.limiter.configure(LimitSettings(rpm=QUOTAS[name]))
        known = {"requests_per_minute": QUOTAS[name]} if name == "quota" else {}
        if name == "kill":
            kill_in_the_middle(folder / "store.sqlite", server.base_url())
        seconds, failed = ask_all(folder / "store.sqlite", server.base_url(), **known)
        requests = server.state.journal.records()
    statuses = [request.status for request in requests]
    print(f"{name}: {seconds:.1f} s, {failed} lost, {len(statuses)} requests, {statuses.count(429)} of them refused")
    if name == "latency":
        ideal = math.ceil(CLUSTERS / IN_FLIGHT) * ROUNDS * LATENCY
        took = max(request.ended_at for request in requests) - min(request.started_at for request in requests)
        print(
            f"  {took:.1f} s from the first request to the last reply, ideal {ideal:.1f} s, factor {took / ideal:.2f}"
        )
    if name == "kill":
        with Store.open(folder / "store.sqlite") as store:
            states = [call.state for call in store.calls()]
            keys = [call.key for call in store.calls() if call.state == "done"]
        print(f"  {len(keys) - len(set(keys))} finished calls repeated; {states.count('lost')} were in flight")


def kill_in_the_middle(store: Path, api_base: str) -> None:
    """Start the same work in a process of its own, and kill it when a third is done."""
    child = subprocess.Popen([sys.executable, __file__, "child", str(store), api_base])  # noqa: S603
    with Store.open(store) as opened:
        while opened.totals().calls < CLUSTERS * ROUNDS // 2:
            time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["child", store, api_base]:
            ask_all(Path(store), api_base)
        case [name] if name in MEASUREMENTS:
            with tempfile.TemporaryDirectory() as temporary:
                measure(name, Path(temporary))
        case _:
            sys.exit(__doc__)
