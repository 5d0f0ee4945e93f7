"""Reading Avro bodies as JSON text, exactly, and with no more trust than the bytes deserve.

A body has no marks of its own, so that whatever is amiss shows as a length, a branch or a number that cannot be.
Decimals keep their digits, times are ISO 8601 in UTC with microseconds; a float that JSON cannot write is null, and
bytes are texts with a character for each byte, as in Avro's own JSON. Other logical types are what they stand on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from json.encoder import encode_basestring
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.avro.schema import AvroSchema, compile_schema

if TYPE_CHECKING:
    from schemas.avro.batch_reader import BlockReader

#: Reads the value at a place of a body: returns its JSON and the place behind it.
_Read = Callable[[bytes, int], tuple[str, int]]

_EPOCH = datetime(1970, 1, 1)
_FIRST_DAY = _EPOCH.toordinal()
#: A whole number has 64 bits, seven in a byte.
_LAST_SHIFT = 63
_MORE = 0x80
_LOW = 0x7F
_BITS = {"int": 32, "long": 64}
#: The unit of each kind of time in microseconds, and what stands for its zone.
_TIMES = {
    "timestamp-millis": (1_000, "Z"),
    "timestamp-micros": (1, "Z"),
    "local-timestamp-millis": (1_000, ""),
    "local-timestamp-micros": (1, ""),
}
#: Prices come again and again.
_DECIMALS_KEPT = 4096


class BodyReader:
    """Reads bodies of one schema.

    >>> BodyReader(AvroSchema('{"type":"array","items":"long"}'))(bytes([4, 6, 54, 0]))
    '[3,27]'
    """

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema
        self._read: _Read = compile_schema(schema, _PLAIN, _COMPOUND, _logical)

    def __call__(self, data: bytes, start: int = 0) -> str:
        """Return the JSON of the body that begins at ``start`` and takes the rest of the data.

        Raises:
            ValueError: this is none; the message names the field and says why.
        """
        try:
            text, end = self._read(data, start)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        except IndexError:
            raise ValueError("ends too early") from None
        if end != len(data):
            raise ValueError(f"{len(data) - end} bytes too many")
        return text

    @cached_property
    def at_once(self) -> BlockReader | None:
        """What reads many ordinary bodies at once; None where the schema is not one for that."""
        from schemas.avro.batch_reader import block_reader  # noqa: PLC0415 (costs 0.05 s, and few messages are Avro)

        return block_reader(self._schema)


def _logical(schema: dict[str, Any]) -> _Read | None:
    """Return the reader of a type that means more than it stands on."""
    of, logical = schema["type"], schema.get("logicalType")
    if logical == "decimal" and of in {"bytes", "fixed"}:
        return _decimal(_bytes if of == "bytes" else _fixed(schema["size"]), schema.get("scale", 0))
    if of == "long" and logical in _TIMES:
        return _time(*_TIMES[logical])
    return _day if of == "int" and logical == "date" else None


def _record(fields: list[tuple[str, _Read]]) -> _Read:
    steps = [(f"{',' if place else ''}{encode_basestring(name)}:", read) for place, (name, read) in enumerate(fields)]

    def record(data: bytes, at: int) -> tuple[str, int]:
        parts = ["{"]
        key = ""
        try:
            for key, read in steps:
                text, at = read(data, at)
                parts += key, text
        except IndexError:
            raise ValueError(f"{_named(key)} ends too early") from None
        except ValueError as error:
            raise ValueError(f"{_named(key)} {error}") from None
        parts.append("}")
        return "".join(parts), at

    return record


def _named(key: str) -> str:
    return key.lstrip(",")[1:-2]


def _union(branches: list[_Read]) -> _Read:
    def union(data: bytes, at: int) -> tuple[str, int]:
        branch, at = _whole(data, at)
        if not 0 <= branch < len(branches):
            raise ValueError(f"is branch {branch} of a union of {len(branches)}")
        return branches[branch](data, at)

    return union


def _blocks(brackets: str, read: _Read) -> _Read:
    def blocks(data: bytes, at: int) -> tuple[str, int]:
        items: list[str] = []
        while True:
            count, at = _whole(data, at)
            if not count:
                return f"{brackets[0]}{','.join(items)}{brackets[1]}", at
            if count < 0:
                _, at = _whole(data, at)
                count = -count
            if count > len(data):
                raise ValueError(f"has {count} items in {len(data)} bytes")
            for _ in range(count):
                item, at = read(data, at)
                items.append(item)

    return blocks


def _entry(read: _Read) -> _Read:
    def entry(data: bytes, at: int) -> tuple[str, int]:
        key, at = _text(data, at)
        value, at = read(data, at)
        return f"{key}:{value}", at

    return entry


def _enum(symbols: list[str]) -> _Read:
    def enum(data: bytes, at: int) -> tuple[str, int]:
        place, at = _whole(data, at)
        if not 0 <= place < len(symbols):
            raise ValueError(f"is number {place} of {len(symbols)} symbols")
        return f'"{symbols[place]}"', at

    return enum


def _fixed(size: int) -> Callable[[bytes, int], tuple[bytes, int]]:
    def fixed(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise IndexError
        return data[at:end], end

    return fixed


def _decimal(raw: Callable[[bytes, int], tuple[bytes, int]], scale: int) -> _Read:
    @lru_cache(_DECIMALS_KEPT)
    def written(unscaled: bytes) -> str:
        units = int.from_bytes(unscaled, "big", signed=True)
        digits = str(abs(units)).rjust(scale + 1, "0")
        sign = "-" if units < 0 else ""
        return sign + (f"{digits[:-scale]}.{digits[-scale:]}".rstrip("0").rstrip(".") if scale else digits)

    def decimal(data: bytes, at: int) -> tuple[str, int]:
        unscaled, at = raw(data, at)
        return written(unscaled), at

    return decimal


def _latin(raw: Callable[[bytes, int], tuple[bytes, int]]) -> _Read:
    def latin(data: bytes, at: int) -> tuple[str, int]:
        found, at = raw(data, at)
        return encode_basestring(found.decode("latin-1")), at

    return latin


def _time(unit: int, zone: str) -> _Read:
    def time(data: bytes, at: int) -> tuple[str, int]:
        moment, at = _whole(data, at)
        try:
            local = _EPOCH + timedelta(microseconds=moment * unit)
        except OverflowError:
            raise ValueError(f"is no time that can be written: {moment}") from None
        return f'"{local.isoformat("T", "microseconds")}{zone}"', at

    return time


def _day(data: bytes, at: int) -> tuple[str, int]:
    day, at = _whole(data, at)
    try:
        return f'"{date.fromordinal(_FIRST_DAY + day)}"', at
    except (OverflowError, ValueError):
        raise ValueError(f"is no day that can be written: {day}") from None


def _whole(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length, whose lowest bit is its sign."""
    byte = data[at]
    at += 1
    if byte < _MORE:
        return (byte >> 1) ^ -(byte & 1), at
    value, shift = byte & _LOW, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & _LOW) << shift
        if byte < _MORE:
            break
        shift += 7
        if shift > _LAST_SHIFT:
            raise ValueError("is a number of more than 64 bits")
    if value >> 64:
        raise ValueError("is a number of more than 64 bits")
    return (value >> 1) ^ -(value & 1), at


