"""Artifacts as files or remote objects: whole or not there, and on this disk when a library must open them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from upath import UPath

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import replacing
from resources.home import Home

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az"}
"""Address → the extra of this package that installs its client."""

MOST_BYTES = 50 * 10**9
"""What downloads may take on this disk."""
IN_USE = 3600.0
"""Seconds in which a download that was asked for is not removed: somebody may be about to open it."""
_SUM = "sha256"

type Place = Path | UPath


def artifact_root(root: str) -> Place:
    """Return the folder, on this machine or at an address, that artifacts lie in.

    Raises
    ------
    ConfigurationError
        If nothing can be kept at that address, or its client is not installed.
    """
    scheme, mark, _ = root.partition("://")
    if not mark:
        return UPath(root)
    if scheme not in EXTRAS:
        raise ConfigurationError(
            f"Artifacts cannot be kept at {root!r}. Give a folder, or an address that begins with "
            f"{', '.join(f'{known}://' for known in EXTRAS)}."
        )
    try:
        # Another machine may have written a moment ago, so nothing is believed of earlier listings.
        place = UPath(root, use_listings_cache=False)
        _client(place)
    except ImportError as error:
        raise ConfigurationError(
            f"The client for {root!r} is not installed ({error}). Install it with the extra {EXTRAS[scheme]}: "
            f"`uv sync --extra {EXTRAS[scheme]}`."
        ) from error
    return place


def is_remote(place: Place) -> bool:
    """Tell whether that is an address and no path of this machine."""
    return not isinstance(place, Path)


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
    with tempfile.TemporaryDirectory(prefix="cassia-put-") as folder:
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
    client = _client(place)
    folder = Home.from_environment().downloads
    # What tells one content of an object from the next: its ETag or generation.
    key = hashlib.sha256(f"{place} {client.ukey(place.path)}".encode()).hexdigest()
    path = folder / f"{key[:32]}{place.suffix}"
    if path.exists():
        path.touch()
        return path
    _make_room(folder, client.size(place.path))
    with replacing(path) as temporary:
        client.get_file(place.path, str(temporary))
        put = client.metadata(place.path).get(_SUM) if place.protocol == "s3" else None
        if put and put != _sum_of(temporary):
            raise OSError(f"{place} has another checksum than when it was written. Materialize its asset again.")
    return path


def _client(place: UPath) -> AbstractFileSystem:
    client: AbstractFileSystem = place.fs
    return client


def _make_room(folder: Path, needed: int) -> None:
    """Remove the downloads that were not used for longest, until another one fits."""
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(
        ((file.stat(), file) for file in folder.iterdir() if file.is_file()), key=lambda one: one[0].st_mtime
    )
    kept = sum(state.st_size for state, _ in files)
    for state, file in files:
        if kept + needed <= MOST_BYTES or state.st_mtime > time.time() - IN_USE:
            return
        file.unlink(missing_ok=True)
        kept -= state.st_size


def _sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _SUM).hexdigest()


def remove(place: Place) -> None:
    """Remove a file or an object; nothing happens if it is gone already."""
    place.unlink(missing_ok=True)


def copy_to(place: Place, source: Path) -> None:
    """Put a local file at a place."""
    with putting(place) as temporary:
        shutil.copyfile(source, temporary)
