"""JSON of frames: a text per value, per row, per table, all made by polars expressions.

Decimals are JSON numbers with their exact digits, no zeros behind the last one and never an exponent: 2.6600 is written
as 2.66, 3.0000 as 3. Times are ISO 8601 in UTC, with microseconds only where there are any. Missing values are null,
and so are the floats that JSON cannot write (not a number, infinite).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import polars as pl

from sinks.files.table_layout import instance

_ESCAPES = {character: json.dumps(character)[1:-1] for character in (*map(chr, range(0x20)), '"', "\\")}


def json_lines(rows: pl.DataFrame) -> bytes:
    r"""Return an object per row, a line each, with the columns in their order.

    >>> json_lines(pl.DataFrame({"upc": ["4011"], "quantity": [3]}))
    b'{"upc":"4011","quantity":3}\n'

    Raises:
        ValueError: JSON has no way to write values of some type.
    """
    lines = rows.select(_object((name, json_text(pl.col(name), dtype)) for name, dtype in rows.schema.items()))
    text = lines.to_series().str.join("\n").item() if rows.height else ""
    return f"{text}\n".encode() if text else b""


def json_by_key(rows: pl.DataFrame, key: str, values: tuple[str, ...]) -> bytes:
    """Return one object on one line: for each key, in the order of the rows, the list of its values.

    Raises:
        ValueError: two rows have the same key, so that readers would see only one of them.
    """
    # A key that is missing is written as an empty text: an object has no other place for it.
    names = rows.select(pl.col(key).cast(pl.String).fill_null("")).to_series()
    if names.is_duplicated().any():
        again = names.filter(names.is_duplicated())[0]
        raise ValueError(f"shape by_key needs one row for each {key}, got several for {again!r}")
    texts = (json_text(pl.col(name), rows.schema[name]) for name in values)
    entry = pl.concat_str(_quoted(pl.lit(names)), pl.lit(":["), pl.concat_str(*texts, separator=","), pl.lit("]"))
    return b"{" + b",".join(text.encode() for text in rows.select(entry).to_series()) + b"}\n"


def json_text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the JSON text of each value.

    Raises:
        ValueError: JSON has no way to write values of that type.
    """
    return pl.when(value.is_null()).then(pl.lit("null")).otherwise(_text(value, dtype))


def _text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.List):
        items = value.list.eval(json_text(pl.element(), instance(dtype.inner)))
        return pl.concat_str(pl.lit("["), items.list.join(","), pl.lit("]"))
    if isinstance(dtype, pl.Struct):
        fields = dtype.to_schema().items()
        return _object((name, json_text(value.struct.field(name), instance(inner))) for name, inner in fields)
    if dtype.is_temporal():
        return _time(value, dtype)
    if isinstance(dtype, pl.String):
        return _quoted(value)
    return _plain(value, dtype)


def _plain(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Decimal):
        return value.cast(pl.String).str.replace(r"\.?0+$", "") if dtype.scale else value.cast(pl.String)
    if dtype.is_float():
        return pl.when(value.is_finite()).then(value.cast(pl.String)).otherwise(pl.lit("null"))
    if dtype.is_integer() or isinstance(dtype, (pl.Boolean, pl.Null)):
        return value.cast(pl.String)
    raise ValueError(f"JSON has no type for {dtype}")


def _time(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        fraction = pl.when(value.dt.microsecond() != 0).then(value.dt.strftime(".%6f")).otherwise(pl.lit(""))
        return pl.format('"{}{}Z"', value.dt.strftime("%Y-%m-%dT%H:%M:%S"), fraction)
    if isinstance(dtype, pl.Date):
        return pl.format('"{}"', value.dt.strftime("%Y-%m-%d"))
    raise ValueError(f"JSON has no type for {dtype}")


def _quoted(text: pl.Expr) -> pl.Expr:
    return pl.format('"{}"', text.str.replace_many(_ESCAPES))


def _object(fields: Iterable[tuple[str, pl.Expr]]) -> pl.Expr:
    pairs = (pl.concat_str(pl.lit(f"{json.dumps(name, ensure_ascii=False)}:"), text) for name, text in fields)
    return pl.concat_str(pl.lit("{"), pl.concat_str(*pairs, separator=","), pl.lit("}"))
