"""Many partitions under faults at random: what is left when all have ended, and whether it adds up.

uv run python -m benchmarks.soak                  200 partitions, 8 at a time
uv run python -m benchmarks.soak --partitions 10

Each partition is a run of Dagster in a process of its own: it asks a model about three clusters and stores the table.
The model fails at random as providers do; the process is killed, its clock jumps, the disk is full or read-only. A run
that fails or dies is started again, as an operator or `run_retries` would, at most `ATTEMPTS` times.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.errors import Rejected, Unavailable, UnusableReply
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Grouping, Record
from resources.storage import TableStorage, stored_table

CLUSTERS = ("0", "1", "2")
USD = 0.01
ROUNDING = 1e-6
ATTEMPTS = 12
DISK = "4m"
"""Size of the disk that gets full."""
FAULTS = {"none": 4, "kill": 3, "clock": 2, "full": 1, "read-only": 1}
"""What befalls a run, and how often in proportion."""
PATIENCE = 600.0


class Asked(Record):
    """A question about one cluster."""

    cluster: str


class Faulty:
    """A model that fails as providers do: overloaded, not answering, answering nonsense, refusing a question.

    It keeps a bill of its own: a line for each reply that it gave, whatever became of it.
    """

    provider, model = "soak", "soak-1"

    def __init__(self, chance: random.Random, bill: Path) -> None:
        self._chance = chance
        self._bill = bill

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        """Tell what decides the answer."""
        return {"user": question.user}

    def answer(self, question: Question[Any]) -> RawReply:
        """Answer three of four questions."""
        time.sleep(self._chance.uniform(0.0, 0.1))
        fault = self._chance.choices(("none", "overload", "lost", "nonsense", "rejected"), (75, 10, 5, 7, 3))[0]
        if fault == "overload":
            raise Unavailable("503 overloaded", retry_after=0.01)
        if fault == "lost":
            raise Unavailable("no reply", unanswered=True)
        if fault == "rejected":
            raise Rejected("400 not taken")
        cluster = question.request.model_dump()["cluster"]
        row = Grouping(cluster=cluster, broad="leukocyte", intermediate="T cell", detailed="CD8 T cell")
        text = "{" if fault == "nonsense" else row.model_dump_json()
        with self._bill.open("a") as bill:  # of so short a line processes write each one whole
            bill.write(f"{question.user}\t{fault}\n")
        return RawReply(text, "stop", self.model, Usage(10, 10), usd=USD)


def _definition(place: Place, chance: random.Random) -> dg.AssetsDefinition:
    datasets = dg.StaticPartitionsDefinition(place.datasets)
    pairs = dg.MultiPartitionsDefinition({"dataset": datasets, "resolution": dg.StaticPartitionsDefinition(["0.4"])})

    @dg.asset(name="merged", partitions_def=pairs, io_manager_key="tables", dagster_type=dg.Any)
    def merged(context) -> list[Grouping]:  # type: ignore[no-untyped-def] # noqa: ANN001 - see the module's annotations
        key = context.partition_key.keys_by_dimension["dataset"]
        with Store.open(place.store, run=context.run_id) as store:
            door = Door(Faulty(chance, place.bill), store)
            return [_ask(door, key, cluster) for cluster in CLUSTERS]

    return merged.with_resources({"tables": TableStorage(root=str(place.disk)).get_resource_definition()})


def _ask(door: Door, dataset: str, cluster: str) -> Grouping:
    question = Question(
        "merge", f"{dataset}/0.4/{cluster}", Asked(cluster=cluster), "", f"{dataset} {cluster}", Grouping, "soak"
    )
    try:
        return door.ask(question).reply
    except UnusableReply as error:
        reason = type(error).__name__
        return Grouping(cluster=cluster, broad="failed", intermediate=reason, detailed=reason)


def _work(place: Place, dataset: str, seed: int, clock: float) -> None:
    """Make one partition; exit with 1 and the reason in a file if that fails."""
    if clock:
        true = time.time
        time.time = lambda: true() + clock
    chance = random.Random(seed)  # noqa: S311
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        done = dg.materialize(
            [_definition(place, chance)],
            partition_key=dg.MultiPartitionKey({"dataset": dataset, "resolution": "0.4"}),
            instance=instance,
            raise_on_error=False,
        )
    if not done.success:
        (failure,) = done.get_step_failure_events()
        (place.reasons / dataset).write_text(str(failure.step_failure_data.error_display_string)[-2000:])
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the soak keeps what."""

    root: Path
    datasets: list[str]

    @property
    def home(self) -> Path:
        """The Dagster instance."""
        return self.root / "dagster"

    @property
    def disk(self) -> Path:
        """The small disk with the artifacts."""
        return self.root / "disk"

    @property
    def store(self) -> Path:
        """Replies and ledger."""
        return self.root / "models.sqlite"

    @property
    def bill(self) -> Path:
        """What the model says that it has answered."""
        return self.root / "bill.txt"

    @property
    def reasons(self) -> Path:
        """Why runs failed."""
        return self.root / "reasons"


