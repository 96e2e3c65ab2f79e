"""Encodes data for a prompt, so that no text in it can be taken for a part of the prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Undefined

from cassia_dagster.records import ClusterEvidence, GeneLookup, Record

LONGEST_TEXT = 2000
"""Characters of one text in a prompt; a tissue or a context that says more is cut."""

LONGEST_CELL = 80
"""Characters of one name in a table; no gene has a longer one."""

LONGEST_LIST = 10
"""Names in one place of a table."""

_CUT = "…"


def inert(value: Any, without: Iterable[str] = ()) -> str:
    """Write a value as JSON in one line, in which nothing can close the block that it stands in.

    Of a cluster all is shown but ids, which may be the user's own names of cell types.

    Parameters
    ----------
    value
        A record, a sequence of them, or plain data.
    without
        Fields of the record that are shown elsewhere.
    """
    encoded = json.dumps(_plain(value, set(without)), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _harmless(encoded)


def table(rows: Iterable[Record], *columns: str) -> str:
    """Write records as tab-separated lines under a header: a third of the tokens of the same as JSON."""
    if isinstance(rows, Undefined):
        str(rows)  # raises, and names what the template asked for
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(getattr(row, column)) for column in columns) for row in rows]
    return "\n".join(lines)


def lookup_table(lookups: Iterable[GeneLookup]) -> str:
    """Write what was found of genes: in the cluster, in the rest, and against the clusters most like it."""
    if isinstance(lookups, Undefined):
        str(lookups)
    lines = ["gene\tfinding\tmean\tpct\tmean_rest\tpct_rest\tlog2FC\tagainst similar clusters"]
    for one in lookups:
        # By rank: a clustering of the user's own may be named after the very cell types that are asked for.
        near = "; ".join(
            f"nearest {rank}: {near.expression} (log2FC {_cell(near.log2FC)})"
            for rank, near in enumerate(one.nearest, start=1)
        )
        cells = (one.gene, one.expression, one.mean, one.pct, one.rest.mean, one.rest.pct, one.rest.log2FC, near)
        lines.append("\t".join(map(_cell, cells)))
    return "\n".join(lines)


FILTERS = {"inert": inert, "table": table, "lookup_table": lookup_table}


def _plain(value: Any, without: set[str]) -> Any:
    match value:
        case Undefined():
            str(value)  # raises, and names what the template asked for
        case ClusterEvidence():
            hidden: Any = {"cluster": True, "nearest": {"__all__": {"cluster"}}, **dict.fromkeys(without, True)}
            # What a lab's table says is in candidates and findings; its version would only make every question new.
            hidden["lab_markers"] = True
            return _plain(value.model_dump(mode="json", exclude_defaults=True, exclude=hidden), set())
        case Record():
            return _plain(value.model_dump(mode="json", exclude_defaults=True, exclude=without), set())
        case str():
            return _cut(value, LONGEST_TEXT)
        case Mapping():
            return {key: _plain(one, set()) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one, without) for one in value]
    return value


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case tuple():
            return " ".join(map(_cell, value[:LONGEST_LIST]))
        case float():
            return f"{value:g}"
        case str():
            # A quotation mark is as harmless in a table as it is in a sentence.
            return _harmless(_cut(value, LONGEST_CELL).replace("\\", "\\\\"))
    return str(value)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(_CUT)] + _CUT


def _harmless(text: str) -> str:
    """Spell out what could close a block or a line, and what a reader would not see."""
    return "".join(one if one.isprintable() and one not in "<>" else _spelled_out(one) for one in text)


def _spelled_out(character: str) -> str:
    return f"\\u{ord(character):04x}" if character in "<>" else json.dumps(character)[1:-1]
