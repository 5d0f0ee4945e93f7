"""Hours that fill at the same time: their accumulators in one state, counted as they come, let go as they close.

A window of Beam's for each hour costs Prism some milliseconds, and a stream that is played fast closes many a second.
Here the hours are rows of one frame, and those that have passed are closed together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from schemas.units import MICROS_PER_SECOND
from transforms.frames import FrameCoder, Result
from transforms.reduction import FINAL_PANE, Reduction, edges

#: The key column of the reduction: when an hour starts.
HOUR_START = "hour_start"
Clock = Callable[[], float]
_HOUR_MICROS = 3_600 * MICROS_PER_SECOND


class _Standing(NamedTuple):
    """What is known without looking at the frames.

    Attributes:
        version: how often the whole was written; 0 for never.
        bytes: how big the whole is; it is written anew when the parts are as big.
        pane: the number of the next early result.
        given: when the last one was due, in microseconds of real time.
        due: when the next one is; None if nothing has come since the last.
        closes_at: when the next hours close, in microseconds; None if none is open.
    """

    version: int = 0
    bytes: int = 0
    pane: int = 0
    given: int = 0
    due: int | None = None
    closes_at: int | None = None


class _Merged(NamedTuple):
    """A frame, and of what it was merged: the whole of that version and so many parts."""

    version: int
    parts: int
    frame: pl.DataFrame


@beam.typehints.with_output_types(Result)
class FillHoursFn(beam.DoFn):
    """Takes (shard, frame of accumulators by hour) and gives the results of all hours: early ones, and a final one.

    A frame without columns is of no hour. Where it is the first, there are results even if no other ever comes.

    An hour closes when the watermark and the lateness have passed its end. Its accumulators go then; its result stays.

    The state is a whole, and the parts that came since it was written, as for FillWindowsFn. The runner has to hold the
    watermark back for what it has not handed over yet, as all do.
    """

    WHOLE = ReadModifyWriteStateSpec("whole", FrameCoder())
    PARTS = BagStateSpec("parts", FrameCoder())
    CLOSED = ReadModifyWriteStateSpec("closed", FrameCoder())
    STANDING = ReadModifyWriteStateSpec("standing", FastPrimitivesCoder())
    NEXT = TimerSpec("next", TimeDomain.REAL_TIME)
    CLOSE = TimerSpec("close", TimeDomain.WATERMARK)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, reduction: Reduction, emit_micros: int, lateness_micros: int, clock: Clock = time.time) -> None:
        """Takes what is counted by HOUR_START, how often early results are given, and how long hours stay open.

        The clock gives the seconds of real time.
        """
        self._clock = clock
        self._reduction = reduction
        self._emit = emit_micros
        self._lateness = lateness_micros

    def setup(self) -> None:
        """Begins with nothing remembered."""
        self._remembered: _Merged | None = None

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
        """Adds a frame, and gives the early result that is due: the timer of a busy key may have to wait for long."""
        _, frame = element
        if frame.width:
            parts.add(frame)
        known = standing.read()
        stands = before = _Standing(*known) if known else _Standing()
        if not known:
            end_timer.set(window.max_timestamp())
        if stands.closes_at is None:
            stands = self._wait_for_close(frame, stands, close_timer)
        if self._emit:
            now = int(self._clock() * MICROS_PER_SECOND)
            if stands.due is None:
                stands = stands._replace(due=max(now, stands.given + self._emit))
                next_timer.set(Timestamp(micros=stands.due))
            elif stands.due <= now:
                result, stands = self._give_early(whole, parts, closed, stands)
                yield result
        if stands != before:
            standing.write(tuple(stands))

    @on_timer(NEXT)
    def give_next(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        closed: Any = beam.DoFn.StateParam(CLOSED),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Gives the early result that is due."""
        known = standing.read()
        stands = _Standing(*known) if known else _Standing()
        if stands.due is not None:  # or else it was given with the last frame, or the end has been
            result, stands = self._give_early(whole, parts, closed, stands)
            standing.write(tuple(stands))
            yield result

    @on_timer(CLOSE)
    def close_hours(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        closed: Any = beam.DoFn.StateParam(CLOSED),
        standing: Any = beam.DoFn.StateParam(STANDING),
        close_timer: Any = beam.DoFn.TimerParam(CLOSE),
    ) -> None:
        """Keeps only the results of the hours that have passed."""
        known = standing.read()
        if known is None:
            return  # the end has been
        stands = _Standing(*known)
        merged, _ = self._gather(whole, parts, stands)
        if merged is None or stands.closes_at is None:
            return
        has_passed = pl.col(HOUR_START).to_physical() + _HOUR_MICROS + self._lateness <= stands.closes_at
        closed.write(self._results(merged.filter(has_passed), closed))
        still_open = merged.filter(~has_passed)
        stands = self._write(still_open, whole, parts, stands._replace(closes_at=None))
        standing.write(tuple(self._wait_for_close(still_open, stands, close_timer)))

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
        """Gives the final result."""
        known = standing.read()
        merged, _ = self._gather(whole, parts, _Standing(*known) if known else _Standing())
        yield self._result(merged, closed, FINAL_PANE)
        self._remembered = None
        for timer in (next_timer, close_timer):
            timer.clear()
        for state in (whole, parts, closed, standing):
            state.clear()

    def _give_early(self, whole: Any, parts: Any, closed: Any, stands: _Standing) -> tuple[Result, _Standing]:
        merged, new = self._gather(whole, parts, stands)
        result = self._result(merged, closed, stands.pane)
        size = sum(frame.estimated_size() for frame in new)
        if merged is not None and size and size >= stands.bytes:
            stands = self._write(merged, whole, parts, stands)
        given = max(stands.due or 0, int(self._clock() * MICROS_PER_SECOND) - self._emit)
        return result, stands._replace(pane=stands.pane + 1, given=given, due=None)

    def _wait_for_close(self, frame: pl.DataFrame, stands: _Standing, close_timer: Any) -> _Standing:
        """Sets the timer for the newest of the open hours but one, so that of many nearly all close at once."""
        if not frame.height:
            return stands
        starts = frame[HOUR_START].to_physical().sort()
        closes_at = int(starts[max(0, len(starts) - 2)]) + _HOUR_MICROS + self._lateness
        close_timer.set(Timestamp(micros=closes_at))
        return stands._replace(closes_at=closes_at)

    def _gather(self, whole: Any, parts: Any, stands: _Standing) -> tuple[pl.DataFrame | None, list[pl.DataFrame]]:
        """Merges what there is of the open hours, and gives the parts of it that are not in the whole."""
        new = list(parts.read())
        known = self._remembered
        if known is not None and known.version == stands.version and known.parts <= len(new):
            frames = [known.frame, *new[known.parts :]]
        else:
            frames = [*([whole.read()] if stands.version else []), *new]
        if not frames:
            return None, new
        merged = self._reduction.merge(frames) if len(frames) > 1 else frames[0]
        self._remembered = _Merged(stands.version, len(new), merged)
        return merged, new

    def _write(self, merged: pl.DataFrame, whole: Any, parts: Any, stands: _Standing) -> _Standing:
        """Writes the whole anew."""
        whole.write(merged)
        parts.clear()
        self._remembered = _Merged(stands.version + 1, 0, merged)
        return stands._replace(version=stands.version + 1, bytes=int(merged.estimated_size()))

    def _results(self, merged: pl.DataFrame | None, closed: Any) -> pl.DataFrame:
        """Gives the results of the closed hours, and with them those of the frame."""
        known = closed.read()
        frames: list[pl.DataFrame] = [] if known is None else [known]
        if merged is not None:
            frames.append(self._reduction.results(merged))
        # No row comes to an hour that has closed. If a runner did not keep to that, the first word would stand.
        whole: pl.DataFrame = pl.concat(frames) if frames else no_hours(self._reduction)
        return whole.unique(HOUR_START, keep="first").sort(HOUR_START)

    def _result(self, merged: pl.DataFrame | None, closed: Any, pane: int) -> Result:
        rows = self._results(merged, closed).select(*edges(pl.lit(None), pl.lit(None)), pl.all())
        return Result(None, None, 0, 1, pane, pane == FINAL_PANE, rows)


def no_hours(reduction: Reduction) -> pl.DataFrame:
    """Gives results without an hour; each value is a number."""
    numbers = dict.fromkeys(reduction.values, pl.Int64())
    return pl.DataFrame(schema={HOUR_START: pl.Datetime("us", "UTC"), **numbers})
