"""What a column's text means: the rule, value by value, and polars expressions that are fast and know when to ask.

The fast way may say of any value that it looks odd, and then the rule decides; what it does not find odd it has to read
just as the rule does.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from schemas.forms.delimited import MISSING
from schemas.record_type import DECIMAL_DIGITS, DECIMAL_PLACES, Column, ColumnKind
from schemas.time_formats import TimeFormat

#: Of a value that is read, so many digits may stand before the point: then a hundred thousand million of them can be
#: summed before 38 digits are not enough. polars would not notice.
WHOLE_DIGITS = 18
POLARS_TYPES: dict[ColumnKind, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "decimal": pl.Decimal(DECIMAL_DIGITS, DECIMAL_PLACES),
    "time": pl.Datetime("us"),
    "ip": pl.String(),
    "boolean": pl.Boolean(),
}

_MISSING = ("", " ", "NULL")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}")
_BOOLEANS = {"true": True, "false": False}
_INTEGER_BITS = 63
#: A text of so many characters, one of them the point, cannot have more than DECIMAL_PLACES places.
_SHORT_DECIMAL = DECIMAL_PLACES + 1


def read_value(column: Column, text: str, times: TimeFormat) -> Any:
    """Return the value of a text: None where it is missing, that is blank or ``NULL``.

    A decimal is written plainly (no exponent) and has at most DECIMAL_PLACES places besides zeros.

    Raises:
        ValueError: the text cannot be read as this kind of value, or is missing where it must not be.
    """
    stripped = text.strip(" ")
    if stripped in MISSING:
        if column.required:
            raise ValueError(f"{column.name} is missing")
        return None
    if column.kind == "text":
        return text
    if column.kind == "time":
        return read_time(column.name, text, times)
    readers: dict[str, Callable[[str, str], Any]] = {
        "integer": read_integer,
        "decimal": read_decimal,
        "ip": read_ip,
        "boolean": _read_boolean,
    }
    return readers[column.kind](column.name, stripped)


def read_integer(name: str, text: str) -> int:
    """Return the whole number of a text.

    Raises:
        ValueError: it is none, or does not fit into 64 bits.
    """
    value = int(text) if _INTEGER.fullmatch(text) and len(text) <= DECIMAL_DIGITS else None
    if value is None or not -(2**_INTEGER_BITS) <= value < 2**_INTEGER_BITS:
        raise ValueError(f"{name} is no whole number: {shown(text)}")
    return value


def read_decimal(name: str, text: str) -> Decimal:
    """Return the decimal number of a text, which has no exponent.

    Raises:
        ValueError: it is none, or has too many digits before or behind the point.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{name} is no decimal number: {shown(text)}")
    whole, _, places = text.lstrip("+-").partition(".")
    if len(places.rstrip("0")) > DECIMAL_PLACES:
        raise ValueError(f"{name} has more than {DECIMAL_PLACES} decimals: {shown(text)}")
    if len(whole.lstrip("0")) > WHOLE_DIGITS:
        raise ValueError(f"{name} is too big: {shown(text)}")
    sign = "-" if text.startswith("-") else ""
    return Decimal(f"{sign}{whole or '0'}.{places[:DECIMAL_PLACES].ljust(DECIMAL_PLACES, '0')}")


def _read_boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError(f"{name} is neither true nor false: {shown(text)}")
    return _BOOLEANS[text]


def read_time(name: str, text: str, times: TimeFormat) -> datetime:
    """Return the time of a text.

    Raises:
        ValueError: it is none that is written so.
    """
    try:
        return times.read(text)
    except ValueError:
        raise ValueError(f"{name} is no time such as {times.example}: {shown(text)}") from None


def read_ip(name: str, text: str) -> str:
    """Return the one way to write an IP address; of an IPv4 address inside an IPv6 one, the IPv4 address.

    Raises:
        ValueError: the text is none, or names an interface, too.
    """
    if _IPV4.fullmatch(text):
        return text
    try:
        if "%" in text:
            raise ValueError
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{name} is no IP address: {shown(text)}") from None
    return str((isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address)


def read_ips(texts: pl.Series) -> pl.Series:
    """Do :func:`read_ip` for many; null where a text is no address."""
    is_other = ~texts.str.contains(f"^{_IPV4.pattern}$")
    if not is_other.any():
        return texts
    others: dict[str, str | None] = {}
    for text in texts.filter(is_other).unique():
        try:
            others[text] = read_ip("", text)
        except ValueError:
            others[text] = None
    return texts.replace(others)


def shown(text: str) -> str:
    """Return a text as messages show it, in one line and not too long."""
    most = 40
    return repr(text if len(text) <= most else text[:most] + "...")


def fast_type(column: Column, raw: str, times: TimeFormat) -> pl.Expr:
    """Return the typed column; null where the text is missing or cannot be read."""
    text = pl.col(raw)
    if column.kind == "text":
        return pl.when(is_missing(text)).then(None).otherwise(text)
    if column.kind == "integer":
        return text.cast(pl.Int64, strict=False)
    if column.kind == "decimal":
        return text.cast(POLARS_TYPES["decimal"], strict=False)
    if column.kind == "ip":
        return text.map_batches(read_ips, return_dtype=pl.String)
    if column.kind == "boolean":
        return text.replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)
    return text.map_batches(times.read_many, return_dtype=POLARS_TYPES["time"])


def is_missing(text: pl.Expr) -> pl.Expr:
    """Tell which texts of delimited records mean that there is no value; a few others do, too, which look odd."""
    return text.is_in(_MISSING)


def looks_odd(column: Column, raw: str, typed: str) -> pl.Expr:
    """Tell of which rows the typed column cannot be taken as it is."""
    text = pl.col(raw)
    unread = pl.col(typed).is_null()
    if column.kind == "text":
        # Blanks may mean missing, and so may blanks around NULL. What is missing for sure is null, and nothing else is.
        may_be_missing = (text.str.starts_with(" ") | text.str.starts_with("NULL")) & ~unread
        return unread | may_be_missing if column.required else may_be_missing
    if not column.required:
        unread &= ~is_missing(text)
    if column.kind == "decimal":
        return unread | (text.str.len_bytes() > _SHORT_DECIMAL) | text.str.contains("[eE]")
    return unread
