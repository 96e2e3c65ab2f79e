"""The account of calls as a table that other programs read; the store remains the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.files import replacing
from cassia_dagster.llm.ledger import Call

if TYPE_CHECKING:
    import pyarrow as pa


def write_ledger(calls: Iterable[Call], path: Path) -> int:
    """Write rows of the ledger as parquet, and return how many there were.

    Parameters
    ----------
    calls
        The rows, with the names of `Call`.
    path
        The file; it is replaced as a whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [asdict(call) for call in calls]
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), temporary)
    return len(rows)


def _schema() -> pa.Schema:
    """Give every column its type, also where no row has a value."""
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
    return pa.schema([(field.name, types.get(str(field.type), pa.string())) for field in fields(Call)])
