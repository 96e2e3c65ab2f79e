"""Files that are either whole or not there: a killed run leaves no half a table behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


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
    # The name does not grow with that of the target, which may be as long as the file system allows.
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
