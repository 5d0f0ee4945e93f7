"""Reading many Avro bodies of one schema at once, as JSON lines: column by column, with numpy and polars.

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

from schemas.avro.schema import AvroSchema
from schemas.times import to_micros

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

#: A whole number of 64 bits takes ten bytes at most; one of nine is not ordinary.
_MOST_NUMBER_BYTES = 9
#: Decimals of more bytes are not ordinary.
_MOST_DECIMAL_BYTES = 8
#: Digits that a scale can shift 64 bits by.
_MOST_SCALE = 18
_MORE, _LOW, _BITS = 0x80, 0x7F, 7
_BLANK, _QUOTE, _BACKSLASH = 0x20, 0x22, 0x5C
_FIRST_MOMENT = to_micros(datetime(1, 1, 1, tzinfo=timezone.utc))
_LAST_MOMENT = to_micros(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc))


class _Bodies:
    """Many bodies, and how far each has been read.

    Attributes:
        data: all of them, with some bytes behind the last.
        at: where the next value of each begins.
        ends: where each ends.
        is_odd: which ones are not ordinary; what is read of them means nothing.
        columns: what was read.
    """

    def __init__(self, values: Sequence[bytes], head: int) -> None:
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        self.data = np.frombuffer(b"".join(values) + bytes(2 * _MOST_NUMBER_BYTES), np.uint8)
        self.ends = sizes.cumsum()
        self.at = self.ends - sizes + head
        self.is_odd: _Bools = np.zeros(len(values), np.bool_)
        self.columns: list[pl.Series] = []
        self.doubt(self.at > self.ends)

    def doubt(self, is_odd: _Bools) -> None:
        """Takes note of bodies that are not ordinary, and reads them no further than their end."""
        self.is_odd |= is_odd
        self.at = np.minimum(self.at, self.ends)

    def keep(self, values: npt.NDArray[Any] | pl.Series) -> pl.Expr:
        """Adds a column, and gives how to name it."""
        self.columns.append(pl.Series(str(len(self.columns)), values))
        return pl.col(self.columns[-1].name)

    def whole(self, among: _Bools | None = None) -> _Ints:
        """Reads a number of variable length, whose lowest bit is its sign, of all bodies or of those among them."""
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
        """Passes over bytes, and gives where they began."""
        starts = self.at.copy()
        is_odd = among & ((sizes < 0) | (sizes > self.ends - self.at))
        self.at = np.where(among & ~is_odd, self.at + sizes, self.at)
        self.doubt(is_odd)
        return starts


#: Reads a field of those bodies that have it, and gives its JSON; nobody looks at that of the others.
_ReadColumn = Callable[[_Bodies, _Bools], pl.Expr]


class _Field(NamedTuple):
    """A field of a record.

    Attributes:
        name: as JSON has it.
        read: reads it.
        null: which branch of its union is null; None for none.
    """

    name: str
    read: _ReadColumn
    null: int | None


class BlockReader:
    """Reads bodies of one schema, many at once."""

    def __init__(self, fields: Sequence[_Field]) -> None:
        """Takes what :func:`block_reader` has made of a schema."""
        self._fields = fields

    def __call__(self, values: Sequence[bytes], head: int = 0) -> list[bytes | None]:
        """Gives the JSON of each value's body, which begins behind so many bytes; None for one that is not ordinary."""
        bodies = _Bodies(values, head)
        parts: list[pl.Expr] = []
        for place, field in enumerate(self._fields):
            is_there = ~bodies.is_odd
            is_null = None
            if field.null is not None:
                branch = bodies.whole()
                bodies.doubt((branch < 0) | (branch > 1))
                is_null = branch == field.null
                is_there = ~bodies.is_odd & ~is_null
            text = field.read(bodies, is_there)
            if is_null is not None:
                text = pl.when(bodies.keep(is_null)).then(pl.lit("null")).otherwise(text)
            parts += pl.lit(f"{',' if place else '{'}{field.name}:"), text
        is_odd = bodies.is_odd | (bodies.at != bodies.ends)
        line = pl.concat_str([*parts, pl.lit("}")]).cast(pl.Binary)
        found: list[bytes | None] = pl.DataFrame(bodies.columns).select(line).to_series().to_list()
        for number in np.flatnonzero(is_odd):
            found[number] = None
        return found


