"""A day at the registers: who comes when, which register they go to, and when each line is rung up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from simulators.tape.baskets import Lines, fill_baskets
from simulators.tape.catalogue import Catalogue, Floats, Ints

MAX_REGISTERS = 99
#: Opening hours, in seconds of the day.
OPENS, CLOSES = 9 * 3_600, 22 * 3_600

_CLOSED_DAYS = ((12, 25),)
_LAST_BASKET = CLOSES + 40 * 60
_BASKETS_BY_WEEKDAY = (790, 770, 800, 810, 840, 930, 960)
_BASKETS_PER_REGISTER = 330
_FIRST_WEEKEND_DAY = 5
# How many come in each opening hour, on working days and at the weekend.
_CURVES = (
    np.array([3.0, 4.5, 6.5, 8.0, 7.0, 6.0, 6.5, 8.5, 11.0, 9.5, 6.5, 4.0, 2.0]),
    np.array([5.0, 7.5, 9.5, 10.5, 10.0, 9.5, 9.0, 8.0, 7.0, 5.5, 3.5, 2.0, 1.0]),
)
_CASHIERS = 120
_SHIFT_SECONDS = 14_400
_SHIFTS = 5
# Seconds to the line before, by its place in the basket: the least, and how many more at most.
_LEAST_GAP = np.array([1, 1, 7, 6, 0, 0, 0])
_MORE_GAP = np.array([7, 3, 24, 12, 10, 0, 0])
_PAUSE = (8, 40)


@dataclass(frozen=True, eq=False)
class Day:
    """The lines of a day in the order of the tape, with what their baskets give to each of them.

    Attributes:
        day: the date.
        second: of the day.
        register, cashier, number, card, percent, line: ``register_no``, ``emp_no``, ``trans_no``, ``card_no``, the
            code of ``percent_discount``, and ``trans_id``.
        lines: the rest.
    """

    day: date
    second: Ints
    register: Ints
    cashier: Ints
    number: Ints
    card: Ints
    percent: Ints
    line: Ints
    lines: Lines


def make_day(goods: Catalogue, day: date, seed: int, registers: int) -> Day:
    """Return a day of the shop; the same date and seed make the same day, whichever days come before it."""
    rng = np.random.default_rng([seed, day.toordinal()])
    busy = _BASKETS_BY_WEEKDAY[day.weekday()] * rng.normal(1, 0.03)
    count = 0 if (day.month, day.day) in _CLOSED_DAYS else min(round(busy), registers * _BASKETS_PER_REGISTER)
    arrival = _arrivals(rng, count, _CURVES[day.weekday() >= _FIRST_WEEKEND_DAY])
    baskets = fill_baskets(rng, goods, day, count)
    lines = baskets.lines

    begins = np.searchsorted(lines.basket, np.arange(count))
    gaps = _LEAST_GAP[lines.place] + rng.integers(_MORE_GAP[lines.place], endpoint=True)
    gaps[begins] = 0
    elapsed = np.cumsum(gaps)
    elapsed -= elapsed[begins][lines.basket]
    duration = elapsed[np.append(begins[1:], len(lines)) - 1] if count else begins

    appeal = np.cumsum(np.linspace(1.4, 0.6, registers))
    register = 1 + np.searchsorted(appeal / appeal[-1], rng.random(count), side="right").clip(max=registers - 1)
    start, number = _queue(register, arrival, duration + rng.integers(*_PAUSE, size=count), duration, registers)
    roster = np.array([1 + rng.permutation(_CASHIERS)[:registers] for _ in range(_SHIFTS)])
    cashier = roster[(start - OPENS) // _SHIFT_SECONDS % _SHIFTS, register - 1]

    # All registers write one tape: by second, then register, then as rung up.
    second = start[lines.basket] + elapsed
    order = np.argsort(second * 128 + register[lines.basket], kind="stable")
    order = order[number[lines.basket[order]] > 0]
    basket = lines.basket[order]
    return Day(
        day,
        second[order],
        register[basket],
        cashier[basket],
        number[basket],
        baskets.card[basket],
        baskets.percent[basket],
        (np.arange(len(lines)) - begins[lines.basket] + 1)[order],
        lines.take(order),
    )


def _arrivals(rng: np.random.Generator, count: int, curve: Floats) -> Ints:
    """Return the seconds at which customers come to the registers, in order."""
    share = np.concatenate([[0.0], np.cumsum(curve) / curve.sum()])
    hours = np.linspace(OPENS, CLOSES, len(share))
    return np.sort(np.interp(rng.random(count), share, hours)).astype(np.int64)


def _queue(register: Ints, arrival: Ints, busy: Ints, duration: Ints, registers: int) -> tuple[Ints, Ints]:
    """Return when each basket is begun and its number at its register; 0 for whom came too late to be served."""
    start = np.zeros_like(arrival)
    number = np.zeros_like(arrival)
    for each in range(1, registers + 1):
        mine = np.flatnonzero(register == each)
        # Nobody is served before the one ahead is done: end = max(arrival, end of the one ahead) + busy, all at once.
        work = np.cumsum(busy[mine])
        begun = work - busy[mine]
        start[mine] = begun + np.maximum.accumulate(arrival[mine] - begun)
        served = start[mine] + duration[mine] <= _LAST_BASKET
        number[mine] = np.where(served, np.cumsum(served), 0)
    return start, number
