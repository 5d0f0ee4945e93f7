from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest

from schemas.times import to_micros
from simulators.engine.start_time import END
from simulators.shop.crowds import Calendar, Crowds
from simulators.shop.incidents import parse_anomaly
from simulators.shop.menu import MENU
from simulators.shop.opening import Hours, parse_holidays, parse_hours

HOUR = 3_600_000_000
MONDAY = to_micros(datetime(2024, 1, 8))
DAY_AND_NIGHT = Hours(parse_hours("always"))
OFFICE = Hours(parse_hours("mon-fri 8:00-18:00"), parse_holidays("2024-01-10"))
#: One customer each minute, where as many come as usual.
MINUTES = np.arange(1, 100_000) * 60_000_000


def crowds(calendar: Calendar, start: int = MONDAY, end: int = END, seed: int = 0) -> Crowds:
    return Crowds(calendar, MENU, start, end, seed)


def test_an_even_day_goes_as_the_clock_does() -> None:
    times, moods = crowds(Calendar(DAY_AND_NIGHT, is_even=True)).moments(MINUTES)
    assert (times == MONDAY + MINUTES).all()
    assert not moods.any()


@pytest.mark.parametrize("is_even", [True, False])
def test_nobody_comes_when_it_is_closed(*, is_even: bool) -> None:
    times, _ = crowds(Calendar(OFFICE, is_even)).moments(MINUTES)
    assert (np.diff(times) >= 0).all()
    assert (((times - MONDAY) // HOUR % 24 >= 8) & ((times - MONDAY) // HOUR % 24 < 18)).all()
    days = (times - MONDAY) // (24 * HOUR)
    assert set((days % 7).tolist()) == {0, 1, 2, 3, 4}
    assert 2 not in days
    assert date.fromordinal(date(2024, 1, 8).toordinal() + 2) == date(2024, 1, 10)


def test_over_the_opening_hours_of_a_week_the_mean_is_as_usual() -> None:
    for hours in (OFFICE, DAY_AND_NIGHT):
        is_open = np.array(
            [[bool(span and span[0] <= hour * 3_600 < span[1]) for hour in range(24)] for span in hours.week]
        )
        assert Calendar(hours).curves()[is_open].mean() == pytest.approx(1)


def test_friday_evening_is_not_monday_morning() -> None:
    times, _ = crowds(Calendar(DAY_AND_NIGHT)).moments(MINUTES)
    hours = np.bincount((times - MONDAY) // HOUR % (24 * 7), minlength=24 * 7)
    assert hours[4 * 24 + 18] > 2 * hours[9]
    weeks = np.bincount((times - MONDAY) // (7 * 24 * HOUR))[:-1]
    assert np.ptp(weeks) < weeks.mean() / 10


def test_an_anomaly_changes_how_many_come_while_it_lasts() -> None:
    anomalies = [
        parse_anomaly("storm@2024-01-08T10:30+2h*0.1"),
        parse_anomaly("power-cut@1d+1h"),
        parse_anomaly("fair@2d+90m*3"),
    ]
    calendar = Calendar(DAY_AND_NIGHT, is_even=True, anomalies=anomalies)
    times, moods = crowds(calendar).moments(MINUTES)
    halves = np.bincount((times - MONDAY) // (HOUR // 2))
    assert abs(int(halves[21:25].sum()) - 12) <= 1
    assert halves[48:50].sum() <= 1
    assert abs(int(halves[96:99].sum()) - 270) <= 2
    assert not moods.any()
    others = np.delete(halves[:-1], [21, 22, 23, 24, 48, 49, 96, 97, 98])
    assert set(others.tolist()) <= {29, 30, 31}


def test_a_promotion_of_a_product_brings_its_customers_only() -> None:
    anomaly = parse_anomaly(f"promotion/{MENU[0].product_id}@1h+1h*5")
    many = crowds(Calendar(DAY_AND_NIGHT, is_even=True, anomalies=[anomaly]))
    times, moods = many.moments(MINUTES)
    usual, promoted = many.weights
    assert (promoted[1:] == usual[1:]).all()
    assert promoted[0] == 5 * usual[0]
    hours = np.bincount((times - MONDAY) // HOUR)
    assert hours[1] == pytest.approx(60 * promoted.sum() / usual.sum(), abs=1)
    assert ((moods == 1) == ((times - MONDAY) // HOUR == 1)).all()


def test_it_does_not_matter_how_many_are_asked_for_at_once() -> None:
    anomalies = [parse_anomaly("storm@3d+5h"), parse_anomaly("promotion/SF07@4d+9h")]
    calendar = Calendar(OFFICE, anomalies=anomalies)
    wanted, wanted_moods = crowds(calendar).moments(MINUTES)
    many = crowds(calendar)
    parts = [many.moments(part) for part in np.split(MINUTES, [1, 2, 500, 501, 90_000])]
    assert np.concatenate([times for times, _ in parts]).tolist() == wanted.tolist()
    assert np.concatenate([moods for _, moods in parts]).tolist() == wanted_moods.tolist()


def test_it_begins_and_ends_when_it_should() -> None:
    start, end = MONDAY + 10 * HOUR, MONDAY + 30 * HOUR
    times, _ = crowds(Calendar(OFFICE, is_even=True), start, end).moments(MINUTES)
    assert len(times) < len(MINUTES)
    assert start < times[0] < start + HOUR
    # The second day ends before the shop opens.
    assert times[-1] < MONDAY + 18 * HOUR
    late, _ = crowds(Calendar(OFFICE, is_even=True), start, end + 4 * HOUR).moments(MINUTES)
    assert end + 3.9 * HOUR < late[-1] < end + 4 * HOUR
    nobody, _ = crowds(Calendar(OFFICE), MONDAY, MONDAY + HOUR).moments(MINUTES)
    assert not len(nobody)


def test_no_two_weeks_are_alike_unless_they_are_even() -> None:
    for is_even in (True, False):
        times, _ = crowds(Calendar(DAY_AND_NIGHT, is_even=is_even)).moments(MINUTES)
        first, second = np.bincount((times - MONDAY) // HOUR)[: 2 * 168].reshape(2, 168)
        assert (np.abs(first - second) <= 1).all() == is_even
