from __future__ import annotations

import time
from datetime import datetime

import pytest

from schemas.times import to_micros
from simulators.engine.start_time import begun, check_start, read_start


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29", datetime(2024, 2, 29)),
        ("2024-02-29T12:30:00.5Z", datetime(2024, 2, 29, 12, 30, 0, 500_000)),
        ("2024-02-29 12:30:00+02:00", datetime(2024, 2, 29, 10, 30)),
        ("2024-02-29T12:30", datetime(2024, 2, 29, 12, 30)),
    ],
)
def test_a_start_is_a_date_or_a_time(text: str, moment: datetime) -> None:
    assert read_start(text) == to_micros(moment)
    assert begun(read_start(text)) == to_micros(moment)


@pytest.mark.parametrize("text", ["", "soon", "2024-02-30", "12:30", "1969-12-31", "1969-12-31T23:59:59Z"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected now or a time since 1970"):
        read_start(text)


def test_now_is_when_the_stream_begins() -> None:
    start = read_start("now")
    before = time.time() * 10**6
    assert before - 1 <= begun(start) <= time.time() * 10**6 + 1


def test_a_start_outside_of_the_calendar_is_refused() -> None:
    check_start(None)
    check_start(0)
    with pytest.raises(ValueError, match="start must be from 1970 to 9999, got -1 microseconds"):
        check_start(-1)
