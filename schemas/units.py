"""Durations, instants and ranges as people type them, and microseconds as the program counts them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

MICROS_PER_SECOND = 1_000_000
_UNIT_MICROS = {
    "us": 1,
    "ms": 1_000,
    "s": MICROS_PER_SECOND,
    "m": 60 * MICROS_PER_SECOND,
    "h": 3_600 * MICROS_PER_SECOND,
    "d": 86_400 * MICROS_PER_SECOND,
    "w": 7 * 86_400 * MICROS_PER_SECOND,
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h|d|w)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_duration(text: str) -> int:
    """Gives the microseconds of a duration such as ``10m``, ``0.5s``, ``250ms``, ``1d``; a bare number is seconds.

    Raises:
        ValueError: the text is no duration, or names a part of a microsecond.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a duration such as 30s, 10m, 1h or 1d, got {text!r}")
    micros = Decimal(match[1]) * _UNIT_MICROS[match[2] or "s"]
    if micros != int(micros):
        raise ValueError(f"expected a duration of whole microseconds, got {text!r}")
    return int(micros)


def format_duration(micros: int) -> str:
    """Gives the shortest text that :func:`parse_duration` reads back as ``micros``."""
    for unit in ("w", "d", "h", "m", "s", "ms", "us"):
        size = _UNIT_MICROS[unit]
        if micros % size == 0 and (micros or unit == "s"):
            return f"{micros // size}{unit}"
    raise AssertionError("unreachable: every whole number is a multiple of one microsecond")


def parse_range(text: str) -> tuple[float, float]:
    """Gives the bounds, in seconds, of an interval such as ``1..3``; a single number is both bounds.

    Raises:
        ValueError: not one or two durations, or the first is the longer one.
    """
    low, dots, high = text.partition("..")
    try:
        bounds = (
            parse_duration(low) / MICROS_PER_SECOND,
            parse_duration(high if dots else low) / MICROS_PER_SECOND,
        )
    except ValueError:
        raise ValueError(f"expected seconds such as 2 or 1..3, got {text!r}") from None
    if bounds[0] > bounds[1]:
        raise ValueError(f"expected the shorter interval first, got {text!r}")
    return bounds


def to_datetime(micros: int) -> datetime:
    """Gives the UTC datetime of microseconds since the epoch, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """Gives microseconds since the epoch, exactly; a naive datetime is read as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // timedelta(microseconds=1)
