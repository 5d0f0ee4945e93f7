"""Totals of the last minutes: sliding windows of a live stream, of which only the newest is given before its end.

Each row of ten overlapping windows would be merged ten times, and each of them given every second, to be outdated by
the next. Here rows are totalled per step, and a window is the sum of its steps when it is given.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows

from schemas.elements.frames import Batch, FrameCoder, Result
from transforms.aggregate.aggregate import BUCKET, Aggregate, ReduceFn, is_live
from transforms.aggregate.aggregations import Aggregation
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.compacted_state import Base, Clock, CompactedState, EarlyPane, EmitSchedule, not_before
from transforms.stateful import StatefulFn
from transforms.windows import Windows

_START = "_start"
#: Where more windows are open, a stream catches up: Prism begins a bundle for each time that a timer is set for, so
#: half of them are given together.
MOST_OPEN = 64


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Result)
@dataclass
class SlidingAggregate(beam.PTransform):
    """Give, per sliding window of event time, a frame with a row per key, as Aggregate does, but fewer early results.

    Each window is given once and finally, when the watermark and the lateness have passed it. Before, every
    ``emit_micros``, the one that will end next is given as it stands: that is the newest that is nearly whole.

    Attributes:
        by: the key columns.
        values: the result columns and how each comes about.
        windows: how event time is cut; the length is a multiple of the step.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end a window still takes rows.
    """

    by: tuple[str, ...]
    values: Mapping[str, Aggregation] = field(default_factory=dict)
    windows: Windows = Windows()
    emit_micros: int = 0
    lateness_micros: int = 0

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: one is out of its range, as Aggregate tells, or the windows are not made of whole steps.
        """
        super().__init__()
        if not self.windows.length or self.windows.length % self.windows.step:
            raise ValueError(f"expected windows whose length is a multiple of their step, got {self.windows}")
        self._aggregate()

    def _aggregate(self) -> Aggregate:
        return Aggregate(self.by, self.values, self.windows, self.emit_micros, self.lateness_micros)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Total steps, keep them, and give windows."""
        if not is_live(batches, self.emit_micros):
            return batches | "Aggregate" >> self._aggregate()
        reduction = FrameCombine(tuple(self.by), dict(self.values))
        slide = SlideWindowsFn(reduction, self.windows, self.emit_micros, self.lateness_micros)
        return (
            batches
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "ReduceSteps" >> beam.ParDo(ReduceStepsFn(reduction, self.windows))
            | "SlideWindows" >> beam.ParDo(slide)
        )


class ReduceStepsFn(ReduceFn):
    """Give one frame of accumulators per step and key for each bundle."""

    def _frames(self, parts: list[pl.DataFrame]) -> Iterator[tuple[int, int, pl.DataFrame]]:
        merged = self._reduction.merge(parts, BUCKET)
        yield int(merged[BUCKET].min()), 0, merged  # type: ignore[arg-type]  # whole numbers


class _Progress(NamedTuple):
    """How far one looks at windows in the order of their ends: the one that was passed last, and the next, if any."""

    passed: int | None = None
    next: int | None = None


class _Standing(NamedTuple):
    """What is known without looking at the frames.

    Attributes:
        whole: the frame of the steps that was written last.
        early: how far the early results are.
        front: ends of windows that the watermark passes; the next one is given early.
        closing: ends of windows that are given finally, when the lateness has passed, too.
        wakes: when the next ends are looked at, in microseconds of the watermark; None for never.
        is_behind: whether that is later than the first of them, for there are many.
    """

    whole: Base = Base()
    early: EarlyPane = EarlyPane()
    front: _Progress = _Progress()
    closing: _Progress = _Progress()
    wakes: int | None = None
    is_behind: bool = False


@beam.typehints.with_output_types(Result)
class SlideWindowsFn(StatefulFn):
    """Take frames of accumulators per step, and give the results of windows: the newest early, each finally.

    All rows have one key of Beam's, and no window of Beam's, since one row of these is in many.
    """

    WHOLE = ReadModifyWriteStateSpec("whole", FrameCoder())
    PARTS = BagStateSpec("parts", FrameCoder())
    STANDING = ReadModifyWriteStateSpec("standing", PickleCoder())
    NEXT = TimerSpec("next_last", TimeDomain.REAL_TIME)
    END = TimerSpec("end_last", TimeDomain.WATERMARK)

    def __init__(
        self,
        reduction: FrameCombine,
        windows: Windows,
        emit_micros: int,
        lateness_micros: int,
        clock: Clock = time.time,
    ) -> None:
        """Take what is counted, in which windows, how often it is given early, and how long windows stay open."""
        super().__init__()
        self._reduction = reduction
        self._windows = windows
        self._length, self._step = windows.length, windows.step
        self._pace = EmitSchedule(emit_micros, clock)
        self._lateness = lateness_micros

    def setup(self) -> None:
        """Begin with nothing remembered."""
        super().setup()
        self._kept = CompactedState(self._merge)

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Result]:
        """Add a frame, and give the early result that is due."""
        _, frame = element
        parts.add(frame)
        steps = frame[BUCKET].unique().to_list()
        stands = standing.read() or _Standing()
        front, closing = (self._sooner(progress, steps) for progress in (stands.front, stands.closing))
        stands, is_due = self._set_timers(stands._replace(front=front, closing=closing), next_timer, end_timer)
        if is_due:
            yield from self._give_early(whole, parts, standing, stands)
        else:
            standing.write(stands)

    @on_timer(NEXT)
    def give_next(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Yield the window that will end next."""
        stands = standing.read() or _Standing()
        if stands.early.due is not None:  # or else it was given with the last frame
            yield from self._give_early(whole, parts, standing, stands)

    @on_timer(END)
    def give_ended(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Result]:
        """Yield the windows that are over."""
        stands = standing.read() or _Standing()
        now = stands.wakes
        if now is None:
            return
        frame, stands = self._keep(whole, parts, stands)
        steps = frame[BUCKET].unique().sort().to_list()
        front, closing, until = stands.front, stands.closing, now - self._lateness
        if front.next is not None and front.next <= now:
            front = self._after(now, steps)
        if closing.next is not None and closing.next <= until:
            yield from self._finals(frame, closing.passed, until)
            closing = self._after(until, steps)
        stands = stands._replace(front=front, closing=closing, wakes=None, is_behind=False)
        open_steps = steps[bisect.bisect_left(steps, (closing.passed or 0) + self._step - self._length) :]
        if len(open_steps) > MOST_OPEN:
            wakes = open_steps[len(open_steps) // 2] + self._step + self._lateness
            end_timer.set(not_before(wakes))
            stands = stands._replace(wakes=wakes, is_behind=True)
        stands, _ = self._set_timers(stands, next_timer, end_timer)
        standing.write(stands)

    def _after(self, passed: int, steps: Iterable[int]) -> _Progress:
        return self._sooner(_Progress(passed // self._step * self._step), steps)

    def _sooner(self, progress: _Progress, steps: Iterable[int]) -> _Progress:
        """Return what is next when there are these steps, too: the end of the first window that has one of them."""
        passed = progress.passed
        if passed is not None:
            steps = [step for step in steps if step >= passed + self._step - self._length]
        first = min(steps, default=None)
        if first is None:
            return progress
        end = first + self._step if passed is None else max(first, passed) + self._step
        return progress if progress.next is not None and progress.next <= end else progress._replace(next=end)

    def _due(self, stands: _Standing) -> int | None:
        front, closing = stands.front.next, stands.closing.next
        due = [] if front is None else [front]
        return min([*due, closing + self._lateness] if closing is not None else due, default=None)

    def _set_timers(self, stands: _Standing, next_timer: Any, end_timer: Any) -> tuple[_Standing, bool]:
        """Set the timers for what is open; tell whether an early result is due."""
        due = self._due(stands)
        if due is None:
            next_timer.clear()
            return stands._replace(early=stands.early._replace(due=None)), False
        if stands.wakes is None or (due < stands.wakes and not stands.is_behind):
            end_timer.set(not_before(due))
            stands = stands._replace(wakes=due)
        early, is_due = self._pace.ask(stands.early, next_timer)
        return stands._replace(early=early), is_due

    def _give_early(self, whole: Any, parts: Any, standing: Any, stands: _Standing) -> Iterator[Result]:
        early, end = stands.early._replace(due=None), stands.front.next
        if end is not None:
            frame, stands = self._keep(whole, parts, stands)
            yield self._result(frame, end, early.pane)
            early = self._pace.given(stands.early)
        standing.write(stands._replace(early=early))

    def _keep(self, whole: Any, parts: Any, stands: _Standing) -> tuple[pl.DataFrame, _Standing]:
        """Merge what there is, and forget the steps that no open window has."""
        frame, new_bytes = self._kept.gather(whole, parts, stands.whole)
        passed = stands.closing.passed
        if passed is not None:
            frame = frame.filter(pl.col(BUCKET) >= passed + self._step - self._length)
        if new_bytes and new_bytes >= stands.whole.bytes:
            stands = stands._replace(whole=self._kept.write(frame, whole, parts, stands.whole))
        return frame, stands

    def _merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        return self._reduction.merge(frames, BUCKET)

    def _finals(self, frame: pl.DataFrame, passed: int | None, until: int) -> Iterator[Result]:
        """Yield the windows that end after ``passed`` and up to ``until``, all from one group-by."""
        end = pl.col(_START) + self._length
        is_over = end <= until if passed is None else end.is_between(passed, until, "right")
        inside = frame.with_columns(self._windows.starts(pl.col(BUCKET)).alias(_START)).drop(BUCKET).explode(_START)
        merged = self._reduction.merge([inside.filter(is_over)], _START)
        yield from self._reduction.results_by_window(merged, _START, self._length)

    def _result(self, frame: pl.DataFrame, end: int, pane: int) -> Result:
        start = end - self._length
        inside = frame.filter(pl.col(BUCKET).is_between(start, end - self._step)).drop(BUCKET)
        return self._reduction.result(self._reduction.merge([inside]), (start, end), pane)
