"""The values of options, read from their texts; what cannot be is a ValueError of one line."""

from __future__ import annotations

from schemas.times import parse_duration
from sources.pacing import Pace

#: The period of results that are not wanted before the end.
NEVER = "never"


def period(text: str) -> int:
    """Return the microseconds of a time, 0 for never."""
    return 0 if text == NEVER else positive_duration(text)


def positive_duration(text: str) -> int:
    """Return the microseconds of a time that is longer than none."""
    micros = parse_duration(text)
    if not micros:
        raise ValueError(f"expected a time longer than none, got {text!r}")
    return micros


def positive(text: str) -> int:
    """Return a whole number from 1 up."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def positive_number(text: str) -> float:
    """Return a number greater than 0."""
    try:
        value = float(text)
        Pace(rate=value)
    except ValueError:
        raise ValueError(f"expected a number greater than 0, got {text!r}") from None
    return value
