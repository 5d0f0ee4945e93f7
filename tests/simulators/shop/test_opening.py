from __future__ import annotations

from datetime import date

import pytest

from simulators.shop.opening import Hours, parse_holidays, parse_hours

HOUR = 3_600


def test_days_are_named_one_by_one_or_from_one_to_another() -> None:
    week = parse_hours("mon-thu 07:00-20:00, Fri 7:30-24:00, sun closed")
    assert week == (*[(7 * HOUR, 20 * HOUR)] * 4, (7 * HOUR + 1_800, 24 * HOUR), None, None)
    assert parse_hours("sat-mon 10:00-11:00") == tuple(
        (10 * HOUR, 11 * HOUR) if day in {0, 5, 6} else None for day in range(7)
    )
    assert parse_hours("daily 0:00-24:00") == parse_hours("always")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected opening hours such as"),
        ("monday 7:00-8:00", "expected opening hours such as"),
        ("mon", "expected opening hours such as"),
        ("mon 7-8", "expected opening hours such as"),
        ("mon-foo 7:00-8:00", "expected opening hours such as"),
        ("mon 8:00-7:00", "must end after they begin and by 24:00, got '8:00-7:00'"),
        ("mon 8:00-24:01", "must end after they begin"),
        ("mon 8:60-9:00", "must end after they begin"),
        ("mon-wed 7:00-8:00, tue closed", "name tue twice"),
    ],
)
def test_what_are_no_opening_hours_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_hours(text)


def test_a_holiday_is_a_date_or_a_day_of_every_year() -> None:
    hours = Hours(parse_hours("always"), parse_holidays("2022-09-05, 12-25,02-29"))
    closed = [date(2022, 9, 5), date(2022, 12, 25), date(2023, 12, 25), date(2024, 2, 29)]
    assert [hours.of(day) for day in closed] == [None] * 4
    assert hours.of(date(2023, 9, 5)) == (0, 24 * HOUR)
    assert parse_holidays("none") == frozenset()


@pytest.mark.parametrize("text", ["", "tomorrow", "13-01", "02-30", "2022-02-29", "12-25,"])
def test_what_are_no_holidays_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected days such as 2022-09-05,12-25, or none, got "):
        parse_holidays(text)


@pytest.mark.parametrize(
    ("week", "message"),
    [
        ((None,) * 6, "must be of seven days, got 6"),
        ((None,) * 7, "must have a day on which the shop is open"),
        (((2, 1), *[None] * 6), "must end after they begin"),
    ],
)
def test_wrong_values_are_refused(week: tuple[tuple[int, int] | None, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hours(week)
