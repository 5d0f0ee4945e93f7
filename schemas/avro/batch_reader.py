"""Reading many Avro bodies of one schema at once: column by column, with numpy and polars.

Only flat records of the usual types, and only what is ordinary in them. Whatever is not is left to
:mod:`schemas.avro.reader`, body by body, which decides what it is; so this has to be right about the rest only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from json.encoder import encode_basestring
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from schemas.avro.schema import DECIMAL_DIGITS, AvroSchema
from schemas.times import to_micros

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

#: A whole number of 64 bits takes ten bytes at most; one of nine is not ordinary.
_MOST_NUMBER_BYTES = 9
#: Decimals of more bytes are not ordinary.
_MOST_DECIMAL_BYTES = 8
_MORE, _LOW, _BITS = 0x80, 0x7F, 7
_BLANK = 0x20
_FIRST_MOMENT = to_micros(datetime(1, 1, 1, tzinfo=timezone.utc))
_LAST_MOMENT = to_micros(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc))
#: What JSON has in place of a character.
_ESCAPES = {character: encode_basestring(character)[1:-1] for character in (*map(chr, range(_BLANK)), '"', "\\")}


class _Bodies:
    """Many bodies, and how far each has been read.

    Attributes:
        data: all of them, with some bytes behind the last.
        at: where the next value of each begins.
        ends: where each ends.
        is_odd: which ones are not ordinary; what is read of them means nothing.
    """

    def __init__(self, values: Sequence[bytes], head: int) -> None:
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        self.data = np.frombuffer(b"".join(values) + bytes(2 * _MOST_NUMBER_BYTES), np.uint8)
        self.ends = sizes.cumsum()
        self.at = self.ends - sizes + head
        self.is_odd: _Bools = np.zeros(len(values), np.bool_)
        self.doubt(self.at > self.ends)

    def doubt(self, is_odd: _Bools) -> None:
        """Mark bodies that are not ordinary, and read them no further than their end."""
        self.is_odd |= is_odd
        self.at = np.minimum(self.at, self.ends)

    def whole(self, among: _Bools | None = None) -> _Ints:
        """Read a number of variable length, whose lowest bit is its sign, of all bodies or of those among them."""
        wanted = np.arange(len(self.at)) if among is None else np.flatnonzero(among)
        found = np.zeros(len(self.at), np.uint64)
        goes_on = wanted
        for place in range(_MOST_NUMBER_BYTES):
            byte = self.data[self.at[goes_on]]
            self.at[goes_on] += 1
            found[goes_on] |= (byte & _LOW).astype(np.uint64) << np.uint64(_BITS * place)
            goes_on = goes_on[byte >= _MORE]
            if not len(goes_on):
                break
        is_odd = self.at > self.ends
        is_odd[goes_on] = True
        self.doubt(is_odd)
        half = (found >> np.uint64(1)).astype(np.int64)
        return half ^ -(found & np.uint64(1)).astype(np.int64)

    def skip(self, sizes: _Ints, among: _Bools) -> _Ints:
        """Pass over bytes; return where they began."""
        starts = self.at.copy()
        is_odd = among & ((sizes < 0) | (sizes > self.ends - self.at))
        self.at = np.where(among & ~is_odd, self.at + sizes, self.at)
        self.doubt(is_odd)
        return starts


#: Reads a field of those bodies that have it; nobody looks at that of the others.
_ReadColumn = Callable[[_Bodies, _Bools], pl.Series]


class _Field(NamedTuple):
    """A field of a record: its name, what reads it, and which branch of its union is null (None for none)."""

    name: str
    read: _ReadColumn
    null: int | None


class BlockReader:
    """Reads bodies of one schema, many at once."""

    def __init__(self, fields: Sequence[_Field]) -> None:
        """Take what :func:`block_reader` has made of a schema."""
        self._fields = fields

    def columns(self, values: Sequence[bytes], head: int = 0) -> tuple[pl.DataFrame, _Bools]:
        """Return a row for each value, whose body begins behind so many bytes, and which ones are not ordinary.

        The rows of those that are not mean nothing.
        """
        bodies = _Bodies(values, head)
        columns: list[pl.Series] = []
        for field in self._fields:
            is_there = ~bodies.is_odd
            if field.null is not None:
                branch = bodies.whole()
                bodies.doubt((branch < 0) | (branch > 1))
                is_there = ~bodies.is_odd & (branch != field.null)
            column = field.read(bodies, is_there).alias(field.name)
            columns.append(column if field.null is None else column.set(pl.Series(~is_there), None))
        return pl.DataFrame(columns), bodies.is_odd | (bodies.at != bodies.ends)

    def __call__(self, values: Sequence[bytes], head: int = 0) -> list[bytes | None]:
        """Return the JSON of each value's body, as :mod:`schemas.avro.reader` has it; None if it is not ordinary."""
        rows, is_odd = self.columns(values, head)
        parts: list[pl.Expr] = []
        for name, dtype in rows.schema.items():
            parts += pl.lit(f"{',' if parts else '{'}{encode_basestring(name)}:"), _json(name, dtype).fill_null("null")
        line = pl.concat_str([*parts, pl.lit("}")]).cast(pl.Binary)
        return rows.select(line).to_series().set(pl.Series(is_odd), None).to_list()


