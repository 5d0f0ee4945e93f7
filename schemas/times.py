"""Times as JSON records and access logs write them; inside they are UTC, without a zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

#: The months of access logs, whatever the language of the machine.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_ISO = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})[T ]{_CLOCK}(?:\.([0-9]{{1,6}}))?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?"
)
_LOG = re.compile(rf"([0-9]{{2}})/({'|'.join(MONTHS)})/([0-9]{{4}}):{_CLOCK} ([+-][0-9]{{4}})")
_MOST_HOURS, _MOST_MINUTES = 23, 59


def read_iso_time(text: str) -> datetime:
    """Gives the time of a text such as ``2019-05-06 17:24:53``, ``2019-05-06T17:24:53.25+02:00`` or ``...Z``.

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
    """Gives the time of a text such as ``06/May/2019:17:24:53 +0200``.

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
    """Gives the UTC time of a local one; ``zone`` is its offset."""
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
