"""Writing JSON lines as Avro bodies, by fastavro, which is given what Avro stores: decimals as bytes, times as numbers.

Every value is checked against the schema before, so that an error has a name: fastavro lets numbers of more than 32
bits into an ``int``, and anything into a ``boolean``. Numbers are exact: a decimal that has more digits than its type
is refused, never rounded. A field that the schema does not have is refused, too: it would be lost.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal, Inexact
from functools import cache, lru_cache
from math import inf, isinf
from typing import Any, Literal

import numpy as np

from schemas.avro.schema import AvroSchema, compile_schema
from schemas.times import read_iso_time, to_micros

#: Makes of a JSON value what Avro stores; a ValueError says why it cannot, without the name of the field.
_Fit = Callable[[Any], Any]

_BITS = {"int": 32, "long": 64}
_MICROS = {"timestamp-millis": 1_000, "timestamp-micros": 1}
_MICROS |= {f"local-{name}": unit for name, unit in _MICROS.items()}
_FIRST_DAY = date(1970, 1, 1).toordinal()
_LONGEST_SHOWN = 40
_UNIT = Decimal(1)
_DOUBLE_BITS = 64
#: Prices come again and again.
_DECIMALS_KEPT = 4096


class BodyWriter:
    r"""Writes bodies of one schema.

    >>> BodyWriter(AvroSchema('{"type":"array","items":"long"}'))([3, 27])
    b'\x04\x066\x00'
    """

    def __init__(self, schema: AvroSchema) -> None:
        import fastavro  # noqa: PLC0415 (costs 0.1 s, and few messages are Avro)

        self._schema, self._write = schema.parsed, fastavro.schemaless_writer
        self._fit: _Fit = compile_schema(schema, _PLAIN, _COMPOUND, _logical)

    def __call__(self, value: Any) -> bytes:
        """Return the body of a value that :func:`read_line` gave.

        Raises:
            ValueError: it does not fit; the message names the field and says why.
        """
        body = io.BytesIO()
        try:
            self._write(body, self._schema, self._fit(value), strict=True)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        return body.getvalue()


def read_line(line: bytes) -> Any:
    """Return the value of a JSON line, its numbers as ``int`` and ``Decimal``.

    Raises:
        ValueError: this is no JSON.
    """
    try:
        return _DECODER.decode(line.decode())
    except UnicodeDecodeError:
        raise ValueError("no JSON: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from None
    except RecursionError:
        raise ValueError("no JSON that can be read: nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


def _logical(schema: dict[str, Any]) -> _Fit | None:
    """Return what fits a type that means more than it stands on."""
    of, logical = schema["type"], schema.get("logicalType")
    if logical == "decimal" and of in {"bytes", "fixed"}:
        return _decimal(schema.get("scale", 0), schema["precision"], schema.get("size"))
    if of == "long" and logical in _MICROS:
        return _time(_MICROS[logical])
    return _day if of == "int" and logical == "date" else None


#: The name of a field, what fits it, and what it is where a record does not have it.
_Field = tuple[str, _Fit, Callable[[], Any] | None]


def _field(field: dict[str, Any], fit: _Fit) -> _Field:
    if "default" not in field:
        return field["name"], fit, None
    of, default = field["type"], field["default"]
    # The default of bytes is a text, whatever they mean.
    is_bytes = isinstance(of, dict) and of["type"] == "bytes"
    return field["name"], fit, cache(lambda: (_latin if is_bytes else fit)(default))


def _record(fields: list[_Field]) -> _Fit:
    names = {name for name, *_ in fields}

    def record(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise ValueError(f"is no object: {_shown(value)}")
        found: dict[str, Any] = {}
        name = ""
        try:
            for name, fit, default in fields:
                if name in value:
                    found[name] = fit(value[name])
                elif default is not None:
                    found[name] = default()
                else:
                    raise ValueError("is missing")
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
        if not value.keys() <= names:
            unknown = next(name for name in value if name not in names)
            raise ValueError(f"{unknown} is not in the schema")
        return found

    return record


def _branch(schema: Any) -> str:
    """Return the name by which fastavro knows a branch of a union."""
    of = schema if isinstance(schema, str) else str(schema["type"])
    return str(schema["name"]) if of in {"record", "enum", "fixed"} else of


def _union(branches: list[tuple[str, _Fit]]) -> _Fit:
    """Take the first of the branches that a value fits, and tell fastavro which one that is."""
    names = [name for name, _ in branches]
    if len({*names}) < len(names):
        raise ValueError(f"a union has two of one type, which Avro does not allow: {', '.join(names)}")
    others = [(name, fit) for name, fit in branches if name != "null"]

    def union(value: Any) -> tuple[str, Any] | None:
        if value is None and "null" in names:
            return None
        reasons: list[str] = []
        for name, fit in others:
            try:
                return name, fit(value)
            except ValueError as error:
                reasons.append(str(error))
        raise ValueError(reasons[0] if len(reasons) == 1 else f"fits nothing in its union: {_shown(value)}")

    return union


def _array(fit: _Fit) -> _Fit:
    def array(value: Any) -> list[Any]:
        if type(value) is not list:
            raise ValueError(f"is no list: {_shown(value)}")
        return [fit(item) for item in value]

    return array


def _map(fit: _Fit) -> _Fit:
    def mapping(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise ValueError(f"is no object: {_shown(value)}")
        return {_text(key): fit(item) for key, item in value.items()}

    return mapping


def _enum(symbols: list[str]) -> _Fit:
    def enum(value: Any) -> str:
        if type(value) is not str or value not in symbols:
            raise ValueError(f"is none of {', '.join(symbols)}: {_shown(value)}")
        return value

    return enum


def _decimal(scale: int, precision: int, size: int | None) -> _Fit:
    """Make of a number the bytes of a whole one of so small a unit; ``size`` is that of a fixed type."""
    context = Context(prec=precision, traps=[Inexact])

    @lru_cache(_DECIMALS_KEPT)
    def written(value: Decimal) -> bytes:
        # Before anything else: a number with a huge exponent would take all memory.
        if value and value.adjusted() + scale >= precision:
            raise ValueError(f"has more than {precision - scale} digits before the point: {_shown(value)}")
        try:
            units = int(value.scaleb(scale, context).quantize(_UNIT, context=context)) if value else 0
        except Inexact:
            raise ValueError(f"has more than {scale} decimals: {_shown(value)}") from None
        needed = units.bit_length() // 8 + 1
        if size is not None and needed > size:
            raise ValueError(f"does not fit {size} bytes: {_shown(value)}")
        return units.to_bytes(needed if size is None else size, "big", signed=True)

    def decimal(value: Any) -> bytes:
        of = type(value)
        if of is Decimal:
            return written(value)
        if of is int:
            return written(Decimal(value))
        raise ValueError(f"is no number: {_shown(value)}")

    return decimal


def _fixed(size: int) -> _Fit:
    def fixed(value: Any) -> bytes:
        found = _latin(value)
        if len(found) != size:
            raise ValueError(f"has {len(found)} bytes, not {size}")
        return found

    return fixed


def _time(unit: int) -> _Fit:
    def time(value: Any) -> int:
        if type(value) is not str:
            raise ValueError(f"is no time: {_shown(value)}")
        try:
            moment, rest = divmod(to_micros(read_iso_time(value)), unit)
        except ValueError as error:
            raise ValueError(f"is {error}") from None
        if rest:
            raise ValueError(f"has more than milliseconds: {_shown(value)}")
        return moment

    return time


def _day(value: Any) -> int:
    if type(value) is not str:
        raise ValueError(f"is no day: {_shown(value)}")
    try:
        return date.fromisoformat(value).toordinal() - _FIRST_DAY
    except ValueError:
        raise ValueError(f"is no day such as 2019-05-06: {_shown(value)}") from None


def _integer(bits: int) -> _Fit:
    def integer(value: Any) -> int:
        if type(value) is not int:
            raise ValueError(f"is no whole number: {_shown(value)}")
        if not -1 << (bits - 1) <= value < 1 << (bits - 1):
            raise ValueError(f"is a number of more than {bits} bits: {_shown(value)}")
        return value

    return integer


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"is no text: {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"has half a character: {_shown(value)}") from None
    return value


def _latin(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError(f"is no text with a character for each byte: {_shown(value)}")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"is no text with a character for each byte: {_shown(value)}") from None


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"is neither true nor false: {_shown(value)}")
    return value


def _floating(form: Literal["<f", "<d"]) -> _Fit:
    """Return what fits a floating type: the numbers that are read back from it as they are written.

    What is read back is the shortest of the numbers that have the same bits; of 32 bits it may be that of a double.
    """
    layout = struct.Struct(form)
    bits = 8 * layout.size

    def floating(value: Any) -> float:
        if type(value) not in {int, Decimal}:
            raise ValueError(f"is no number: {_shown(value)}")
        try:
            found = float(value)
            (kept,) = layout.unpack(layout.pack(found))
        except OverflowError:
            kept = inf
        if isinf(kept):
            raise ValueError(f"is too big: {_shown(value)}")
        if Decimal(repr(kept)) != value and (bits == _DOUBLE_BITS or Decimal(str(np.float32(kept))) != value):
            raise ValueError(f"has more digits than {bits} bits keep: {_shown(value)}")
        return found

    return floating


def _null(value: Any) -> None:
    if value is not None:
        raise ValueError(f"is not null: {_shown(value)}")


def _shown(value: Any) -> str:
    """Return what a message shows of a value."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = str(value) if isinstance(value, Decimal) else json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_PLAIN: dict[str, _Fit] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer(_BITS["int"]),
    "long": _integer(_BITS["long"]),
    "float": _floating("<f"),
    "double": _floating("<d"),
    "bytes": _latin,
    "string": _text,
}

#: The types that have more to them than their name.
_COMPOUND: dict[str, Callable[[Any, Callable[[Any], _Fit]], _Fit]] = {
    "union": lambda branches, fitting: _union([(_branch(branch), fitting(branch)) for branch in branches]),
    "record": lambda schema, fitting: _record([_field(field, fitting(field["type"])) for field in schema["fields"]]),
    "array": lambda schema, fitting: _array(fitting(schema["items"])),
    "map": lambda schema, fitting: _map(fitting(schema["values"])),
    "enum": lambda schema, _: _enum(schema["symbols"]),
    "fixed": lambda schema, _: _fixed(schema["size"]),
}
