"""Tests of the account of calls, with processes that really die."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cassia_dagster.llm.database import Database
from cassia_dagster.llm.ledger import LONGEST_CALL
from cassia_dagster.llm.store import Store

ASK_WITHOUT_END = """
import signal, sys, time
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.store import Store
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.records import Verdict

class Slow:
    provider, model = "slow", "slow-1"
    def identity(self, question):
        return {"user": question.user}
    def answer(self, question):
        if question.user == "quick":
            return RawReply('{"accepted": true, "reasons": ""}', "stop", "slow-1")
        print("asking", flush=True)
        time.sleep(120)

# A shell that starts the tests in the background has them ignore interrupts, and us with them.
signal.signal(signal.SIGINT, signal.default_int_handler)
door = Door(Slow(), Store.open(sys.argv[1], run="killed"))
for user in ("quick", "slow"):
    door.ask(Question("validate", "islets/0.4/3", Verdict(accepted=True, reasons=""), "", user, Verdict, "t"))
"""


@contextmanager
def process_in_the_middle_of_a_call(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", ASK_WITHOUT_END, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def states(path: Path) -> list[str]:
    with Store.open(path) as store:
        return [call.state for call in store.calls("killed")]


def test_a_call_is_written_down_before_it_is_sent_and_lost_when_its_process_is_killed(path: Path) -> None:
    with process_in_the_middle_of_a_call(path) as process:
        assert states(path) == ["done", "sent"]
        process.kill()
        process.wait()
        assert states(path) == ["done", "lost"]
    with Store.open(path) as store:
        totals = store.totals("killed")
        assert (totals.lost, totals.unpriced) == (1, 2)
        assert Database(path).one("SELECT COUNT(*) FROM replies") == (1,)


def test_an_interrupted_call_is_lost_at_once(path: Path) -> None:
    with process_in_the_middle_of_a_call(path) as process:
        process.send_signal(signal.SIGINT)
        process.wait()
        call = list(Store.open(path).calls("killed"))[-1]
        assert (call.state, call.error_type) == ("lost", "KeyboardInterrupt")


@pytest.mark.parametrize(("age", "state"), [(60.0, "sent"), (LONGEST_CALL + 60, "lost")])
def test_a_call_of_another_machine_is_lost_when_no_call_takes_that_long(path: Path, age: float, state: str) -> None:
    with process_in_the_middle_of_a_call(path):
        Database(path).run("UPDATE calls SET host = 'elsewhere', started = ?", time.time() - age)
        assert states(path) == ["done", state]


def test_a_process_that_reuses_the_number_of_a_dead_one_is_another_process(path: Path) -> None:
    with process_in_the_middle_of_a_call(path) as process:
        name = f"{process.pid}@1"
        Database(path).run("UPDATE calls SET process = ? WHERE process != ?", name, name)
        expected = "lost" if Path("/proc").exists() else "sent"
        assert states(path) == ["done", expected]
