"""How the knowledge tables are read: small files that ship with the package, without any heavy library."""

from __future__ import annotations

import csv
import gzip
import json
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

_DATA = files(__package__) / "data"


def read_rows(name: str) -> Iterator[list[str]]:
    """Rows of a tab- or comma-separated table, without its comments and its header.

    Parameters
    ----------
    name : str
        File name in the package's data folder; ``.gz`` is decompressed, ``.csv`` is split at commas.
    """
    content = (_DATA / name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    if name.endswith(".csv"):
        rows: Iterator[list[str]] = csv.reader(lines)
    else:
        rows = (line.split("\t") for line in lines)
    next(rows)
    return rows


def read_toml(name: str) -> dict[str, Any]:
    """A hand-written table of judgements."""
    return tomllib.loads((_DATA / name).read_text(encoding="utf-8"))


@cache
def versions() -> dict[str, str]:
    """Version of each source of the tables, as written when they were built."""
    found: dict[str, str] = json.loads((_DATA / "versions.json").read_text(encoding="utf-8"))
    return found
