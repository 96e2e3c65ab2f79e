"""What a reply store costs that several processes share: a SQLite file beside a PostgreSQL database.

uv run python -m benchmarks.shared_store                              a file in the temporary folder
uv run python -m benchmarks.shared_store postgresql://user@host/db    a database, which must be empty

The model answers at once, so that all the time that is seen is the store's. Every process asks questions of its own,
then all of them again, which come from the cache.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Verdict

PATIENCE = 600.0


class Instant:
    """A model that takes no time."""

    provider, model = "none", "instant"

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        """Tell what decides the answer."""
        return {"user": question.user}

    def answer(self, question: Question[Any]) -> RawReply:
        """Accept."""
        return RawReply(question.request.model_dump_json(), "stop", self.model, Usage(10, 10), usd=0.01)


def _ask(place: str, process: int, count: int, start: Any, seconds: Any) -> None:
    with Store.open(place, run=f"run-{process}") as store:
        door = Door(Instant(), store)
        for _ in ("new", "again"):
            start.wait(PATIENCE)
            for number in range(count):
                begun = time.monotonic()
                verdict = Verdict(accepted=True, reasons="")
                subject = f"data{process}/1.0/{number}"
                door.ask(Question("validate", subject, verdict, "", subject, Verdict, "benchmark"))
                seconds.put(time.monotonic() - begun)


def measure(place: str, processes: int, count: int) -> dict[str, dict[str, float]]:
    """Return questions a second, and milliseconds of the middle and of the slowest twentieth of them."""
    Store.open(place).close()
    spawn = multiprocessing.get_context("spawn")
    start, seconds = spawn.Barrier(processes + 1), spawn.Queue()
    workers = [
        spawn.Process(target=_ask, args=(place, number, count, start, seconds), daemon=True)
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    found = {}
    for what in ("new questions", "the same again"):
        start.wait(PATIENCE)
        begun = time.monotonic()
        taken = sorted(seconds.get(timeout=PATIENCE) for _ in range(processes * count))
        whole = time.monotonic() - begun
        found[what] = {
            "questions a second": round(len(taken) / whole, 1),
            "median ms": round(1000 * taken[len(taken) // 2], 2),
            "95 % within ms": round(1000 * taken[int(0.95 * len(taken))], 2),
        }
    for worker in workers:
        worker.join(PATIENCE)
    with Store.open(place) as store:
        totals = store.totals()
    assert (totals.calls, totals.cached) == (processes * count, processes * count), totals  # noqa: S101
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place", nargs="?", help="File or address; a temporary file if left out.")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--questions", type=int, default=200, help="Of each process.")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cassia-store-") as folder:
        where = said.place or str(Path(folder) / "models.sqlite")
        print(json.dumps(measure(where, said.processes, said.questions), indent=2))
