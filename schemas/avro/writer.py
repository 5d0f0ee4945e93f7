"""Writing JSON lines as Avro bodies: every value is checked against the schema on its way, so that an error has a name.

Numbers are exact: a decimal that has more digits than its type is refused, never rounded. A field that the schema does
not have is refused, too: it would be lost.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal, Inexact
from functools import cache, lru_cache
from typing import Any

from schemas.avro.schema import AvroSchema
from schemas.times import read_iso_time, to_micros

#: Writes a value; a ValueError says why it cannot, without the name of the field.
_Write = Callable[[Any], bytes]

_NOT_THERE = object()
_LOW, _MORE = 0x7F, 0x80
_SHORT = [bytes([number]) for number in range(_MORE)]
_BITS = {"int": 32, "long": 64}
_MICROS = {"timestamp-millis": 1_000, "timestamp-micros": 1}
_MICROS |= {f"local-{name}": unit for name, unit in _MICROS.items()}
_FIRST_DAY = date(1970, 1, 1).toordinal()
_LONGEST_SHOWN = 40
_UNIT = Decimal(1)
#: Prices come again and again.
_DECIMALS_KEPT = 4096


class BodyWriter:
    r"""Writes bodies of one schema.

    >>> BodyWriter(AvroSchema('{"type":"array","items":"long"}'))([3, 27])
    b'\x04\x066\x00'
    """

    def __init__(self, schema: AvroSchema) -> None:
        self._named: dict[str, _Write] = {}
        self._write = self._writer(schema.parsed)

    def __call__(self, value: Any) -> bytes:
        """Gives the body of a value that :func:`read_line` gave.

        Raises:
            ValueError: it does not fit; the message names the field and says why.
        """
        try:
            return self._write(value)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def _writer(self, schema: Any) -> _Write:
        if isinstance(schema, list):
            return _union([(branch == "null", self._writer(branch)) for branch in schema])
        if isinstance(schema, str):
            return _PLAIN.get(schema) or self._later(schema)
        made = _logical(schema)
        if made is None:
            of = schema["type"]
            made = _COMPOUND[of](schema, self._writer) if of in _COMPOUND else self._writer(of)
        if "name" in schema:
            self._named[schema["name"]] = made
        return made

    def _later(self, name: str) -> _Write:
        """Writes a type by its name: one that contains itself is asked for before it is there."""

        def later(value: Any) -> bytes:
            return self._named[name](value)

        return later


def read_line(line: bytes) -> Any:
    """Gives the value of a JSON line, its numbers as ``int`` and ``Decimal``.

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


def _logical(schema: dict[str, Any]) -> _Write | None:
    """Gives the writer of a type that means more than it stands on."""
    of, logical = schema["type"], schema.get("logicalType")
    if logical == "decimal" and of in {"bytes", "fixed"}:
        return _decimal(schema.get("scale", 0), schema["precision"], schema.get("size"))
    if of == "long" and logical in _MICROS:
        return _time(_MICROS[logical])
    return _day if of == "int" and logical == "date" else None


#: The name of a field, what writes it, and what it is where a record does not have it.
_Field = tuple[str, _Write, Callable[[], bytes] | None]


def _field(field: dict[str, Any], write: _Write) -> _Field:
    if "default" not in field:
        return field["name"], write, None
    of, default = field["type"], field["default"]
    # The default of bytes is a text, whatever they mean.
    is_bytes = isinstance(of, dict) and of["type"] == "bytes"
    return field["name"], write, cache(lambda: (_bytes if is_bytes else write)(default))


def _record(fields: list[_Field]) -> _Write:
    names = {name for name, *_ in fields}

    def record(value: Any) -> bytes:
        if type(value) is not dict:
            raise ValueError(f"is no object: {_shown(value)}")
        parts: list[bytes] = []
        defaults = 0
        name = ""
        try:
            for name, write, default in fields:
                found = value.get(name, _NOT_THERE)
                if found is not _NOT_THERE:
                    parts.append(write(found))
                elif default is not None:
                    parts.append(default())
                    defaults += 1
                else:
                    raise ValueError("is missing")
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
        if len(value) + defaults > len(fields):
            unknown = next(name for name in value if name not in names)
            raise ValueError(f"{unknown} is not in the schema")
        return b"".join(parts)

    return record


def _union(branches: list[tuple[bool, _Write]]) -> _Write:
    """Writes a value as the first of the branches that it fits."""
    marked = [(_number(place), is_null, write) for place, (is_null, write) in enumerate(branches)]
    null = next((mark for mark, is_null, _ in marked if is_null), None)
    others = [(mark, write) for mark, is_null, write in marked if not is_null]

    def union(value: Any) -> bytes:
        if value is None and null is not None:
            return null
        reasons: list[str] = []
        for mark, write in others:
            try:
                return mark + write(value)
            except ValueError as error:
                reasons.append(str(error))
        raise ValueError(reasons[0] if len(reasons) == 1 else f"fits nothing in its union: {_shown(value)}")

    return union


def _array(write: _Write) -> _Write:
    def array(value: Any) -> bytes:
        if type(value) is not list:
            raise ValueError(f"is no list: {_shown(value)}")
        return _block([write(item) for item in value])

    return array