@dataclass(slots=True)
class Outcome:
    """What came of it all."""

    partitions: int
    done: int = 0
    failed_with_reason: int = 0
    runs: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    """Runs under each."""
    killed: int = 0
    rows: int = 0
    rows_failed: int = 0
    lost_or_doubled_rows: int = 0
    half_written: int = 0
    calls: int = 0
    calls_lost: int = 0
    replies_bought_twice: int = 0
    usd: float = 0.0
    usd_of_ledger: float = 0.0
    usd_billed: float = 0.0
    """By the model's own account: more than the ledger's only by replies that killed processes could not enter."""
    finished_billed_twice: int = 0
    """Usable replies that the model gave a second time, beyond the calls whose process died in them."""
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether every promise is kept."""
        broken = (self.lost_or_doubled_rows, self.half_written, self.replies_bought_twice, self.finished_billed_twice)
        ended = self.done + self.failed_with_reason == self.partitions
        unknown = self.usd_billed - self.usd_of_ledger
        adds_up = (
            abs(self.usd - self.usd_of_ledger) < ROUNDING and -ROUNDING < unknown < self.calls_lost * USD + ROUNDING
        )
        return ended and not any(broken) and adds_up


def soak(root: Path, partitions: int, at_once: int = 8, seed: int = 0) -> Outcome:
    """Run all partitions to their end, and count what is left."""
    begun, chance = time.monotonic(), random.Random(seed)  # noqa: S311
    place = Place(root, [f"donor-{number:03}" for number in range(partitions)])
    for folder in (place.home, place.disk, place.reasons):
        folder.mkdir(parents=True)
    (place.home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    Store.open(place.store).close()
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        # Dagster's own databases are not made by several processes at once, as the replies' is.
        instance.get_runs_count()
        instance.all_asset_keys()
    outcome = Outcome(partitions)
    with _small_disk(place.disk) as is_small:
        kinds = {name: weight for name, weight in FAULTS.items() if is_small or name not in ("full", "read-only")}
        waiting = dict.fromkeys(place.datasets, 0)
        while waiting:
            names = list(waiting)[:at_once]
            fault = chance.choices(list(kinds), list(kinds.values()))[0]
            outcome.faults[fault] += len(names)
            ended = _together(place, names, fault, chance, outcome)
            for name in names:
                tries = waiting.pop(name) + 1
                if name in ended:
                    outcome.done += 1
                elif tries < ATTEMPTS:
                    waiting[name] = tries
                else:
                    outcome.failed_with_reason += (place.reasons / name).exists()
        _count(place, outcome)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _together(place: Place, names: list[str], fault: str, chance: random.Random, outcome: Outcome) -> set[str]:
    """Run some partitions at the same time under one fault; return those that succeeded."""
    fork = multiprocessing.get_context("fork")  # what is imported already need not be imported again
    clock = chance.choice((-86400.0, 86400.0)) if fault == "clock" else 0.0
    workers = {
        name: fork.Process(target=_work, args=(place, name, chance.getrandbits(32), clock), daemon=True)
        for name in names
    }
    with _disk(place.disk, fault):
        for worker in workers.values():
            worker.start()
        if fault == "kill":
            time.sleep(chance.uniform(0.05, 2.0))
            victim = chance.choice(list(workers.values()))
            if victim.is_alive() and victim.pid:
                os.kill(victim.pid, signal.SIGKILL)
                outcome.killed += 1
        for worker in workers.values():
            worker.join(PATIENCE)
            if worker.is_alive():
                worker.kill()
                worker.join()
    outcome.runs += len(workers)
    return {name for name, worker in workers.items() if worker.exitcode == 0}


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system in memory; tells whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    is_small = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


@contextmanager
def _disk(folder: Path, fault: str) -> Iterator[None]:
    """Fill the disk, or make it read-only, for as long as the block lasts."""
    ballast = folder / "ballast"
    if fault == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)  # noqa: S603, S607
    elif fault == "full":
        try:
            with ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            pass  # now it is full
    try:
        yield
    finally:
        if fault == "read-only":
            subprocess.run(["mount", "-o", f"remount,rw,size={DISK}", str(folder)], check=True)  # noqa: S603, S607
        ballast.unlink(missing_ok=True)


def _count(place: Place, outcome: Outcome) -> None:
    """Look at what is left: every table whole, every row there once, every reply bought once."""
    for name in place.datasets:
        table = stored_table(place.disk, "merged", name, "0.4")
        if not table.path.exists():
            continue
        try:
            rows = table.records(Grouping)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not whole
            outcome.half_written += 1
            continue
        outcome.rows += len(rows)
        outcome.rows_failed += sum(row.broad == "failed" for row in rows)
        outcome.lost_or_doubled_rows += tuple(row.cluster for row in rows) != CLUSTERS
    with Store.open(place.store) as store:
        calls = list(store.calls())
        totals = store.totals()
    outcome.calls, outcome.calls_lost = totals.calls, totals.lost
    bought = Counter(call.key for call in calls if call.state == "done")
    outcome.replies_bought_twice = sum(count - 1 for count in bought.values())
    outcome.usd = totals.usd
    outcome.usd_of_ledger = sum(call.usd or 0.0 for call in calls)
    replies = [line.partition("\t") for line in place.bill.read_text().splitlines()]
    outcome.usd_billed = len(replies) * USD
    usable = Counter(question for question, _, fault in replies if fault == "none")
    outcome.finished_billed_twice = max(0, sum(count - 1 for count in usable.values()) - outcome.calls_lost)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--partitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cassia-soak-") as temporary:
        result = soak(Path(temporary), said.partitions, seed=said.seed)
    print(json.dumps(asdict(result), indent=2))
    sys.exit(0 if result.sound else 1)
