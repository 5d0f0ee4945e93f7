from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import format_duration, parse_duration, parse_range, to_datetime, to_micros
from tests.strategies import microseconds


@given(st.integers(0, 3 * 10**17))
def test_a_duration_reads_back_from_its_text(micros):
    assert parse_duration(format_duration(micros)) == micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [("0", 0), ("30", 30_000_000), ("0.5s", 500_000), ("250ms", 250_000), ("7us", 7), (" 1d ", 86_400_000_000)],
)
def test_durations_are_written_as_people_type_them(text, micros):
    assert parse_duration(text) == micros


@pytest.mark.parametrize("text", ["", "-5m", "5 minutes", "1e3", "0.1us", "1h30m", "."])
def test_what_is_no_duration_is_named(text):
    with pytest.raises(ValueError, match="expected a duration") as error:
        parse_duration(text)
    assert repr(text) in str(error.value)


def test_a_range_is_one_or_two_durations_the_shorter_first():
    assert parse_range("2") == (2.0, 2.0)
    assert parse_range("0.5..3") == (0.5, 3.0)
    for text in ("3..1", "x..2", ""):
        with pytest.raises(ValueError, match="expected") as error:
            parse_range(text)
        assert repr(text) in str(error.value)


@given(microseconds)
def test_a_moment_comes_back_from_its_microseconds(moment):
    aware = moment.replace(tzinfo=timezone.utc)
    assert to_datetime(to_micros(moment)) == aware
    assert to_micros(moment) == to_micros(aware) == to_micros(aware.astimezone(timezone(timedelta(hours=5))))


def test_microseconds_count_from_1970():
    assert to_micros(datetime(1970, 1, 1)) == 0
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1
