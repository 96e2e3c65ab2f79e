"""The command that looks at everything a run needs, and says what to do next; it asks no model unless told to."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel

from cassia_dagster import __version__
from cassia_dagster.commands.datasets import HomeOption
from cassia_dagster.commands.models import cast_in_environment
from cassia_dagster.errors import CassiaError, ConfigurationError
from resources.home import home_of

if TYPE_CHECKING:
    from resources.home import Home
    from resources.llm import ModelResource

LIBRARIES = ("dagster", "scanpy", "anndata", "litellm")
SCARCE_DISK = 5e9
"""Bytes; a dataset of 50,000 cells with its artifacts takes about one gigabyte."""
PATIENCE = 5
"""Seconds that a database server gets to answer, each time that Dagster tries it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was looked at."""

    what: str
    state: str
    to_do: str = ""
    """What the user should do about it; empty where all is well."""


class Ready(BaseModel):
    """What a provider is asked to say, to see whether it answers."""

    ready: bool


def doctor(
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask each chosen model one short question, which may cost a little.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Say what is configured, what is missing, and what to do next. No key is shown, and no model is asked unbidden."""
    from rich.console import Console

    from cassia_dagster.commands.terminal import as_typed, plain

    console, place = Console(highlight=False), home_of(home)
    looks: tuple[Callable[[Home], Iterator[Seen]], ...] = (_versions, _room, _catalog, _manual_labels, _models, _pools)
    troubles = 0
    for look in (*looks, _answers) if ask else looks:
        for seen in look(place):
            troubles += bool(seen.to_do)
            mark = "[yellow]![/]" if seen.to_do else "[green]✓[/]"
            console.print(f"{mark} {seen.what:<15}{plain(seen.state)}", soft_wrap=True)
            if seen.to_do:
                console.print(f"  → {plain(seen.to_do)}", soft_wrap=True)
    if troubles:
        raise ConfigurationError(f"{troubles} of these want your attention; the arrows say what to do.")
    console.print(
        f"[dim]All is well. `{as_typed('cassia-dagster demo')}` shows the whole; "
        f"`{as_typed('cassia-dagster run FILE')}` takes yours.[/]",
        soft_wrap=True,
    )


def _versions(_: Home) -> Iterator[Seen]:
    libraries = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    yield Seen("versions", f"cassia-dagster {__version__}, Python {platform.python_version()}, {libraries}")


def _room(home: Home) -> Iterator[Seen]:
    from cassia_dagster.singlecell.memory import memory_of_machine

    there = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    state = str(home.root) if home.root.exists() else f"{home.root} is not made yet; the first run makes it"
    mend = "" if os.access(there, os.W_OK) else f"{there} cannot be written: choose another folder with --home."
    yield Seen("home", state, mend)
    free = shutil.disk_usage(there).free
    scarce = f"Less than {SCARCE_DISK / 1e9:.0f} GB are free: `cassia-dagster gc` removes what is superfluous."
    yield Seen("disk", f"{free / 1e9:,.0f} GB free", scarce if free < SCARCE_DISK else "")
    yield Seen("memory", f"{memory_of_machine() / 1e9:,.0f} GB, {os.cpu_count() or 1} processors")


def _catalog(home: Home) -> Iterator[Seen]:
    from resources.catalog import Catalog

    try:
        sound, broken = Catalog.read_sound(home.catalog)
    except ConfigurationError as error:
        yield Seen("datasets", "the catalog cannot be read", str(error))
        return
    yield Seen("datasets", f"{len(sound.datasets):,} in {home.catalog}")
    for name, trouble in broken.items():
        yield Seen("dataset", name, trouble)
    for entry in sound.datasets:
        if missing := [path for path in (entry.path, *entry.tables) if not path.exists()]:
            yield Seen("dataset", entry.name, f"There is no file {missing[0]}. Put it back, or change its path.")


def _manual_labels(home: Home) -> Iterator[Seen]:
    from resources.manual_labels import read_manual_labels

    try:
        number = len(read_manual_labels(home.manual_labels))
    except ConfigurationError as error:
        yield Seen("manual labels", "the file cannot be read", str(error))
        return
    yield Seen("manual labels", f"{number:,} in {home.manual_labels}" if number else "none")


def _models(_: Home) -> Iterator[Seen]:
    from resources.llm import EMBEDDED

    try:
        cast = cast_in_environment()
    except CassiaError as error:
        yield Seen("models", "the environment says what cannot be used", str(error))
        return
    for title, (model, roles) in _by_title(cast).items():
        played = "all roles" if len(roles) == len(cast) else ", ".join(roles)
        if title == EMBEDDED:
            yield Seen("model", f"{title} for {played}: no key, no network, no cost")
            continue
        try:
            model.check()
        except CassiaError as error:
            yield Seen("model", f"{title} for {played}", str(error))
        else:
            yield Seen("model", f"{title} for {played}; what it needs is set")


