"""Records as parquet, with a schema that follows from their type and not from the rows at hand."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAliasType, Union, get_args, get_origin

from cassia_dagster.records import Record
from resources.artifact_files import on_disk

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath


def to_arrow(records: Sequence[Record]) -> "pa.Table":
    """Put records of one type into a table, nested fields and all.

    Raises
    ------
    ValueError
        If there is none: an empty sequence does not tell its type.
    """
    import pyarrow as pa

    if not records:
        raise ValueError("A table of records needs at least one record.")
    rows = [record.model_dump(mode="json") for record in records]
    return pa.Table.from_pylist(rows, schema=pa.schema(_fields(type(records[0]))))


def read_records[R: Record](path: "Path | UPath", record: type[R]) -> list[R]:
    """Read what `to_arrow` and parquet made of records."""
    import pyarrow.parquet as pq

    # By its path: a thread of pyarrow that still holds an object of Python's when the process ends brings it down.
    table = pq.read_table(str(on_disk(path)), page_checksum_verification=True)
    return [record.model_validate(row) for row in table.to_pylist()]


def _fields(record: type[Record]) -> "list[tuple[str, pa.DataType]]":
    return [(name, _arrow_type(field.annotation)) for name, field in record.model_fields.items()]


def _arrow_type(annotation: Any) -> "pa.DataType":
    import pyarrow as pa

    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, TypeAliasType) or origin is Annotated:
        return _arrow_type(arguments[0] if arguments else annotation.__value__)
    if origin in (Union, UnionType):
        return _arrow_type(next(argument for argument in arguments if argument is not NoneType))
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return pa.struct(_fields(annotation))
    # An enum is kept by its value, a literal by its text.
    scalars = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    return scalars.get(annotation, pa.string())