def block_reader(schema: AvroSchema) -> BlockReader | None:
    """Gives what reads bodies of a schema; None for a schema that is none of a flat record of the usual types."""
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
        fields.append(_Field(encode_basestring(field["name"]), read, null))
    return BlockReader(fields)


def _reader(of: Any) -> _ReadColumn | None:
    if isinstance(of, str):
        return _PLAIN.get(of)
    base, logical = of["type"], of.get("logicalType")
    if logical == "decimal" and base == "bytes" and of.get("scale", 0) <= _MOST_SCALE:
        scale = of.get("scale", 0)
        return lambda bodies, among: _decimals(bodies, among, scale)
    if logical == "timestamp-micros" and base == "long":
        return _moments
    return _PLAIN.get(base) if logical is None and isinstance(base, str) else None


def _longs(bodies: _Bodies, among: _Bools) -> pl.Expr:
    return bodies.keep(bodies.whole(among)).cast(pl.String)


def _booleans(bodies: _Bodies, among: _Bools) -> pl.Expr:
    starts = bodies.skip(np.ones(len(among), np.int64), among)
    byte = bodies.data[starts]
    bodies.doubt(among & (byte > 1))
    return pl.when(bodies.keep(byte == 1)).then(pl.lit("true")).otherwise(pl.lit("false"))


def _moments(bodies: _Bodies, among: _Bools) -> pl.Expr:
    micros = bodies.whole(among)
    bodies.doubt(among & ((micros < _FIRST_MOMENT) | (micros > _LAST_MOMENT)))
    can_be = np.where(bodies.is_odd, 0, micros)
    return bodies.keep(can_be).cast(pl.Datetime("us")).dt.strftime('"%Y-%m-%dT%H:%M:%S%.6fZ"')


def _decimals(bodies: _Bodies, among: _Bools, scale: int) -> pl.Expr:
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
    bodies.doubt(signed == np.iinfo(np.int64).min)  # which has no absolute value
    whole, part = np.divmod(np.abs(signed).view(np.uint64), np.uint64(10**scale))
    behind = bodies.keep(part)
    digits = pl.lit(".") + behind.cast(pl.String).str.zfill(scale).str.strip_chars_end("0")
    return pl.concat_str(
        pl.when(bodies.keep(signed < 0)).then(pl.lit("-")).otherwise(pl.lit("")),
        bodies.keep(whole).cast(pl.String),
        pl.when(behind > 0).then(digits).otherwise(pl.lit("")),
    )


def _texts(bodies: _Bodies, among: _Bools) -> pl.Expr:
    sizes = bodies.whole(among)
    starts = bodies.skip(sizes, among & ~bodies.is_odd)
    sizes = np.where(among & ~bodies.is_odd, sizes, 0)
    ends = sizes.cumsum()
    places = np.repeat(starts - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    characters = bodies.data[places]
    is_special = (characters < _BLANK) | (characters == _QUOTE) | (characters == _BACKSLASH)
    texts = _utf8(characters, ends)
    if texts is None:
        is_special |= characters >= _MORE
        characters = np.where(characters >= _MORE, _BLANK, characters).astype(np.uint8)
        texts = _utf8(characters, ends)
        assert texts is not None  # noqa: S101 - for the type checker: it is ASCII
    if is_special.any():
        owner = np.repeat(np.arange(len(sizes)), sizes)
        is_odd = np.zeros(len(sizes), np.bool_)
        is_odd[owner[is_special]] = True
        bodies.doubt(is_odd)
    return pl.concat_str(pl.lit('"'), bodies.keep(texts), pl.lit('"'))


def _utf8(characters: npt.NDArray[np.uint8], ends: _Ints) -> pl.Series | None:
    """Gives texts that lie one behind the other; None if they are not all UTF-8, each by itself."""
    offsets = pa.py_buffer(np.concatenate([np.zeros(1, np.int64), ends]))
    texts = pa.LargeStringArray.from_buffers(len(ends), offsets, pa.py_buffer(np.ascontiguousarray(characters)))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return pl.Series(pl.from_arrow(texts))


_PLAIN: dict[str, _ReadColumn] = {"string": _texts, "long": _longs, "boolean": _booleans}
