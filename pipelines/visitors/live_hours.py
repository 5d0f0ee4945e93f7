"""Hours that fill at the same time: their accumulators in one state, counted as they come, let go as they close.

A window of Beam's for each hour costs Prism some milliseconds, and a stream that is played fast closes many a second.
Here the hours are rows of one frame, and those that have passed are closed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from schemas.elements.frames import FINAL_PANE, Frames, Result, edges
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.combine import BUCKET, FrameCombine
from transforms.aggregate.live import Change, Live

#: The key column of the reduction: when an hour starts.
HOUR_START = "hour_start"
#: The column of a frame that is of no hour, and tells whether a record was of use: see LiveHours.
USABLE = "_usable"
_HOUR_MICROS = 3_600 * MICROS_PER_SECOND
_CLOSED = "closed"


class _Memo(NamedTuple):
    """Whether a record was of use so far; None where none was read."""

    usable: bool | None = None


class LiveHours(Live):
    """Hold accumulators by hour and give the results of all hours: early ones, and a final one.

    A frame without columns is of no hour: where it is the first, there is a final result even if no other ever comes.
    One of USABLE alone tells of records that brought no row: of use (a filter did not want them) or of none (they were
    rejected). As long as no record was of use, there are no early results; and where records were read and none was, no
    final one either, so that what an earlier run has written stays.

    An hour closes when the watermark and the lateness have passed its end. Its accumulators go then; its result stays.
    """

    def __init__(self, reduction: FrameCombine, lateness_micros: int) -> None:
        """Take what is counted by HOUR_START, and how long hours stay open."""
        self._reduction = reduction
        self._lateness = lateness_micros

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Merge what has the same hour."""
        return self._reduction.merge(frames)

    def add(self, memo: _Memo | None, rows: pl.DataFrame) -> Change:
        """Take accumulators, or what tells of records that brought none."""
        memo = memo or _Memo()
        is_rows = HOUR_START in rows.columns
        usable = memo.usable or (is_rows or bool(rows[USABLE].any()) if rows.width else memo.usable)
        hours = rows.drop(BUCKET, strict=False) if is_rows else pl.DataFrame()
        is_new = is_rows or (bool(usable) and not memo.usable)
        return Change(memo._replace(usable=usable), hours, self._wake(hours), is_new)

    def settle(self, memo: _Memo, rows: pl.DataFrame, settled: Frames, until: int | None) -> Change:
        """Keep only the results of the hours that have passed; at the end give those of all."""
        if until is None:
            results = () if memo.usable is False else (self._result(rows, settled, FINAL_PANE),)
            return Change(memo, rows, results=results)
        has_passed = _ends() + self._lateness <= until
        closed, still_open = self._results(rows.filter(has_passed), settled), rows.filter(~has_passed)
        return Change(memo, still_open, self._wake(still_open), settled={_CLOSED: closed})

    def early(self, memo: _Memo, rows: pl.DataFrame, settled: Frames, pane: int) -> tuple[_Memo, tuple[Result, ...]]:
        """Give all hours as they stand."""
        return memo, (self._result(rows, settled, pane),)

    def _wake(self, hours: pl.DataFrame) -> int | None:
        """Return when the newest of the hours but one closes, so that of many nearly all close at once."""
        if not hours.height:
            return None
        ends = hours.select(_ends().unique().sort())[HOUR_START]
        return int(ends[max(0, len(ends) - 2)]) + self._lateness

    def _results(self, rows: pl.DataFrame, settled: Frames) -> pl.DataFrame:
        """Return the results of the closed hours, and with them those of the frame."""
        known = [settled[_CLOSED]] if settled else []
        frames = [*known, *([self._reduction.results(rows)] if rows.width else [])] or [no_hours(self._reduction)]
        # No row comes to an hour that has closed. If a runner did not keep to that, the first word would stand.
        return pl.concat(frames).unique(HOUR_START, keep="first").sort(HOUR_START)

    def _result(self, rows: pl.DataFrame, settled: Frames, pane: int) -> Result:
        rows = self._results(rows, settled).select(*edges(pl.lit(None), pl.lit(None)), pl.all())
        return Result(None, None, pane, pane == FINAL_PANE, rows)


def _ends() -> pl.Expr:
    return pl.col(HOUR_START).to_physical() + _HOUR_MICROS


def no_hours(reduction: FrameCombine) -> pl.DataFrame:
    """Return results without an hour; each value is a number."""
    numbers = dict.fromkeys(reduction.values, pl.Int64())
    return pl.DataFrame(schema={HOUR_START: pl.Datetime("us", "UTC"), **numbers})
