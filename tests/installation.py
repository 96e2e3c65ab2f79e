"""The product as an operator installs it, on one machine or several: all of its processes, and what they did."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import dagster as dg
import yaml
from dagster._core.scheduler.instigation import TickStatus

from cassia_dagster.definitions import ASSETS
from cassia_dagster.llm.store import Store
from resources.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cassia_dagster.llm.ledger import Call

PROJECT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent
MADE = [asset.key for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
PATIENCE = 900.0
"""Seconds that anything may take; on a quiet machine nothing takes a tenth of it."""
TAIL = 3000
"""Characters of each log that a failure shows."""
OVER = {TickStatus.SKIPPED, TickStatus.SUCCESS}


class Installation:
    """A copy of the project's code with a home of its own, and the processes that work on it.

    Parameters
    ----------
    folder
        An empty folder, for code, home, results and logs.
    environment
        What its processes find in theirs, beside what the tests' own have.
    """

    instance: dg.DagsterInstance

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.code, self.logs, self.output = folder / "code", folder / "logs", folder / "output"
        self.home = Home(folder / "home")
        for package in ("cassia_dagster", "assets", "resources"):
            shutil.copytree(PROJECT / package, self.code / package, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("workspace.yaml", "dagster.yaml"):
            shutil.copy(PROJECT / file, self.code)
        self.home.dagster.mkdir(parents=True)
        self.logs.mkdir()
        self.environment = os.environ | {
            "CASSIA_HOME": str(self.home.root),
            "DAGSTER_HOME": str(self.home.dagster),
            "PYTHONPATH": str(self.code),
            "CASSIA_NAMESAKES": "false",  # models that are played here call all clusters by one name
            **environment,
        }
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        self._after = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.instance = self._after.enter_context(dg.DagsterInstance.from_config(str(self.home.dagster)))
            self.command(TOOLS / "dagster", "sensor", "start", "--start-all", "-w", "workspace.yaml")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start what works on its own."""
        raise NotImplementedError

    def take_changed_code(self) -> None:
        """Have all of it work with the code as it is now."""
        raise NotImplementedError

    def break_down(self) -> None:
        """Kill, in the middle of a run, what has it; and do what an operator does then."""
        raise NotImplementedError

    @property
    def store(self) -> Path | str:
        """Replies and ledger."""
        return self.environment.get("CASSIA_MODEL_STORE") or self.home.model_store

    def command(self, *command: object) -> str:
        """Run a command as a user would; returns what it said."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            cwd=self.code,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-TAIL:]}\n{done.stderr[-TAIL:]}"
        return done.stdout

    def launch(self, name: str, *command: object) -> None:
        """Start a process that goes on, with a log of its own."""
        with (self.logs / f"{name}.log").open("a") as log:
            self.started[name] = subprocess.Popen(
                [str(part) for part in command],
                env=self.environment,
                cwd=self.code,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask all processes to end, and see to it that they do."""
        for process in self.started.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 30
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.kill()

    def kill(self) -> None:
        """Kill every process at once, as a power cut does."""
        deadline = time.monotonic() + 30
        while left := self.processes():
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            for one in self.started.values():
                one.poll()  # else a killed child would stay in the list of processes
            assert time.monotonic() < deadline, f"the processes {left} cannot be killed"
            time.sleep(0.1)
        self.started.clear()

    def end(self) -> None:
        """Leave nothing running."""
        self._after.close()
        self.stop()

    def processes(self) -> list[int]:
        """Return all processes of this installation: those whose home is its own."""
        mark = f"\0CASSIA_HOME={self.home.root}\0".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is another user's
                if mark in b"\0" + (place / "environ").read_bytes():
                    found.append(int(place.name))
        return found

    def wait_until(self, true: Callable[[], Any], what: str) -> None:
        """Wait until something is true, for a bounded time; a failure says what it was and what the logs say."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            ended = [name for name, process in self.started.items() if process.poll() is not None]
            assert not ended, f"While it was awaited that {what}: {ended} ended.\n{self.tails()}"
            assert time.monotonic() < deadline, f"It was awaited for {PATIENCE:.0f} s that {what}.\n{self.tails()}"
            time.sleep(0.5)

    def wait_until_quiet(self, looks: int = 2) -> None:
        """Wait until both sensors have looked a few times and found nothing to request, and nothing runs."""
        begun = time.time()

        def quiet() -> bool:
            nonlocal begun
            if any(not run.is_finished for run in self.instance.get_runs()):
                begun = time.time()
            return all(len(self.idle_looks(sensor, begun)) >= looks for sensor in ("watch_catalog", "request_changes"))

        self.wait_until(quiet, f"nothing more is requested in {looks} looks")

    def idle_looks(self, sensor: str, since: float) -> list[float]:
        """Return when a sensor looked and requested nothing, since a time and since it last requested something."""
        (state,) = [one for one in self.instance.all_instigator_state() if one.name == sensor]
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        idle = []
        for tick in sorted(ticks, key=lambda tick: tick.timestamp):
            assert tick.status is not TickStatus.FAILURE, f"{sensor}: {tick.tick_data.error}"
            if tick.run_ids:
                idle.clear()
            elif tick.status in OVER:
                idle.append(tick.timestamp)
        return idle

    def tails(self) -> str:
        """Say what runs there were, what was made, and how the logs end."""
        runs = [
            f"{run.status.value} {run.tags.get('dagster/partition')} {sorted(map(str, run.asset_selection or ()))}"
            for run in self.instance.get_runs()
        ]
        logs = [f"{log.name}: …{log.read_text(errors='replace')[-TAIL:]}" for log in sorted(self.logs.glob("*.log"))]
        return "\n".join([*runs, str(self.made()), *logs])

    def made(self) -> Counter[tuple[str, str]]:
        """Count how often each asset of each dataset was made, by Dagster's own word."""
        events = [event for key in MADE for event in self.instance.fetch_materializations(key, limit=100).records]
        return Counter(
            (str(event.partition_key).partition("|")[0], event.asset_key.to_user_string()) for event in events
        )

    def calls(self, dataset: str, state: str) -> list[Call]:
        """Return the calls about a dataset that are in a state, by the ledger."""
        with Store.open(self.store) as store:
            return [call for call in store.calls(subject=dataset) if call.state == state]