def _pools(home: Home) -> Iterator[Seen]:
    """Look at the limits that somebody set: one on a pool that no step uses bounds nothing."""
    if (instance := _instance(home)) is None:
        return
    from assets.pools import pools_of_models

    try:
        used, limits = pools_of_models(), _limits_of(instance)
    except Exception as error:  # noqa: BLE001 - whatever the storage raises
        cause = error.__cause__ or error
        why = str(cause).strip() or type(cause).__name__
        yield Seen("limits", f"the pools of the instance in {instance} cannot be looked at", why)
        return
    unlimited = sorted(used - limits.keys())
    unused = sorted(pool for pool in limits.keys() - used if pool == "llm" or pool.startswith("llm-"))
    for pool in unused if unlimited else ():
        yield Seen(
            "limit",
            f"{limits[pool]:,} steps at once in the pool {pool}, which no step uses",
            f"The steps that ask models are in {' and '.join(sorted(used))} now. Set the limit there: "
            f"`dagster instance concurrency set {unlimited[0]} {limits[pool]}`, with DAGSTER_HOME={instance}.",
        )


def _limits_of(instance: Path) -> dict[str, int]:
    """Read the limits that somebody set on pools, of what is there: Dagster itself would make what it does not find."""
    import yaml
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.storage.event_log.base import EventLogStorage
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from dagster._serdes import ConfigurableClassData

    os.environ.setdefault("PGCONNECT_TIMEOUT", str(PATIENCE))  # PostgreSQL's own, which is without end if not set
    ref: Any = InstanceRef.from_dir(str(instance))
    kept: ConfigurableClassData | None = ref.event_storage_data
    if kept is None:  # SQLite in a folder that an environment variable names
        folder = os.environ[yaml.safe_load(ref.storage_data.config_yaml)["base_dir"]["env"]]
        place = yaml.dump({"base_dir": str(Path(folder, "history", "runs"))})
        kept = ConfigurableClassData("dagster._core.storage.event_log", "SqliteEventLogStorage", place)
    said = yaml.safe_load(kept.config_yaml)
    if "base_dir" in said and not (Path(said["base_dir"]) / "index.db").exists():
        return {}
    if kept.module_name in {"dagster_postgres", "dagster_mysql"}:
        kept = kept._replace(config_yaml=yaml.dump(said | {"should_autocreate_tables": False}))
    storage = kept.rehydrate(as_type=EventLogStorage)  # type: ignore[type-abstract] # it makes a kind of it
    if isinstance(storage, SqlEventLogStorage) and not storage.has_table("concurrency_slots"):
        return {}
    return {one.name: one.limit for one in storage.get_pool_limits() if not one.from_default}


def _instance(home: Home) -> Path | None:
    """Find the Dagster instance that is there: the one that ``DAGSTER_HOME`` names, else the home's; none is made."""
    named = os.environ.get("DAGSTER_HOME")
    places = (*([Path(named).expanduser().absolute()] if named else []), home.dagster)
    return next((place for place in places if (place / "dagster.yaml").is_file()), None)


def _answers(home: Home) -> Iterator[Seen]:
    from cassia_dagster.llm.errors import UnusableReply
    from cassia_dagster.llm.question import Question
    from cassia_dagster.llm.store import Store
    from resources.llm import EMBEDDED

    question = Question(
        role="doctor",
        subject="doctor",
        request=Ready(ready=True),
        system="You are asked whether you can be reached.",
        user='Answer with the JSON object {"ready": true} and nothing else.',
        reply_type=Ready,
        template="doctor",
        replicate=int(time.time()),  # a stored answer would say nothing of now
    )
    for title, (model, _) in _by_title(cast_in_environment()).items():
        if title == EMBEDDED:
            continue
        try:
            with Store.open(home.model_store, run="doctor") as store:
                answer = model.door(store).ask(question)
        except (CassiaError, UnusableReply) as error:
            yield Seen("answer", f"{title} gave none", str(error))
        else:
            price = "an unknown price" if answer.usd is None else f"{answer.usd:.6f} USD"
            yield Seen("answer", f"{title} answered as {answer.model} within {answer.seconds:.1f} s for {price}")


def _by_title(cast: dict[str, ModelResource]) -> dict[str, tuple[ModelResource, list[str]]]:
    found: dict[str, tuple[ModelResource, list[str]]] = {}
    for role, model in cast.items():
        found.setdefault(model.title, (model, []))[1].append(role)
    return found
