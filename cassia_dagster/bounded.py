"""Reads the tables that users hand in, packed or not, up to a size: a few kB of gzip can hold any number of GB."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from cassia_dagster.errors import InputError

LARGEST = 300_000_000
"""Bytes of text; the full ranking of thirty thousand genes in a hundred clusters has fewer."""


def read_bounded(path: Path, largest: int = LARGEST) -> io.BytesIO:
    """Read a text file, unpacked if its name ends in ``.gz``, and nothing of one that is too large.

    Parameters
    ----------
    path
        The file.
    largest
        Bytes that it may have once it is unpacked. No more than these are ever held.

    Raises
    ------
    InputError
        If it is larger, not there, or damaged.
    """
    try:
        packed = path.stat().st_size
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as file:
                content = file.read(largest + 1)
        elif packed > largest:
            content = b""
        else:
            content = path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}). Is it whole, and yours to read?") from error
    if len(content) > largest or (packed > largest and not content):
        unpacked = "unpacked, it has" if content else "it has"
        raise InputError(
            f"{path} is too large for a table of this kind: {unpacked} more than {largest / 1e6:,.0f} MB. "
            "Keep the rows that are needed: of markers, the significant ones."
        )
    return io.BytesIO(content)
