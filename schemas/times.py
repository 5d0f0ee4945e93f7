"""Times as JSON records and access logs write them; inside they are UTC, without a zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

#: The months of access logs, whatever the language of the machine.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_ISO = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})[T ]{_CLOCK}(?:\.([0-9]{{1,6}}))?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?"
)
_LOG = re.compile(rf"([0-9]{{2}})/({'|'.join(MONTHS)})/([0-9]{{4}}):{_CLOCK} ([+-][0-9]{{4}})")
_MOST_HOURS, _MOST_MINUTES = 23, 59
#: What programs make of ISO 8601: date, hour and minute, second, six of its decimals, and the offset.
ANY_ISO = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,6})[0-9]{0,3})?)?"
    r" ?(?:[Zz]|UTC|([+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)
#: Numbers since 1970 that tell their unit by how many digits they have, and how many of it are a second. All of them
#: are later than 2001 (those of 9 digits than 1973), so that no date without its dashes is among them.
EPOCH = r"^(?:[1-9][0-9]{8,9}(?:\.[0-9]{1,9})?|[1-9][0-9]{12}|[1-9][0-9]{15}|[1-8][0-9]{18})$"
EPOCH_UNITS = {9: 1, 10: 1, 13: 10**3, 16: 10**6, 19: 10**9}


def read_iso_time(text: str) -> datetime:
    """Return the time of a text such as ``2019-05-06 17:24:53``, ``2019-05-06T17:24:53.25+02:00`` or ``...Z``.

    Up to six decimals of a second; without a zone it is read as UTC.

    Raises:
        ValueError: the text is no such time.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"no time such as 2019-05-06T17:24:53Z: {text!r}")
    *numbers, fraction, zone = match.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    micros = int((fraction or "").ljust(6, "0"))
    return _moved(datetime(year, month, day, hour, minute, second, micros), zone)


def read_log_time(text: str) -> datetime:
    """Return the time of a text such as ``06/May/2019:17:24:53 +0200``.

    Raises:
        ValueError: the text is no such time.
    """
    match = _LOG.fullmatch(text)
    if match is None:
        raise ValueError(f"no time such as 06/May/2019:17:24:53 +0200: {text!r}")
    day, month, year, *clock, zone = match.groups()
    hour, minute, second = map(int, clock)
    return _moved(datetime(int(year), MONTHS.index(month) + 1, int(day), hour, minute, second), zone)


def _moved(local: datetime, zone: str | None) -> datetime:
    """Return the UTC time of a local one; ``zone`` is its offset."""
    if zone is None or zone == "Z":
        return local
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > _MOST_HOURS or minutes > _MOST_MINUTES:
        raise ValueError(f"no offset from UTC: {zone!r}")
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        return local + offset if zone[0] == "-" else local - offset
    except OverflowError:
        raise ValueError(f"no time that can be had in UTC: {local} {zone}") from None


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
    """Return the microseconds of a duration such as ``10m``, ``0.5s``, ``250ms``, ``1d``; a bare number is seconds.

    Raises:
        ValueError: the text is no duration, names a part of a microsecond, or is longer than all years that there are.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a duration such as 30s, 10m, 1h or 1d, got {text!r}")
    micros = Decimal(match[1]) * _UNIT_MICROS[match[2] or "s"]
    if micros != int(micros):
        raise ValueError(f"expected a duration of whole microseconds, got {text!r}")
    if micros > _MOST_MICROS:
        raise ValueError(f"expected a duration of at most {format_duration(_MOST_MICROS)}, got {text!r}")
    return int(micros)


def format_duration(micros: int) -> str:
    """Return the shortest text that :func:`parse_duration` reads back as ``micros``."""
    for unit in ("w", "d", "h", "m", "s", "ms", "us"):
        size = _UNIT_MICROS[unit]
        if micros % size == 0 and (micros or unit == "s"):
            return f"{micros // size}{unit}"
    raise AssertionError("unreachable: every whole number is a multiple of one microsecond")


def parse_range(text: str) -> tuple[float, float]:
    """Return the bounds, in seconds, of an interval such as ``1..3``; a single number is both bounds.

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
    """Return the UTC datetime of microseconds since the epoch, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """Return microseconds since the epoch, exactly; a naive datetime is read as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // timedelta(microseconds=1)


#: The first and the last moment that a datetime can be.
FIRST_MICROS = to_micros(datetime(1, 1, 1, tzinfo=timezone.utc))
LAST_MICROS = to_micros(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc))
_DAY_MICROS = _UNIT_MICROS["d"]
#: With whole days, so that it is written shortly.
_MOST_MICROS = (LAST_MICROS - FIRST_MICROS) // _DAY_MICROS * _DAY_MICROS
