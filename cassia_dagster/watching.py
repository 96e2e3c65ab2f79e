"""The sensor that sees new, changed, half-written and missing files, and tells Dagster of those that stand still."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from assets.manual_labels import observe_labels
from assets.partitions import BY_DATASET
from assets.raw_adata import observe
from cassia_dagster.errors import CassiaError, ConfigurationError
from cassia_dagster.singlecell.load import fingerprint
from resources.catalog import Catalog
from resources.manual_labels import read_manual_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resources.catalog import DatasetEntry

VERSION = "dagster/data_version"

SECONDS_PER_TICK = 20.0
"""What one look at the catalog may take; Dagster gives up on a sensor after 60."""
_PLACE = ""
"""Where the cursor remembers whose turn is next; no dataset can have this name."""
_LABELS = "/manual_labels"
"""Where it remembers what persons said of each dataset; nor this one."""


class Fingerprints:
    """Reads files in the background, for a large one takes longer than a sensor may."""

    def __init__(self) -> None:
        self._begun: dict[Path, _Reading] = {}

    def take(self, path: Path, state: str, deadline: float) -> str | None:
        """Return the fingerprint of a file in that state, or ``None`` if it is still being read.

        Parameters
        ----------
        path
            The file or folder.
        state
            Size, time and the like, which tell one content from the next.
        deadline
            In seconds of the monotonic clock.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        reading = self._begun.get(path)
        if reading is None or reading.state != state:
            reading = self._begun[path] = _Reading(path, state)
        reading.thread.join(max(0.0, deadline - time.monotonic()))
        if reading.thread.is_alive():
            return None
        del self._begun[path]
        if reading.error:
            raise reading.error
        return reading.fingerprint


class _Reading:
    def __init__(self, path: Path, state: str) -> None:
        self.state = state
        self.fingerprint: str | None = None
        self.error: OSError | None = None
        # It ends with the process, which need not wait for a large file.
        self.thread = threading.Thread(target=self._read, args=(path,), daemon=True)
        self.thread.start()

    def _read(self, path: Path) -> None:
        try:
            self.fingerprint = fingerprint(path)
        except OSError as error:
            self.error = error


def watch_catalog(catalog: Path, labels: Path) -> dg.SensorDefinition:
    """Make the sensor that tells Dagster of datasets and of the content of their files.

    Parameters
    ----------
    catalog
        The YAML file of datasets.
    labels
        The file of labels that persons gave.
    """
    hashed = Fingerprints()

    @dg.sensor(
        name="watch_catalog",
        description=(
            "Makes a partition of every dataset in the catalog, and reports its file when its content or its entry "
            "is new; and the labels that persons gave, when there are others. A file that is still being written waits "
            "until it stands still between two looks. Starts no run."
        ),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=10,
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
        try:
            sound, broken = Catalog.read_sound(catalog)
        except ConfigurationError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        entries = {entry.name: entry for entry in sound.datasets}
        deadline = time.monotonic() + SECONDS_PER_TICK
        after = {name: before[name] for name in (*entries, *broken) if name in before}
        notes = [f"{trouble} {name} is left out until this is mended." for name, trouble in broken.items()]
        events = []
        for position, name in enumerate(_in_turn(list(entries), before)):
            if position and time.monotonic() > deadline:
                after[_PLACE] = {"next": name}
                break
            try:
                after[name], event, note = _look(entries[name], before.get(name, {}), hashed, deadline)
            except (OSError, CassiaError) as error:
                after[name], event, note = {**before.get(name, {}), "files": ""}, None, f"{name}: {error}"
            events += [event] if event else []
            notes += [note] if note else []
        after[_LABELS], news, trouble = _look_at_labels(labels, list(entries), before.get(_LABELS, {}))
        events += news
        notes += trouble
        known = set(context.instance.get_dynamic_partitions("dataset"))
        gone = sorted(known - {*entries, *broken})
        notes += [f"{name}: no longer in the catalog; its results are kept." for name in gone]
        new = [name for name in entries if name not in known]
        for note in notes:
            context.log.warning(note)
        return dg.SensorResult(
            asset_events=events,
            dynamic_partitions_requests=[BY_DATASET.build_add_request(new)] if new else [],
            cursor=json.dumps(after),
            skip_reason="\n".join(notes) or (None if events or new else "Nothing has changed."),
        )

    return watch


def _in_turn(names: list[str], before: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Begin with the dataset that the last look had no time for."""
    first = before.get(_PLACE, {}).get("next", "")
    place = names.index(first) if first in names else 0
    return names[place:] + names[:place]


def _look(
    entry: DatasetEntry, before: Mapping[str, str], hashed: Fingerprints, deadline: float
) -> tuple[dict[str, str], dg.AssetMaterialization | None, str | None]:
    """Look at a dataset's files; return what to remember, what to report, and what to say.

    Content is hashed only when the state of the files, or the entry, differs from what was reported last.
    """
    files = _state(entry)
    said = hashlib.sha256(entry.model_dump_json().encode()).hexdigest()
    seen = {**before, "files": files}
    if before.get("files") != files:
        return seen, None, f"{entry.name}: {entry.path} is new or being written; it is looked at again in a moment."
    if before.get("reported") == f"{files} {said}":
        return seen, None, None
    contents = {path: hashed.take(path, files, deadline) for path in (entry.path, *entry.tables)}
    if None in contents.values():
        return seen, None, f"{entry.name}: {entry.path} is large and still being read."
    event = observe(entry, lambda path: contents[path] or "")
    if _state(entry) != files:
        return {**before, "files": ""}, None, f"{entry.name}: {entry.path} has changed while it was read."
    version = (event.tags or {})[VERSION]
    seen |= {"reported": f"{files} {said}", "version": version}
    # Where only the user's words are new, such as notes, they are shown anew; the same version starts nothing.
    known = version == before.get("version") and before.get("reported", "").endswith(said)
    return seen, (None if known else event), None


def _look_at_labels(
    labels: Path, datasets: list[str], before: Mapping[str, str]
) -> tuple[dict[str, str], list[dg.AssetMaterialization], list[str]]:
    """Look at what persons said; of a file that cannot be read, what was said before stays."""
    try:
        said = groupby(sorted(read_manual_labels(labels), key=attrgetter("dataset")), key=attrgetter("dataset"))
    except CassiaError as error:
        return dict(before), [], [str(error)]
    of_dataset = {name: list(group) for name, group in said}
    seen = {name: observe_labels(name, labels, of_dataset.get(name, [])) for name in datasets}
    after = {name: (event.tags or {})[VERSION] for name, event in seen.items()}
    return after, [seen[name] for name in datasets if before.get(name) != after[name]], []


def _state(entry: DatasetEntry) -> str:
    """Return sizes, times of modification and inodes of a dataset's files in few letters, or say which is missing."""
    paths = [entry.path, *entry.tables]
    if missing := [str(path) for path in paths if not path.exists()]:
        raise ConfigurationError(f"There is no file {missing[0]}. Put it back, or change its path in the catalog.")
    files = [part for path in paths for part in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    states = [file.stat() for file in files if file.is_file()]
    words = " ".join(f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}" for state in states)
    return hashlib.sha256(words.encode()).hexdigest()
