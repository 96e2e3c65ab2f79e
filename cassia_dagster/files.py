"""Files that are either whole or not there: a killed run leaves no half a table behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.processes import is_running, name_of_process


def make_folder(folder: Path, what: str) -> None:
    """Make a folder, or raise `ConfigurationError` that says what it would have been."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{what} {folder} cannot be made: {error.strerror}.") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the place of ``path`` when the block succeeds.

    Parameters
    ----------
    path
        The file to make or to replace; its folder is made if needed.

    Yields
    ------
    Path
        A path in the same folder (a rename is atomic within a file system only), with the same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    # The name does not grow with that of the target, which may be as long as the file system allows.
    temporary = path.with_name(f"{_mark()}{name_of_process(os.getpid())}.{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes of this machine left half-written; of other machines' nothing is known."""
    mark = _mark()
    for left in folder.glob(f"{mark}*"):
        process = left.name.removeprefix(mark).partition(".")[0]
        if not is_running(process):
            left.unlink(missing_ok=True)


def _mark() -> str:
    return f".writing-{socket.gethostname()}-"
