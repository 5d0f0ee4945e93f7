"""Shelves: what is there is sold, what falls below a level is filled up again after a while, the rest is lost.

Nothing is done sale by sale: from one delivery to the next all sales of a product are one step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from simulators.engine.batch import Times
from simulators.engine.byte_layout import Ints

NEVER = np.iinfo(np.int64).max


class Delivery(NamedTuple):
    """A shelf was filled.

    Attributes:
        time: microseconds since the epoch.
        existing: what was there right before.
        without: microseconds for which nothing had been there.
    """

    time: int
    existing: int
    without: int


@dataclass(frozen=True)
class Restocking:
    """How shelves are filled.

    Attributes:
        below: they are when there is less than this; 0 is never.
        amount: what comes.
        delay: microseconds from then on, 1 at least; while there is still too little, more comes as often.
    """

    below: int
    amount: int
    delay: int

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        if self.below < 0:
            raise ValueError(f"min-inventory must not be negative, got {self.below}")
        if self.amount < 1:
            raise ValueError(f"restock-amount must be 1 or more, got {self.amount}")
        if self.delay < 1:
            raise ValueError("restock-after must be longer than nothing, got 0")


@dataclass
class Shelf:
    """One product in one shop.

    Attributes:
        restocking: how it is filled.
        level: what is there.
        opened: microseconds at which the shop begins.
        troubles: from when until when nothing can come.
        due: when something comes; :data:`NEVER` where it need not.
    """

    restocking: Restocking
    level: int
    opened: int
    troubles: Sequence[tuple[int, int]] = ()
    due: int = NEVER
    _empty_since: int = field(init=False)

    def __post_init__(self) -> None:
        """Ask for more where there is too little from the beginning."""
        self.troubles = sorted(self.troubles)
        self._empty_since = self.opened
        self._order(self.opened)

    def serve(self, times: Times, asked: Ints, until: int) -> tuple[Ints, list[Delivery]]:
        """Sell what is asked for as far as it is there.

        Args:
            times: when, ascending, none before those of the call before.
            asked: how many each time, 1 at least.
            until: deliveries up to this moment come now; those after it stay due.

        Returns:
            How many were sold each time, and what was delivered. A delivery comes before the sales of its moment.
        """
        sold = asked.copy()
        clock = times.tolist()
        # What had been asked for before each sale.
        before = [0, *np.cumsum(asked).tolist()]
        deliveries: list[Delivery] = []
        place, count = 0, len(clock)
        while True:
            due = self.due
            stop = count if due > until else bisect_left(clock, due, place)
            if place < stop:
                place = self._sell(clock, before, place, stop, sold)
                if place < stop or self.due < due:
                    continue
            if self.due > until:
                return sold, deliveries
            deliveries.append(self._fill())

    def _sell(self, clock: list[int], before: list[int], place: int, stop: int, sold: Ints) -> int:
        """Sell from one place on: all if something is due already, else until something has to come; return where."""
        level, begun = self.level, before[place]
        if self.due == NEVER and self.restocking.below:
            enough = level - self.restocking.below
            stop = min(stop, bisect_right(before, begun + enough, place + 1, stop + 1))
        asked = before[stop] - begun
        if asked < level:
            self.level = level - asked
        else:
            # The sale that takes the last one, and perhaps asks for more.
            last = bisect_left(before, begun + level, place + 1, stop + 1) - 1
            if level:
                sold[last] = begun + level - before[last]
                sold[last + 1 : stop] = 0
                self._empty_since = clock[last]
            else:
                sold[place:stop] = 0
            self.level = 0
        if self.due == NEVER:
            self._order(clock[stop - 1])
        return stop

    def _order(self, time: int) -> None:
        """Have more delivered if there is too little."""
        if self.level >= self.restocking.below:
            self.due = NEVER
            return
        self.due = time + self.restocking.delay
        for begin, end in self.troubles:
            if begin <= self.due < end:
                self.due = end

    def _fill(self) -> Delivery:
        time, level = self.due, self.level
        self.level += self.restocking.amount
        self._order(time)
        return Delivery(time, level, 0 if level else time - self._empty_since)