def _map(write: _Write) -> _Write:
    def mapping(value: Any) -> bytes:
        if type(value) is not dict:
            raise ValueError(f"is no object: {_shown(value)}")
        return _block([_text(key) + write(item) for key, item in value.items()])

    return mapping


def _block(items: list[bytes]) -> bytes:
    return _number(len(items)) + b"".join(items) + b"\0" if items else b"\0"


def _enum(symbols: list[str]) -> _Write:
    numbers = {symbol: _number(place) for place, symbol in enumerate(symbols)}

    def enum(value: Any) -> bytes:
        if type(value) is not str or value not in numbers:
            raise ValueError(f"is none of {', '.join(symbols)}: {_shown(value)}")
        return numbers[value]

    return enum


def _decimal(scale: int, precision: int, size: int | None) -> _Write:
    """Writes a number as a whole one of so small a unit; ``size`` is that of a fixed type."""
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
        if size is None:
            return _number(needed) + units.to_bytes(needed, "big", signed=True)
        if needed > size:
            raise ValueError(f"does not fit {size} bytes: {_shown(value)}")
        return units.to_bytes(size, "big", signed=True)

    def decimal(value: Any) -> bytes:
        of = type(value)
        if of is Decimal:
            return written(value)
        if of is int:
            return written(Decimal(value))
        raise ValueError(f"is no number: {_shown(value)}")

    return decimal


def _fixed(size: int) -> _Write:
    def fixed(value: Any) -> bytes:
        found = _latin(value)
        if len(found) != size:
            raise ValueError(f"has {len(found)} bytes, not {size}")
        return found

    return fixed


def _time(unit: int) -> _Write:
    def time(value: Any) -> bytes:
        if type(value) is not str:
            raise ValueError(f"is no time: {_shown(value)}")
        try:
            moment, rest = divmod(to_micros(read_iso_time(value)), unit)
        except ValueError as error:
            raise ValueError(f"is {error}") from None
        if rest:
            raise ValueError(f"has more than milliseconds: {_shown(value)}")
        return _number(moment)

    return time


def _day(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError(f"is no day: {_shown(value)}")
    try:
        return _number(date.fromisoformat(value).toordinal() - _FIRST_DAY)
    except ValueError:
        raise ValueError(f"is no day such as 2019-05-06: {_shown(value)}") from None


def _number(value: int) -> bytes:
    """Writes a number of 64 bits in a variable length, its sign in its lowest bit."""
    left = (value << 1) ^ (value >> 63)
    if left < _MORE:
        return _SHORT[left]
    written = bytearray()
    while left >= _MORE:
        written.append(left & _LOW | _MORE)
        left >>= 7
    written.append(left)
    return bytes(written)


def _integer(bits: int) -> _Write:
    def integer(value: Any) -> bytes:
        if type(value) is not int:
            raise ValueError(f"is no whole number: {_shown(value)}")
        if not -1 << (bits - 1) <= value < 1 << (bits - 1):
            raise ValueError(f"is a number of more than {bits} bits: {_shown(value)}")
        return _number(value)

    return integer


def _text(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError(f"is no text: {_shown(value)}")
    try:
        found = value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"has half a character: {_shown(value)}") from None
    return _number(len(found)) + found


def _latin(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError(f"is no text with a character for each byte: {_shown(value)}")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"is no text with a character for each byte: {_shown(value)}") from None


def _bytes(value: Any) -> bytes:
    found = _latin(value)
    return _number(len(found)) + found


def _boolean(value: Any) -> bytes:
    if type(value) is not bool:
        raise ValueError(f"is neither true nor false: {_shown(value)}")
    return b"\1" if value else b"\0"


def _floating(form: str) -> _Write:
    pack = struct.Struct(form).pack

    def floating(value: Any) -> bytes:
        if type(value) not in {int, Decimal}:
            raise ValueError(f"is no number: {_shown(value)}")
        try:
            return pack(float(value))
        except OverflowError:
            raise ValueError(f"is too big: {_shown(value)}") from None

    return floating


def _null(value: Any) -> bytes:
    if value is not None:
        raise ValueError(f"is not null: {_shown(value)}")
    return b""


def _shown(value: Any) -> str:
    """Gives what a message shows of a value."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = str(value) if isinstance(value, Decimal) else json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_PLAIN: dict[str, _Write] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer(_BITS["int"]),
    "long": _integer(_BITS["long"]),
    "float": _floating("<f"),
    "double": _floating("<d"),
    "bytes": _bytes,
    "string": _text,
}

#: The types that have more to them than their name.
_COMPOUND: dict[str, Callable[[dict[str, Any], Callable[[Any], _Write]], _Write]] = {
    "record": lambda schema, writer: _record([_field(field, writer(field["type"])) for field in schema["fields"]]),
    "array": lambda schema, writer: _array(writer(schema["items"])),
    "map": lambda schema, writer: _map(writer(schema["values"])),
    "enum": lambda schema, _: _enum(schema["symbols"]),
    "fixed": lambda schema, _: _fixed(schema["size"]),
}
