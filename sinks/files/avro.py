"""Avro of frames: a schema that follows from the column types alone, and a container file of the rows."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import fastavro
import polars as pl
from polars.datatypes import DataTypeClass

from sinks.files.table_layout import instance

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYNC_BYTES = 16
_PLAIN: dict[type[pl.DataType], str | dict[str, str]] = {
    pl.Null: "null",
    pl.Boolean: "boolean",
    pl.Int8: "int",
    pl.Int16: "int",
    pl.Int32: "int",
    pl.Int64: "long",
    pl.UInt8: "int",
    pl.UInt16: "int",
    pl.UInt32: "long",
    pl.Float32: "float",
    pl.Float64: "double",
    pl.String: "string",
    pl.Binary: "bytes",
    pl.Date: {"type": "int", "logicalType": "date"},
}


def encode_avro(rows: pl.DataFrame, name: str = "Result") -> bytes:
    """Gives the container file, its blocks deflated; the same rows give the same bytes.

    Raises:
        ValueError: Avro has no type for a column, or cannot use its name.
    """
    schema = avro_schema(rows.schema, name)
    # The marker between blocks is random by custom; nothing asks more of it than to be rare in the data.
    marker = hashlib.blake2b(json.dumps(schema).encode(), digest_size=_SYNC_BYTES).digest()
    sink = io.BytesIO()
    columns = map(_values, rows.iter_columns())
    records = (dict(zip(rows.columns, values, strict=True)) for values in zip(*columns, strict=True))
    fastavro.writer(sink, schema, records, codec="deflate", sync_marker=marker)
    return sink.getvalue()


def avro_schema(schema: Mapping[str, pl.DataType | DataTypeClass], name: str) -> dict[str, Any]:
    """Gives the record schema of frames with these columns; every field may be null, whatever the data.

    >>> avro_schema({"upc": pl.String()}, "Totals")
    {'type': 'record', 'name': 'Totals', 'fields': [{'name': 'upc', 'type': ['null', 'string']}]}

    Raises:
        ValueError: Avro has no type for a column, or cannot use its name.
    """
    fields = [{"name": column, "type": _nullable(dtype, f"{name}_{column}")} for column, dtype in schema.items()]
    for column in (name, *schema):
        if not _NAME.fullmatch(column):
            raise ValueError(f"Avro names have letters, digits and _ only, got {column!r}")
    return {"type": "record", "name": name, "fields": fields}


def _values(column: pl.Series) -> list[Any]:
    """Gives the values as Avro stores them, which halves the time: its library converts one by one."""
    if column.dtype.is_decimal():
        return [None if units is None else _decimal_bytes(units) for units in column.to_physical()]
    return (column.to_physical() if column.dtype.is_temporal() else column).to_list()


def _decimal_bytes(units: int) -> bytes:
    bits = units.bit_length() + 1  # one for the sign
    return units.to_bytes(-(-bits // 8), "big", signed=True)


def _nullable(dtype: pl.DataType | DataTypeClass, path: str) -> list[Any] | str:
    of = _type(instance(dtype), path)
    return of if of == "null" else ["null", of]


def _type(dtype: pl.DataType, path: str) -> Any:
    if isinstance(dtype, pl.Decimal):
        return {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": dtype.scale}
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "us":
        return {"type": "long", "logicalType": "timestamp-micros"}
    if isinstance(dtype, pl.List):
        return {"type": "array", "items": _nullable(dtype.inner, path)}
    if isinstance(dtype, pl.Struct):
        return avro_schema(dtype.to_schema(), path)
    if type(dtype) not in _PLAIN:
        raise ValueError(f"Avro has no type for {dtype}, of {path}")
    return _PLAIN[type(dtype)]
