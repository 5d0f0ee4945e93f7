"""Frames as Avro: the schema that follows from the column types alone, and the records as Avro stores them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import fastavro
import polars as pl
from polars.datatypes import DataTypeClass

from schemas.avro.schema import TIME, AvroSchema, decimal_type

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEMAS_KEPT = 16
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


def frame_schema(columns: Mapping[str, pl.DataType | DataTypeClass], name: str) -> AvroSchema:
    """Return the record schema of frames with these columns; every field may be null, whatever the data.

    >>> frame_schema({"upc": pl.String()}, "Totals").text
    '{"type": "record", "name": "Totals", "fields": [{"name": "upc", "type": ["null", "string"]}]}'

    Raises:
        ValueError: Avro has no type for a column, or cannot use its name.
    """
    return _schema(tuple(columns.items()), name)


@lru_cache(_SCHEMAS_KEPT)
def _schema(columns: tuple[tuple[str, pl.DataType | DataTypeClass], ...], name: str) -> AvroSchema:
    return AvroSchema(json.dumps(_record(dict(columns), name)))


def avro_records(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows with their values as Avro stores them, which halves the time: fastavro converts one by one."""
    columns = map(_stored, rows.iter_columns())
    return (dict(zip(rows.columns, values, strict=True)) for values in zip(*columns, strict=True))


def encode_bodies(rows: pl.DataFrame, schema: AvroSchema) -> list[bytes]:
    """Return the body of each row, by the schema that :func:`frame_schema` made of its columns."""
    bodies: list[bytes] = []
    for record in avro_records(rows):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema.parsed, record, strict=True)
        bodies.append(body.getvalue())
    return bodies


def _stored(column: pl.Series) -> list[Any]:
    if column.dtype.is_decimal():
        return [None if units is None else _decimal_bytes(units) for units in column.to_physical()]
    return (column.to_physical() if column.dtype.is_temporal() else column).to_list()


def _decimal_bytes(units: int) -> bytes:
    return units.to_bytes(units.bit_length() // 8 + 1, "big", signed=True)


def _record(columns: Mapping[str, pl.DataType | DataTypeClass], name: str) -> dict[str, Any]:
    fields = [{"name": column, "type": _nullable(dtype, f"{name}_{column}")} for column, dtype in columns.items()]
    for column in (name, *columns):
        if not _NAME.fullmatch(column):
            raise ValueError(f"Avro names have letters, digits and _ only, got {column!r}")
    return {"type": "record", "name": name, "fields": fields}


def _nullable(dtype: pl.DataType | DataTypeClass, path: str) -> list[Any] | str:
    of = _type(dtype if isinstance(dtype, pl.DataType) else dtype(), path)
    return of if of == "null" else ["null", of]


def _type(dtype: pl.DataType, path: str) -> Any:
    if isinstance(dtype, pl.Decimal):
        return decimal_type(dtype.scale)
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "us":
        return TIME
    if isinstance(dtype, pl.List):
        return {"type": "array", "items": _nullable(dtype.inner, path)}
    if isinstance(dtype, pl.Struct):
        return _record(dtype.to_schema(), path)
    if type(dtype) not in _PLAIN:
        raise ValueError(f"Avro has no type for {dtype}, of {path}")
    return _PLAIN[type(dtype)]
