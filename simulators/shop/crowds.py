"""Crowds: how many come when. Time runs as fast as people come, so that even gaps of it are a shop's uneven days.

A gap of that time is a gap of the clock where one customer comes where usually one comes. When twice as many come it is
half of that, and where the shop is closed no time passes at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from schemas.times import MICROS_PER_SECOND, to_datetime, to_micros
from simulators.engine.batch import Times
from simulators.engine.byte_layout import Ints
from simulators.shop.incidents import Anomaly
from simulators.shop.menu import Product
from simulators.shop.opening import Hours

Floats = npt.NDArray[np.float64]

# How many come on each weekday, and in each hour of it, compared to each other.
_WEEK = (0.80, 0.84, 0.90, 0.98, 1.22, 1.30, 0.96)
_WORKING = [0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.7, 1.1, 1.3, 0.9, 0.8, 1.0, 1.6, 1.5, 1.0, 0.9, 1.0, 1.3, 1.2, 0.9]
_FRIDAY = [0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.6, 1.0, 1.1, 0.8, 0.8, 1.0, 1.5, 1.4, 1.0, 1.1, 1.4, 1.9, 2.1, 1.9]
_WEEKEND = [0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.5, 1.5, 1.5, 1.6, 1.6, 1.5, 1.3, 1.1, 0.9]
_EVENINGS = ([0.6, 0.4, 0.3, 0.2], [1.6, 1.1, 0.7, 0.4], [0.8, 0.7, 0.5, 0.4])
_LATE = {"working": _WORKING + _EVENINGS[0], "friday": _FRIDAY + _EVENINGS[1], "weekend": _WEEKEND + _EVENINGS[2]}
_CURVES = np.array([_LATE[name] for name in (*["working"] * 4, "friday", *["weekend"] * 2)]) * np.array([_WEEK]).T
_EVEN = np.ones_like(_CURVES)
# No day is like the one before, and no hour.
_DAY_SPREAD, _HOUR_SPREAD, _LEAST = 0.05, 0.05, 0.5

_HOUR_MICROS = 3_600 * MICROS_PER_SECOND
_DAY_MICROS = 24 * _HOUR_MICROS
_STREAM = 6_101
#: Weights are whole numbers so that draws are exact; a size of an anomaly is rounded to so many parts.
_WEIGHT_PARTS = 1_000
_SHARE_PLACES = 6


@dataclass(frozen=True)
class Calendar:
    """When people come.

    Attributes:
        hours: when the shop is open.
        is_even: whether as many come at any hour; else more of them at noon and in the evening, and on fridays and
            saturdays, and no day is quite like another.
        anomalies: what happens.
    """

    hours: Hours
    is_even: bool = False
    anomalies: Sequence[Anomaly] = ()

    def curves(self) -> Floats:
        """Return how many come in each hour of each weekday; over the opening hours of a week the mean is 1."""
        curves = _EVEN if self.is_even else _CURVES
        begins = np.arange(24) * 3_600
        is_open = np.zeros_like(curves)
        for weekday, span in enumerate(self.hours.week):
            if span is not None:
                is_open[weekday] = np.clip(np.minimum(span[1], begins + 3_600) - np.maximum(span[0], begins), 0, None)
        return _rounded(curves * is_open.sum() / (curves * is_open).sum())


class Crowds:
    """The time that runs as people come: takes moments of it, counted in microseconds, and gives those of the clock."""

    def __init__(self, calendar: Calendar, menu: Sequence[Product], start: int, end: int, seed: int) -> None:
        """Begin at ``start`` and go on until ``end``, microseconds since the epoch."""
        self._calendar, self._start, self._end, self._seed = calendar, start, end, seed
        self._curves = calendar.curves()
        self._spans = [(anomaly, *anomaly.when.within(start)) for anomaly in calendar.anomalies]
        self._edges = np.array([edge for _, *span in self._spans for edge in span], np.int64)
        self._weights = np.array([product.weight for product in menu], np.int64)
        self._places = {product.product_id: place for place, product in enumerate(menu)}
        self._day = to_datetime(start).date().toordinal()
        self._moods: dict[tuple[int, ...], int] = {}
        #: For each mood how often each product is asked for, compared to the others.
        self.weights: list[Ints] = []
        self._begins, self._closes, self._mood = (np.empty(0, np.int64) for _ in range(3))
        self._passed, self._rates = (np.empty(0) for _ in range(2))
        self._total = 0.0

    @property
    def _is_over(self) -> bool:
        return self._day >= date.max.toordinal() or _midnight(self._day) >= self._end

    def moments(self, passed: Ints) -> tuple[Times, Ints]:
        """Return for ascending moments of their time those of the clock, and what mood people are in.

        A mood is a place in :attr:`weights`. Fewer come out where the end comes first.
        """
        while self._total <= passed[-1] and not self._is_over:
            self._add_days(int(passed[-1]))
        passed = passed[: np.searchsorted(passed, self._total)]
        if not len(passed):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        place = np.searchsorted(self._passed, passed, side="right") - 1
        elapsed = ((passed - self._passed[place]) / self._rates[place]).astype(np.int64)
        times = np.minimum(self._begins[place] + elapsed, self._closes[place] - 1)
        moods = self._mood[place]
        # What lies behind is not needed again.
        for name in ("_begins", "_closes", "_mood", "_passed", "_rates"):
            setattr(self, name, getattr(self, name)[place[-1] :])
        return times, moods

    def _add_days(self, passed: int) -> None:
        """Add days until so much of their time has passed, or some dozen."""
        days: list[tuple[Times, Times, Ints, Floats, Floats]] = []
        while self._total <= passed and len(days) < 64 and not self._is_over:  # noqa: PLR2004
            days.append(self._spread(self._day))
            self._day += 1
        begins, closes, mood, passed_by, rates = (np.concatenate(columns) for columns in zip(*days, strict=True))
        self._begins = np.concatenate([self._begins, begins])
        self._closes = np.concatenate([self._closes, closes])
        self._mood = np.concatenate([self._mood, mood])
        self._passed = np.concatenate([self._passed, passed_by])
        self._rates = np.concatenate([self._rates, rates])

    def _spread(self, ordinal: int) -> tuple[Times, Times, Ints, Floats, Floats]:
        """Return the parts of a day in which people come evenly: from, until, mood, time passed before, and rate."""
        day, midnight = date.fromordinal(ordinal), _midnight(ordinal)
        span = self._calendar.hours.of(day)
        opens, closes = (midnight + second * MICROS_PER_SECOND for second in span or (0, 0))
        first, last = max(opens, self._start), min(closes, self._end)
        edges = np.concatenate([midnight + np.arange(25) * _HOUR_MICROS, self._edges, [first, last]])
        edges = np.unique(edges[(edges >= first) & (edges <= last)])
        begins, ends = edges[:-1], edges[1:]
        rates = (self._curves[day.weekday()] * self._luck(ordinal))[(begins - midnight) // _HOUR_MICROS % 24]
        mood = np.zeros(len(begins), np.int64)
        for place, begin in enumerate(begins.tolist()):
            active = tuple(n for n, (_, low, high) in enumerate(self._spans) if low <= begin < high)
            mood[place], factor = self._feel(active)
            rates[place] *= factor
        comes = rates > 0
        begins, ends, mood, rates = begins[comes], ends[comes], mood[comes], rates[comes]
        passed = self._total + np.concatenate([[0.0], np.cumsum((ends - begins) * rates)])
        self._total = float(passed[-1])
        return begins, ends, mood, passed[:-1], rates

    def _luck(self, ordinal: int) -> Floats:
        if self._calendar.is_even:
            return np.ones(24)
        rng = np.random.default_rng([self._seed, _STREAM, ordinal])
        return _rounded(np.clip(rng.normal(1, _DAY_SPREAD) * rng.normal(1, _HOUR_SPREAD, 24), _LEAST, None))

    def _feel(self, active: tuple[int, ...]) -> tuple[int, float]:
        """Return the mood that some anomalies bring, and how many come because of them."""
        factor = 1.0
        sizes = np.full(len(self._weights), _WEIGHT_PARTS, np.int64)
        of_products = []
        for number in active:
            anomaly = self._spans[number][0]
            if anomaly.product_id:
                place = self._places[anomaly.product_id]
                sizes[place] = round(int(sizes[place]) * anomaly.size)
                of_products.append(number)
            else:
                factor *= anomaly.size
        weights = self._weights * sizes
        mood = self._moods.setdefault(tuple(of_products), len(self.weights))
        if mood == len(self.weights):
            self.weights.append(weights)
        # As many come for the other products as ever.
        return mood, factor * int(weights.sum()) / (int(self._weights.sum()) * _WEIGHT_PARTS)


def _rounded(shares: Floats) -> Floats:
    """Take away what another processor might compute in another way."""
    return np.round(shares, _SHARE_PLACES)


def _midnight(ordinal: int) -> int:
    day = date.fromordinal(ordinal)
    return to_micros(datetime(day.year, day.month, day.day))
