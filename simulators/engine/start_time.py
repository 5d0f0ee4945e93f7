"""Moments: when a stream begins, as people say it."""

from __future__ import annotations

import time
from datetime import datetime

from schemas.times import MICROS_PER_SECOND, read_iso_time, to_micros

#: Where nobody says otherwise, so that the same options give the same bytes.
DEFAULT_START = to_micros(datetime(2024, 1, 1))
#: No stream gets there.
END = to_micros(datetime(9999, 12, 31))
_NOW = "now"
_SHORT_FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M")


def read_start(text: str) -> int | None:
    """Read a date or a time, and return microseconds since the epoch; None is now, whenever the stream begins.

    Raises:
        ValueError: the text is neither, or the time is before 1970.
    """
    if text == _NOW:
        return None
    found = None
    for form in ("", *_SHORT_FORMS):
        try:
            found = to_micros(datetime.strptime(text, form) if form else read_iso_time(text))
        except ValueError:
            continue
        break
    if found is None or not 0 <= found < END:
        raise ValueError(f"expected now or a time since 1970 such as 2024-01-01 or 2024-01-01T12:30:00, got {text!r}")
    return found


def begun(start: int | None) -> int:
    """Return the microseconds at which a stream begins that begins now."""
    return time.time_ns() * MICROS_PER_SECOND // 10**9 if start is None else start


def check_start(start: int | None) -> None:
    """Check a start.

    Raises:
        ValueError: it is before 1970 or after 9999.
    """
    if start is not None and not 0 <= start < END:
        raise ValueError(f"start must be from 1970 to 9999, got {start} microseconds")
