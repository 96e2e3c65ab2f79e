"""Artifacts as files or remote objects: whole or not there, and on this disk when a library must open them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.files import replacing
from resources.home import Home
from resources.places import Place

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from upath import UPath

MOST_BYTES = 50 * 10**9
"""What downloads may take on this disk."""
IN_USE = 3600.0
"""Seconds in which a download that was asked for is not removed: somebody may be about to open it."""
ATTEMPTS = 5
"""Times that an object is downloaded that others replace meanwhile."""
_SUM = "sha256"


@contextmanager
def putting(place: Place) -> Iterator[Path]:
    """Give a temporary local path to write to, which takes the place of the artifact when the block succeeds.

    A local file is renamed, an object is put as a whole: who reads meanwhile sees the old one or the new one, and of
    two writers the later one wins entirely.
    """
    if isinstance(place, Path):
        with replacing(Path(place)) as temporary:
            yield temporary
        return
    near = Home.from_environment().downloads
    near.mkdir(parents=True, exist_ok=True)
    # Beside the downloads, for the usual folder of temporary files may be in memory.
    with tempfile.TemporaryDirectory(prefix=".put-", dir=near) as folder:
        temporary = Path(folder) / place.name
        yield temporary
        # S3 keeps a few words beside an object, in the same step; other clients check transfers by themselves.
        said = {"Metadata": {_SUM: _sum_of(temporary)}} if place.protocol == "s3" else {}
        _client(place).put_file(str(temporary), place.path, **said)


def on_disk(place: Place) -> Path:
    """Return a local path of an artifact, which is downloaded if it lies elsewhere and is not here yet.

    Raises
    ------
    FileNotFoundError
        If there is no such artifact.
    OSError
        If what came is not what was put there.
    """
    if isinstance(place, Path):
        return Path(place)
    found = set()
    for _ in range(ATTEMPTS):
        try:
            return _download(place, _client(place), Home.from_environment().downloads)
        except _AnotherContentError as error:
            found.add(str(error))
    # What is damaged comes the same every time; what others write meanwhile comes in several ways.
    if len(found) == 1 and (damage := found.pop()):
        raise OSError(f"{place} {damage}. Materialize its asset again.")
    raise OSError(f"{place} was replaced {ATTEMPTS} times while it was read. Run again when its writers are done.")


class _AnotherContentError(Exception):
    """What came is not what was asked for; it may be the next time. Says in what it differs from what was put."""


def _download(place: UPath, client: AbstractFileSystem, folder: Path) -> Path:
    """Return the local copy of an object.

    Raises
    ------
    _AnotherContentError
        If the object was replaced meanwhile, perhaps by one that was replaced by the first again, or is damaged.
    """
    # What tells one content of an object from the next: its ETag or generation.
    version = client.ukey(place.path)
    path = folder / f"{hashlib.sha256(f'{place} {version}'.encode()).hexdigest()[:32]}{place.suffix}"
    with suppress(FileNotFoundError):  # or somebody makes room just now
        if path.stat().st_mtime < time.time() - IN_USE / 2:  # who holds its content knows it by that time, too
            os.utime(path)
        return path
    _make_room(folder, client.size(place.path))
    put = client.metadata(place.path).get(_SUM) if place.protocol == "s3" else None
    with tempfile.TemporaryDirectory(prefix=".get-", dir=folder) as new:
        temporary = Path(new) / path.name
        client.get_file(place.path, str(temporary))
        if client.ukey(place.path) != version:
            raise _AnotherContentError
        # Replaced by another and back again between two of these questions, it differs, too, but not five times alike.
        if put and put != (came := _sum_of(temporary)):
            raise _AnotherContentError(f"has another checksum than when it was written: {came}, and not {put}")
        temporary.replace(path)
    return path


def _client(place: UPath) -> AbstractFileSystem:
    client: AbstractFileSystem = place.fs
    return client


def _make_room(folder: Path, needed: int) -> None:
    """Remove the downloads that were not used for longest, until another one fits."""
    folder.mkdir(parents=True, exist_ok=True)
    # Who asks marks a file only if its mark is half that old, so half of it is added.
    files = sorted(_files_in(folder), key=lambda one: one[0].st_mtime)
    kept = sum(state.st_size for state, _ in files)
    for state, file in files:
        if kept + needed <= MOST_BYTES or state.st_mtime > time.time() - 1.5 * IN_USE:
            return
        file.unlink(missing_ok=True)
        kept -= state.st_size


def _files_in(folder: Path) -> Iterator[tuple[os.stat_result, Path]]:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # somebody else makes room, too
            state = path.stat()
            if stat.S_ISREG(state.st_mode):
                yield state, path


def _sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _SUM).hexdigest()


def copy_to(place: Place, source: Path) -> None:
    """Put a local file at a place."""
    with putting(place) as temporary:
        shutil.copyfile(source, temporary)
