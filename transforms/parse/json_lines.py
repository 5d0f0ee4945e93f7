"""Parsing JSON lines: one object a line becomes one row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from schemas.record_type import DECIMAL_PLACES, Column, ColumnKind, Dialect
from schemas.time_formats import TimeFormat
from transforms.parse.parser import ParseRecords, decoded, read_json_object
from transforms.parse.patterns import Pattern, PatternParser
from transforms.parse.values import WHOLE_DIGITS, read_decimal, read_integer, read_ip, read_time, shown

#: A line with more fields is read one by one.
_MOST_FIELDS = 64
#: Keys that are written as they are.
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
#: No exponent of so many digits belongs to a number that can be kept.
_EXPONENT_DIGITS = 9

_BLANK = r"[ \t]*"
_TEXT = r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*'
_ANY = (
    rf'(?:"{_TEXT}"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
)
#: What the fast way reads of each kind; everything else is for the slow one.
_CUT = {
    "text": f'"({_TEXT})"',
    "time": r'("[^"\\\x00-\x1f]*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)',
    "ip": r'"([^"\\\x00-\x1f]*)"',
    "integer": rf"(-?(?:0|[1-9][0-9]{{0,{WHOLE_DIGITS - 1}}}))",
    "decimal": rf"(-?(?:0|[1-9][0-9]{{0,{WHOLE_DIGITS - 1}}})(?:\.[0-9]{{1,{DECIMAL_PLACES}}})?)",
    "boolean": "(true|false)",
}


class JsonParser(PatternParser):
    """Parse one block after the other.

    Programs write the fields of all their records in the same order, so that a regular expression, made from the keys
    of a line, reads nearly all others, and sees to it that they are JSON, too. Python's json module reads the rest.
    """

    def find_pattern(self, line: str) -> Pattern | None:
        """Return the pattern of objects with the same keys in the same order; None where this is no plain object."""
        try:
            fields = json.loads(line, parse_int=_Number, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, _Pairs) or len(fields) > _MOST_FIELDS:
            return None
        keys = [key for key, _ in fields]
        is_plain = all(_PLAIN_KEY.fullmatch(key) for key in keys) and not any(
            isinstance(value, list) for _, value in fields
        )
        if not is_plain or len(set(keys)) < len(keys):
            return None
        wanted = {column.name: column for column in (*self._first, *self._then)}
        if any(column.required and name not in keys for name, column in wanted.items()):
            return None
        parts = [
            f'"{pl.escape_regex(key)}"{_BLANK}:{_BLANK}{_cut(wanted[key]) if key in wanted else _ANY}' for key in keys
        ]
        body = f"{_BLANK},{_BLANK}".join(parts)
        regex = rf"^{_BLANK}\{{{_BLANK}{body}{_BLANK}\}}{_BLANK}()$"
        return Pattern(regex, tuple(key for key in keys if key in wanted))

    def cut(self, column: str, group: pl.Expr) -> pl.Expr:
        """Return the text of a column; a time may be a number."""
        return group.str.strip_chars('"') if self._type.column(column).kind == "time" else group

    def read_texts(self, texts: pl.Series) -> pl.Series:
        """Read strings without their quotes; null where half a character is escaped."""
        has_escape = texts.str.contains("\\", literal=True)
        if not has_escape.any():
            return texts
        escaped: dict[str, str | None] = {}
        for text in texts.filter(has_escape).unique():
            try:
                escaped[text] = _encodable(json.loads(f'"{text}"'))
            except ValueError:
                escaped[text] = None
        return texts.replace(escaped)

    def read_record(self, raw: bytes, dialect: Dialect) -> tuple[dict[str, Any], str]:
        """Return the values of a record, and why one that the filter does not need cannot be read.

        Raises:
            ValueError: the record cannot be read at all.
        """
        fields = read_json_object(decoded(raw, dialect.encoding), _DECODER.decode)
        return self._read_values(lambda column: read_json_value(column, fields.get(column.name), self._type.times))


class ParseJson(ParseRecords):
    """Parse blocks (or single lines, as ``str`` or ``bytes``) of JSON objects, one a line, into frames.

    Fields that the record type does not know are passed over, and of a field that is there twice the last one counts.
    A field that is not there, or null, is missing; that rejects the record where the column is required. Values have to
    be of their kind: text is a string; an integer is a number without point and exponent, within 64 bits; a decimal is
    any number with at most nine decimals besides zeros and 18 digits before the point; a boolean is true or false; a
    time is a string such as ``2019-05-06 17:24:53`` or ``2019-05-06T17:24:53.25+02:00``, with up to six decimals, in
    UTC if it has no zone; an IP address is a string, and is kept in the one usual form (an IPv4 address inside an IPv6
    one as IPv4). ``NaN`` and ``Infinity`` are no JSON.

    The order of the checks, the outputs, and the attributes are those of :class:`transforms.parse.parser.ParseRecords`.

    >>> from schemas.http import RESPONSES
    >>> errors = ParseJson(RESPONSES, where=pl.col("status_code").is_between(500, 599))
    """

    block_parser = JsonParser


def read_json_value(column: Column, value: Any, times: TimeFormat) -> Any:
    """Return the value of a field, of which numbers are their text as :class:`_Number`; None where it is missing.

    Raises:
        ValueError: it is of another kind, cannot be kept, or is missing where it must not be.
    """
    name = column.name
    if value is None:
        if column.required:
            raise ValueError(f"{name} is missing")
        return None
    of, called, read = _READERS[column.kind]
    if type(value) is not of and not (column.kind == "time" and type(value) is _Number):
        raise ValueError(f"{name} is no {called}: {_described(value)}")
    found = read(name, value)
    return read_time(name, found, times) if column.kind == "time" else found


class _Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """The fields of a JSON object, in order."""


def _read_text(name: str, text: str) -> str:
    try:
        return _encodable(text)
    except ValueError:
        raise ValueError(f"{name} has half a character: {shown(text)}") from None


def _read_decimal(name: str, number: str) -> Decimal:
    return read_decimal(name, _without_exponent(name, number))


#: The Python type of each kind, what messages call it, and what reads it.
_READERS: dict[ColumnKind, tuple[type, str, Callable[[str, Any], Any]]] = {
    "text": (str, "text", _read_text),
    "integer": (_Number, "whole number", read_integer),
    "decimal": (_Number, "number", _read_decimal),
    "time": (str, "text", lambda _, text: text),
    "ip": (str, "text", read_ip),
    "boolean": (bool, "boolean", lambda _, value: value),
}


def _cut(column: Column) -> str:
    cut = _CUT[column.kind]
    return cut if column.required else f"(?:{cut}|null)"


def _refuse(constant: str) -> Any:
    raise ValueError(f"not JSON: {constant} is no number")


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse)


def _encodable(text: str) -> str:
    """Return the text; one with half of a surrogate pair is refused with a ValueError."""
    text.encode()
    return text


def _without_exponent(name: str, number: str) -> str:
    """Write a JSON number without exponent.

    Raises:
        ValueError: it would have too many digits.
    """
    match = _NUMBER.fullmatch(number)
    if match is None or match[4] is None:
        return number
    sign, whole, places, exponent = match[1], match[2], match[3] or "", match[4]
    digits = (whole + places).strip("0")
    if not digits:
        return "0"
    if len(exponent) > _EXPONENT_DIGITS:
        raise ValueError(f"{name} cannot be kept: {shown(number)}")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = len(whole) + int(exponent) - (len(whole + places) - len((whole + places).lstrip("0")))
    if point > WHOLE_DIGITS:
        raise ValueError(f"{name} is too big: {shown(number)}")
    if len(digits) - point > DECIMAL_PLACES:
        raise ValueError(f"{name} has more than {DECIMAL_PLACES} decimals: {shown(number)}")
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:]}"


def _described(value: Any) -> str:
    """Return what a message shows of a JSON value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return shown(value)
    return "an object" if isinstance(value, dict) else "a list"
