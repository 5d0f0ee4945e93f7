"""Hours that fill at the same time: their accumulators in one state, counted as they come, let go as they close.

A window of Beam's for each hour costs Prism some milliseconds, and a stream that is played fast closes many a second.
Here the hours are rows of one frame, and those that have passed are closed together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer

from schemas.elements.frames import FINAL_PANE, FrameCoder, Result, edges
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.compacted_state import Base, Clock, CompactedState, EarlyPane, EmitSchedule, not_before
from transforms.stateful import StatefulFn

#: The key column of the reduction: when an hour starts.
HOUR_START = "hour_start"
#: The column of a frame that is of no hour, and tells whether a record was of use: see LiveHoursFn.
USABLE = "_usable"
_HOUR_MICROS = 3_600 * MICROS_PER_SECOND


class _Standing(NamedTuple):
    """What is known without looking at the frames.

    Attributes:
        whole: the frame of the open hours that was written last.
        early: how far the early results are.
        closes_at: when the next hours close, in microseconds; None if none is open.
        usable: whether a record was of use so far; None where none was read.
    """

    whole: Base = Base()
    early: EarlyPane = EarlyPane()
    closes_at: int | None = None
    usable: bool | None = None


@beam.typehints.with_output_types(Result)
class LiveHoursFn(StatefulFn):
    """Take (key, frame of accumulators by hour) and give the results of all hours: early ones, and a final one.

    A frame without columns is of no hour: where it is the first, there is a final result even if no other ever comes.
    One of USABLE alone tells of records that brought no row: of use (a filter did not want them) or of none (they were
    rejected). As long as no record was of use, there are no early results; and where records were read and none was, no
    final one either, so that what an earlier run has written stays.

    An hour closes when the watermark and the lateness have passed its end. Its accumulators go then; its result stays.

    The state is a whole, and the parts that came since it was written, as CompactedState tells; and the results of the
    hours that have closed. The runner has to hold the watermark back for what it has not handed over yet, as all do.
    """

    WHOLE = ReadModifyWriteStateSpec("whole", FrameCoder())
    PARTS = BagStateSpec("parts", FrameCoder())
    CLOSED = ReadModifyWriteStateSpec("closed", FrameCoder())
    STANDING = ReadModifyWriteStateSpec("standing", PickleCoder())
    NEXT = TimerSpec("next_hours", TimeDomain.REAL_TIME)
    CLOSE = TimerSpec("close_hours", TimeDomain.WATERMARK)
    END = TimerSpec("end_hours", TimeDomain.WATERMARK)

    def __init__(
        self, reduction: FrameCombine, emit_micros: int, lateness_micros: int, clock: Clock = time.time
    ) -> None:
        """Take what is counted by HOUR_START, how often early results are given, and how long hours stay open."""
        super().__init__()
        self._reduction = reduction
        self._pace = EmitSchedule(emit_micros, clock, at_once=True)
        self._lateness = lateness_micros

    def setup(self) -> None:
        """Begin with nothing remembered."""
        super().setup()
        self._kept = CompactedState(self._reduction.merge)

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        closed: Any = beam.DoFn.StateParam(CLOSED),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        close_timer: Any = beam.DoFn.TimerParam(CLOSE),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Result]:
        """Add a frame, and give the early result that is due."""
        _, frame = element
        is_rows = frame.width > 0 and frame.columns != [USABLE]
        if is_rows:
            parts.add(frame)
        known = standing.read()
        if known is None:
            end_timer.set(window.max_timestamp())
        stands = known or _Standing()
        if not stands.usable and frame.width:
            stands = stands._replace(usable=is_rows or bool(frame[USABLE].any()))
        if not stands.usable or not (is_rows or stands.early == EarlyPane()):
            if stands != known:
                standing.write(stands)
            return
        if stands.closes_at is None:
            stands = self._wait_for_close(frame, stands, close_timer)
        early, is_due = self._pace.ask(stands.early, next_timer)
        stands = stands._replace(early=early)
        if is_due:
            yield self._give_early(whole, parts, closed, standing, stands)
        elif stands != known:
            standing.write(stands)

    @on_timer(NEXT)
    def give_next(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        closed: Any = beam.DoFn.StateParam(CLOSED),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Yield the early result that is due."""
        stands = standing.read() or _Standing()
        if stands.early.due is not None:  # or else it was given with the last frame, or the end has been
            yield self._give_early(whole, parts, closed, standing, stands)

    @on_timer(CLOSE)
    def close_hours(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        closed: Any = beam.DoFn.StateParam(CLOSED),
        standing: Any = beam.DoFn.StateParam(STANDING),
        close_timer: Any = beam.DoFn.TimerParam(CLOSE),
    ) -> None:
        """Keep only the results of the hours that have passed."""
        stands = standing.read()
        if stands is None:
            return  # the end has been
        merged, _ = self._kept.gather(whole, parts, stands.whole)
        if not merged.width or stands.closes_at is None:
            return
        has_passed = pl.col(HOUR_START).to_physical() + _HOUR_MICROS + self._lateness <= stands.closes_at
        closed.write(self._results(merged.filter(has_passed), closed))
        still_open = merged.filter(~has_passed)
        stands = stands._replace(whole=self._kept.write(still_open, whole, parts, stands.whole), closes_at=None)
        standing.write(self._wait_for_close(still_open, stands, close_timer))

    @on_timer(END)
    def give_final(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        closed: Any = beam.DoFn.StateParam(CLOSED),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        close_timer: Any = beam.DoFn.TimerParam(CLOSE),
    ) -> Iterator[Result]:
        """Yield the final result."""
        stands = standing.read() or _Standing()
        merged, _ = self._kept.gather(whole, parts, stands.whole)
        if stands.usable is not False:
            yield self._result(merged, closed, FINAL_PANE)
        self._kept.forget()
        for timer in (next_timer, close_timer):
            timer.clear()
        for state in (whole, parts, closed, standing):
            state.clear()

    def _give_early(self, whole: Any, parts: Any, closed: Any, standing: Any, stands: _Standing) -> Result:
        merged, known = self._kept.keep(whole, parts, stands.whole)
        standing.write(stands._replace(whole=known, early=self._pace.given(stands.early)))
        return self._result(merged, closed, stands.early.pane)

    def _wait_for_close(self, frame: pl.DataFrame, stands: _Standing, close_timer: Any) -> _Standing:
        """Set the timer for the newest of the open hours but one, so that of many nearly all close at once."""
        if HOUR_START not in frame.columns or not frame.height:
            return stands
        starts = frame[HOUR_START].to_physical().sort()
        closes_at = int(starts[max(0, len(starts) - 2)]) + _HOUR_MICROS + self._lateness
        close_timer.set(not_before(closes_at))
        return stands._replace(closes_at=closes_at)

    def _results(self, merged: pl.DataFrame, closed: Any) -> pl.DataFrame:
        """Return the results of the closed hours, and with them those of the frame."""
        known = closed.read()
        frames: list[pl.DataFrame] = [] if known is None else [known]
        if merged.width:
            frames.append(self._reduction.results(merged))
        # No row comes to an hour that has closed. If a runner did not keep to that, the first word would stand.
        whole: pl.DataFrame = pl.concat(frames) if frames else no_hours(self._reduction)
        return whole.unique(HOUR_START, keep="first").sort(HOUR_START)

    def _result(self, merged: pl.DataFrame, closed: Any, pane: int) -> Result:
        rows = self._results(merged, closed).select(*edges(pl.lit(None), pl.lit(None)), pl.all())
        return Result(None, None, 0, 1, pane, pane == FINAL_PANE, rows)


def no_hours(reduction: FrameCombine) -> pl.DataFrame:
    """Return results without an hour; each value is a number."""
    numbers = dict.fromkeys(reduction.values, pl.Int64())
    return pl.DataFrame(schema={HOUR_START: pl.Datetime("us", "UTC"), **numbers})