def _json(name: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    if isinstance(dtype, pl.String):
        return pl.format('"{}"', value.str.replace_many(_ESCAPES))
    if isinstance(dtype, pl.Datetime):
        return value.dt.strftime('"%Y-%m-%dT%H:%M:%S%.6fZ"')
    if isinstance(dtype, pl.Decimal) and dtype.scale:
        return value.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    return value.cast(pl.String)


def block_reader(schema: AvroSchema) -> BlockReader | None:
    """Return what reads bodies of a schema; None for a schema that is none of a flat record of the usual types."""
    parsed = schema.parsed
    if not isinstance(parsed, dict) or parsed["type"] != "record" or not parsed["fields"]:
        return None
    fields: list[_Field] = []
    for field in parsed["fields"]:
        of, null = field["type"], None
        if isinstance(of, list):
            if len(of) != 2 or of.count("null") != 1:  # noqa: PLR2004 - null and something
                return None
            null = of.index("null")
            of = of[1 - null]
        read = _reader(of)
        if read is None:
            return None
        fields.append(_Field(field["name"], read, null))
    return BlockReader(fields)


def _reader(of: Any) -> _ReadColumn | None:
    if isinstance(of, str):
        return _PLAIN.get(of)
    base, logical = of["type"], of.get("logicalType")
    if logical == "decimal" and base == "bytes" and of.get("scale", 0) <= DECIMAL_DIGITS:
        scale = of.get("scale", 0)
        return lambda bodies, among: _decimals(bodies, among, scale)
    if logical == "timestamp-micros" and base == "long":
        return _moments
    return _PLAIN.get(base) if logical is None and isinstance(base, str) else None


def _longs(bodies: _Bodies, among: _Bools) -> pl.Series:
    return pl.Series(bodies.whole(among))


def _booleans(bodies: _Bodies, among: _Bools) -> pl.Series:
    starts = bodies.skip(np.ones(len(among), np.int64), among)
    byte = bodies.data[starts]
    bodies.doubt(among & (byte > 1))
    return pl.Series(byte == 1)


def _moments(bodies: _Bodies, among: _Bools) -> pl.Series:
    micros = bodies.whole(among)
    bodies.doubt(among & ((micros < _FIRST_MOMENT) | (micros > _LAST_MOMENT)))
    return pl.Series(np.where(bodies.is_odd, 0, micros)).cast(pl.Datetime("us", "UTC"))


def _decimals(bodies: _Bodies, among: _Bools, scale: int) -> pl.Series:
    sizes = bodies.whole(among)
    bodies.doubt(among & (sizes > _MOST_DECIMAL_BYTES))
    starts = bodies.skip(sizes, among & ~bodies.is_odd)
    units = np.zeros(len(among), np.uint64)
    left = np.where(among & ~bodies.is_odd, sizes, 0)
    is_negative = (left > 0) & (bodies.data[starts] >= _MORE)
    units[is_negative] = ~np.uint64(0)
    for place in range(int(left.max(initial=0))):
        some = np.flatnonzero(left > place)
        units[some] = (units[some] << np.uint64(8)) | bodies.data[starts[some] + place]
    signed = units.view(np.int64)
    # Arrow has decimals as whole numbers of 128 bits, the lower half first.
    halves = pa.py_buffer(np.stack([signed, signed >> 63], axis=1))
    decimals = pa.Array.from_buffers(pa.decimal128(DECIMAL_DIGITS, scale), len(signed), [None, halves])
    return pl.Series(pl.from_arrow(decimals))


def _texts(bodies: _Bodies, among: _Bools) -> pl.Series:
    sizes = bodies.whole(among)
    starts = bodies.skip(sizes, among & ~bodies.is_odd)
    sizes = np.where(among & ~bodies.is_odd, sizes, 0)
    ends = sizes.cumsum()
    places = np.repeat(starts - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    characters = bodies.data[places]
    texts = _utf8(characters, ends)
    if texts is None:
        is_odd = np.zeros(len(sizes), np.bool_)
        is_odd[np.repeat(np.arange(len(sizes)), sizes)[characters >= _MORE]] = True
        bodies.doubt(is_odd)
        texts = _utf8(np.where(characters >= _MORE, _BLANK, characters).astype(np.uint8), ends)
        assert texts is not None  # noqa: S101 - for the type checker: it is ASCII
    return texts


def _utf8(characters: npt.NDArray[np.uint8], ends: _Ints) -> pl.Series | None:
    """Return texts that lie one behind the other; None if they are not all UTF-8, each by itself."""
    offsets = pa.py_buffer(np.concatenate([np.zeros(1, np.int64), ends]))
    texts = pa.LargeStringArray.from_buffers(len(ends), offsets, pa.py_buffer(np.ascontiguousarray(characters)))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return pl.Series(pl.from_arrow(texts))


_PLAIN: dict[str, _ReadColumn] = {"string": _texts, "long": _longs, "boolean": _booleans}