def _integer(bits: int) -> _Read:
    def integer(data: bytes, at: int) -> tuple[str, int]:
        value, at = _whole(data, at)
        if not -1 << (bits - 1) <= value < 1 << (bits - 1):
            raise ValueError(f"is a number of more than {bits} bits")
        return str(value), at

    return integer


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _whole(data, at)
    end = at + size
    if size < 0:
        raise ValueError(f"is {size} bytes long")
    if end > len(data):
        raise IndexError
    return data[at:end], end


def _text(data: bytes, at: int) -> tuple[str, int]:
    found, at = _bytes(data, at)
    try:
        return encode_basestring(found.decode()), at
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def _boolean(data: bytes, at: int) -> tuple[str, int]:
    byte = data[at]
    if byte > 1:
        raise ValueError(f"is neither true nor false: {byte}")
    return "true" if byte else "false", at + 1


def _float(data: bytes, at: int) -> tuple[str, int]:
    if at + 4 > len(data):
        raise IndexError
    # Not the digits of a double: 0.1 is to be 0.1.
    (value,) = np.frombuffer(data, "<f4", 1, at)
    return str(value) if isfinite(value) else "null", at + 4


def _double(data: bytes, at: int) -> tuple[str, int]:
    if at + 8 > len(data):
        raise IndexError
    (value,) = struct.unpack_from("<d", data, at)
    return repr(value) if isfinite(value) else "null", at + 8


def _null(_: bytes, at: int) -> tuple[str, int]:
    return "null", at


_PLAIN: dict[str, _Read] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer(_BITS["int"]),
    "long": _integer(_BITS["long"]),
    "float": _float,
    "double": _double,
    "bytes": _latin(_bytes),
    "string": _text,
}

#: The types that have more to them than their name.
_COMPOUND: dict[str, Callable[[Any, Callable[[Any], _Read]], _Read]] = {
    "union": lambda branches, reader: _union([reader(branch) for branch in branches]),
    "record": lambda schema, reader: _record([(field["name"], reader(field["type"])) for field in schema["fields"]]),
    "array": lambda schema, reader: _blocks("[]", reader(schema["items"])),
    "map": lambda schema, reader: _blocks("{}", _entry(reader(schema["values"]))),
    "enum": lambda schema, _: _enum(schema["symbols"]),
    "fixed": lambda schema, _: _latin(_fixed(schema["size"])),
}
