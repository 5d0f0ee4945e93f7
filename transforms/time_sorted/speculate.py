"""Looking ahead of what is settled: the state that there would be if no earlier row came any more."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from schemas.elements.frames import EVENT_TIME, Frames
from transforms.time_sorted.fold import Fold, between, in_order

#: So many of the newest rows are folded again with each look, since rows just before them may still come.
FRESH_ROWS = 10_000
#: So many states on the way are remembered, for rows that come between others.
MOST_STOPS = 16


class _Stop(NamedTuple):
    """The state with all rows before ``until``, in microseconds, and how many they are."""

    until: int
    rows: int
    state: Frames


class SpeculativeState:
    """Fold the waiting rows, remembering some states on the way, so that the next fold need not begin anew.

    It is a memory and no more: it gives the same whatever it remembers. No row is ever taken back, so a state has all
    rows before its moment as long as they are as many as they were.
    """

    def __init__(self, fold: Fold) -> None:
        """Take the fold, and begin with nothing remembered."""
        self._fold = fold
        self._stops: list[_Stop] = []

    def state(self, settled: Frames, folded: int, waiting: pl.DataFrame) -> Frames:
        """Return the state with all rows: from the settled one, of so many rows that were folded, on."""
        since, state = self._last(settled, folded, waiting)
        rows = in_order(between(waiting, since, None))
        times = rows[EVENT_TIME].to_physical()
        if rows.height >= 2 * FRESH_ROWS and times[0] < times[-FRESH_ROWS]:
            until = int(times[-FRESH_ROWS])
            state, _ = self._fold.fold(state, between(rows, None, until), until)
            rows = between(rows, until, None)
            self._stops.append(_Stop(until, folded + waiting.height - rows.height, state))
            if len(self._stops) > MOST_STOPS:
                del self._stops[1:-1:2]
        return self._fold.fold(state, rows, int(times[-1]) + 1)[0] if rows.height else state

    def _last(self, settled: Frames, folded: int, waiting: pl.DataFrame) -> tuple[int | None, Frames]:
        """Return the last state that lacks no row, and up to when it goes; forget later ones, and those outdated."""
        times = waiting[EVENT_TIME].to_physical()
        while self._stops:
            until, rows, state = self._stops[-1]
            done = int((times < until).sum())
            if done and rows == folded + done:
                return until, state
            self._stops.pop()
        return None, settled
