"""What a column's text means: the rule, value by value, and polars expressions that are fast and know when to ask.

The fast way may say of any value that it looks odd, and then the rule decides; what it does not find odd it has to read
just as the rule does.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from schemas.records import DECIMAL_PLACES, Column, Kind

#: The name that the event time has in every frame, whatever it was called in the record.
EVENT_TIME = "event_time"

#: Decimals have 38 digits, the most that Arrow, Avro and Parquet share.
DECIMAL_DIGITS = 38
#: Of a value that is read, so many digits may stand before the point: then a hundred thousand million of them can be
#: summed before 38 digits are not enough. polars would not notice.
WHOLE_DIGITS = 18
POLARS_TYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "decimal": pl.Decimal(DECIMAL_DIGITS, DECIMAL_PLACES),
    "time": pl.Datetime("us"),
}

_MISSING = ("", " ", "NULL")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
#: Every time that there is from the year 1000 on, but for the 29th of February: what matches needs no other check.
_USUAL_TIME = (
    r"^[1-9][0-9]{3}-(?:"
    r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31"
    r") (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
)
_INTEGER_BITS = 63
#: A text of so many characters, one of them the point, cannot have more than DECIMAL_PLACES places.
_SHORT_DECIMAL = DECIMAL_PLACES + 1


def read_value(column: Column, text: str, time_format: str) -> Any:
    """Gives the value of a text: None where it is missing, that is blank or ``NULL``.

    A decimal is written plainly (no exponent) and has at most DECIMAL_PLACES places besides zeros.

    Raises:
        ValueError: the text cannot be read as this kind of value, or is missing where it must not be.
    """
    stripped = text.strip(" ")
    if stripped in ("", "NULL"):
        if column.required:
            raise ValueError(f"{column.name} is missing")
        return None
    if column.kind == "text":
        return text
    if column.kind == "integer":
        return _read_integer(column.name, stripped)
    if column.kind == "decimal":
        return _read_decimal(column.name, stripped)
    return _read_time(column.name, text, time_format)


def _read_integer(name: str, text: str) -> int:
    value = int(text) if _INTEGER.fullmatch(text) and len(text) <= DECIMAL_DIGITS else None
    if value is None or not -(2**_INTEGER_BITS) <= value < 2**_INTEGER_BITS:
        raise ValueError(f"{name} is no whole number: {_shown(text)}")
    return value


def _read_decimal(name: str, text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{name} is no decimal number: {_shown(text)}")
    whole, _, places = text.lstrip("+-").partition(".")
    if len(places.rstrip("0")) > DECIMAL_PLACES:
        raise ValueError(f"{name} has more than {DECIMAL_PLACES} decimals: {_shown(text)}")
    if len(whole.lstrip("0")) > WHOLE_DIGITS:
        raise ValueError(f"{name} is too big: {_shown(text)}")
    sign = "-" if text.startswith("-") else ""
    return Decimal(f"{sign}{whole or '0'}.{places[:DECIMAL_PLACES].ljust(DECIMAL_PLACES, '0')}")


def _read_time(name: str, text: str, time_format: str) -> datetime:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        return datetime.strptime(text, time_format)
    except ValueError:
        raise ValueError(f"{name} is no time such as 2011-04-01 10:40:23: {_shown(text)}") from None


def _shown(text: str) -> str:
    most = 40
    return repr(text if len(text) <= most else text[:most] + "...")


def fast_type(column: Column, raw: str, time_format: str = "%Y-%m-%d %H:%M:%S") -> pl.Expr:
    """Gives the typed column; null where the text is missing or cannot be read."""
    text = pl.col(raw)
    if column.kind == "text":
        return pl.when(text.is_in(_MISSING)).then(None).otherwise(text)
    if column.kind == "integer":
        return text.cast(pl.Int64, strict=False)
    if column.kind == "decimal":
        return text.cast(POLARS_TYPES["decimal"], strict=False)
    return text.str.to_datetime(time_format, time_unit="us", strict=False, cache=False)


def looks_odd(column: Column, raw: str, typed: str) -> pl.Expr:
    """Tells of which rows the typed column cannot be taken as it is; of a time it tells that from the text alone."""
    text = pl.col(raw)
    unread = pl.col(typed).is_null()
    if not column.required:
        unread &= ~text.is_in(_MISSING)
    if column.kind == "text":
        # Blanks may mean missing, and so may blanks around NULL.
        return unread | (text.str.starts_with(" ") | text.str.starts_with("NULL")) & ~text.is_in(_MISSING)
    if column.kind == "decimal":
        return unread | (text.str.len_bytes() > _SHORT_DECIMAL) | text.str.contains("[eE]")
    if column.kind == "time":
        # Polars itself reads one-digit months, signs, wide blanks, the year 0 and the second 60, too.
        return ~text.str.contains(_USUAL_TIME)
    return unread
