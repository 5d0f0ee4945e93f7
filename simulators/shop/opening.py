"""Opening hours: when a shop is open, by weekday, and the holidays on which it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

#: From Monday on.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Seconds of a day: from, until.
Span = tuple[int, int]

_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_YEARLY = re.compile(r"([0-9]{2})-([0-9]{2})")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_DAILY, _ALWAYS, _CLOSED, _NONE = "daily", "always", "closed", "none"
_LEAP_YEAR = 2_000


@dataclass(frozen=True)
class Hours:
    """When the shop is open, UTC.

    Attributes:
        week: for each weekday from Monday on, the seconds of the day from which and until which; None is closed.
        holidays: days on which it is closed: dates, and ``(month, day)`` of every year.
    """

    week: tuple[Span | None, ...]
    holidays: frozenset[date | tuple[int, int]] = frozenset()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: there are not seven days, one closes before it opens, or none is open.
        """
        if len(self.week) != len(WEEKDAYS):
            raise ValueError(f"opening hours must be of seven days, got {len(self.week)}")
        for span in self.week:
            if span is not None and not 0 <= span[0] < span[1] <= _DAY:
                raise ValueError(f"opening hours must end after they begin and by 24:00, got {span} seconds")
        if not any(self.week):
            raise ValueError("opening hours must have a day on which the shop is open")

    def of(self, day: date) -> Span | None:
        """Return the seconds of a day from which and until which the shop is open; None is not at all."""
        if day in self.holidays or (day.month, day.day) in self.holidays:
            return None
        return self.week[day.weekday()]


def parse_hours(text: str) -> tuple[Span | None, ...]:
    """Read opening hours such as ``mon-fri 07:00-21:00, sat 9:00-14:00``; what is not named is closed.

    ``daily`` is every day and ``always`` is day and night.

    Raises:
        ValueError: the text is none, or names a day twice.

    Example:
        >>> parse_hours("fri-sat 9:00-24:00")
        (None, None, None, None, (32400, 86400), (32400, 86400), None)
    """
    if text.strip().casefold() == _ALWAYS:
        return ((0, _DAY),) * len(WEEKDAYS)
    week: dict[int, Span | None] = {}
    for part in text.split(","):
        days, _, span = part.strip().casefold().partition(" ")
        for weekday in _weekdays(days, text):
            if weekday in week:
                raise ValueError(f"opening hours name {WEEKDAYS[weekday]} twice: {text!r}")
            week[weekday] = _span(span.strip(), text)
    return tuple(week.get(weekday) for weekday in range(len(WEEKDAYS)))


def parse_holidays(text: str) -> frozenset[date | tuple[int, int]]:
    """Read days such as ``2022-09-05,12-25``: dates, and months and days of every year; ``none`` is none.

    Raises:
        ValueError: one is neither.
    """
    if text.strip().casefold() == _NONE:
        return frozenset()
    return frozenset(_holiday(part.strip()) for part in text.split(","))


def _weekdays(text: str, whole: str) -> range | list[int]:
    if text == _DAILY:
        return range(len(WEEKDAYS))
    first, dash, last = text.partition("-")
    try:
        begin = WEEKDAYS.index(first)
        end = WEEKDAYS.index(last) if dash else begin
    except ValueError:
        raise ValueError(f"expected opening hours such as mon-fri 07:00-21:00, sat 9:00-14:00, got {whole!r}") from None
    return [(begin + step) % len(WEEKDAYS) for step in range((end - begin) % len(WEEKDAYS) + 1)]


def _span(text: str, whole: str) -> Span | None:
    if text == _CLOSED:
        return None
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"expected opening hours such as mon-fri 07:00-21:00, sat 9:00-14:00, got {whole!r}")
    hours, minutes, last_hours, last_minutes = map(int, match.groups())
    opens, closes = hours * _HOUR + minutes * _MINUTE, last_hours * _HOUR + last_minutes * _MINUTE
    if not (max(minutes, last_minutes) < _MINUTE and opens < closes <= _DAY):
        raise ValueError(f"opening hours must end after they begin and by 24:00, got {text!r}")
    return opens, closes


def _holiday(text: str) -> date | tuple[int, int]:
    match = _YEARLY.fullmatch(text)
    try:
        if match is None:
            return date.fromisoformat(text)
        yearly = date(_LEAP_YEAR, int(match[1]), int(match[2]))
    except ValueError:
        raise ValueError(f"expected days such as 2022-09-05,12-25, or none, got {text!r}") from None
    return yearly.month, yearly.day