class OneMachine(Installation):
    """``cassia-dagster ui``: web server, daemon and code server, SQLite, a folder of artifacts."""

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.launch("ui", sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", self._port)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            log = (self.logs / "ui.log").read_text()[-TAIL:]
            assert self.started["ui"].poll() is None, f"The web server ended: {log}"
            assert time.monotonic() < deadline, f"No web server within {PATIENCE:.0f} s: {log}"
            time.sleep(0.5)

    def take_changed_code(self) -> None:
        """Click on Reload."""
        mutation = 'mutation { reloadRepositoryLocation(repositoryLocationName: "cassia-dagster") { __typename } }'
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/graphql",
            json.dumps({"query": mutation}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert b"WorkspaceLocationEntry" in response.read()

    def break_down(self) -> None:
        """Kill everything, and start it again."""
        self.kill()
        self.start()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self._port}/server_info", timeout=5).close()
        except OSError:
            return False
        return True


class SeveralMachines(Installation):
    """`deploy/dagster.yaml`: PostgreSQL, a bucket, the daemon, and two Celery workers on a Redis.

    Parameters
    ----------
    folder, environment
        As of every installation.
    database, broker, bucket
        Addresses.
    """

    def __init__(self, folder: Path, environment: dict[str, str], database: str, broker: str, bucket: str) -> None:
        server = urlsplit(database)
        super().__init__(
            folder,
            environment
            | {
                "CASSIA_ARTIFACTS": bucket,
                "CASSIA_MODEL_STORE": database,
                "CASSIA_CELERY_BROKER": broker,
                "DAGSTER_POSTGRES_HOST": str(server.hostname),
                "DAGSTER_POSTGRES_USER": str(server.username),
                "DAGSTER_POSTGRES_PASSWORD": "any",
                "DAGSTER_POSTGRES_DB": server.path.strip("/"),
            },
        )
        instance = yaml.safe_load((PROJECT / "deploy" / "dagster.yaml").read_text())
        instance["storage"]["postgres"]["postgres_db"]["port"] = server.port
        (self.home.dagster / "dagster.yaml").write_text(yaml.safe_dump(instance))

    def start(self) -> None:
        self.launch("daemon", TOOLS / "dagster-daemon", "run", "-w", "workspace.yaml")
        for number in (1, 2):
            self._start_worker(f"worker-{number}")

    def take_changed_code(self) -> None:
        """Start the new image in place of the old one."""
        self.stop()
        self.start()

    def break_down(self) -> None:
        """Kill the worker that has the run; the other one goes on."""
        (busy,) = {name for name in self._workers() if self.started[name].pid in self._sessions_that_ask()}
        os.killpg(self.started.pop(busy).pid, signal.SIGKILL)

    def _start_worker(self, name: str) -> None:
        self.launch(name, TOOLS / "celery", "-A", "cassia_dagster.celery_app", "worker", "-n", f"{name}@%h")

    def _workers(self) -> Iterator[str]:
        return (name for name in self.started if name.startswith("worker"))

    def _sessions_that_ask(self) -> set[int]:
        """Return the sessions of the processes that have a call under way."""
        with Store.open(self.store) as store:
            return {os.getsid(int(call.process.partition("@")[0])) for call in store.calls() if call.state == "sent"}
