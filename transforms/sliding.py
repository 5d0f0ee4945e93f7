"""Totals of the last minutes: sliding windows of a live stream, of which only the newest is given before its end.

Each row of ten overlapping windows would be merged ten times, and each of them given every second, to be outdated by
the next. Here rows are totalled per step, and a window is the sum of its steps when it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.units import MICROS_PER_SECOND
from transforms.aggregate import Aggregate, Tuning
from transforms.aggregations import Aggregation
from transforms.columns import EVENT_TIME
from transforms.frames import Batch, FrameCoder, Result
from transforms.reduction import FINAL_PANE, Reduction
from transforms.windows import Windows

_STEP = "_step"


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Result)
@dataclass
class AggregateLast(beam.PTransform):
    """Gives, per sliding window of event time, a frame with a row per key, as Aggregate does, but fewer early results.

    Each window is given once and finally, when the watermark and the lateness have passed it. Before, every
    ``emit_micros``, the one that will end next is given as it stands: that is the newest that is nearly whole. Rows are
    not counted as used: that is for the totals since the start, beside which this one stands.

    Attributes:
        by: the key columns.
        values: the result columns and how each comes about.
        windows: how event time is cut; the length is a multiple of the step.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end a window still takes rows.
        tuned_for: see Aggregate; all but ``live`` are left to it.
    """

    by: tuple[str, ...]
    values: Mapping[str, Aggregation] = field(default_factory=dict)
    windows: Windows = Windows()
    emit_micros: int = 0
    lateness_micros: int = 0
    tuned_for: Tuning = "any"

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: one is out of its range, as Aggregate tells, or the windows are not made of whole steps.
        """
        super().__init__()
        if not self.windows.length or self.windows.length % self.windows.step:
            raise ValueError(f"expected windows whose length is a multiple of their step, got {self.windows}")
        self._aggregate()

    def _aggregate(self) -> Aggregate:
        return Aggregate(
            self.by,
            self.values,
            self.windows,
            self.emit_micros,
            self.lateness_micros,
            tuned_for=self.tuned_for,
            counted=False,
        )

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Totals steps, keeps them, and gives windows."""
        if self.tuned_for != "live":
            return batches | "Aggregate" >> self._aggregate()
        reduction = Reduction(tuple(self.by), dict(self.values))
        slide = SlideWindowsFn(reduction, self.windows, self.emit_micros, self.lateness_micros)
        return (
            batches
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "ReduceSteps" >> beam.ParDo(_ReduceStepsFn(reduction, self.windows))
            | "SlideWindows" >> beam.ParDo(slide)
        )


def reduce_steps(reduction: Reduction, windows: Windows, rows: pl.DataFrame) -> pl.DataFrame:
    """Gives the accumulators of rows per step and key."""
    return reduction.reduce(rows, windows.bucket_start(pl.col(EVENT_TIME)).alias(_STEP))


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _ReduceStepsFn(beam.DoFn):
    """Gives one frame of accumulators per step and key for each bundle."""

    def __init__(self, reduction: Reduction, windows: Windows) -> None:
        self._reduction = reduction
        self._windows = windows

    def start_bundle(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def process(self, batch: Batch) -> None:
        self._parts.append(reduce_steps(self._reduction, self._windows, batch.rows))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._parts:
            merged = self._reduction.merge(self._parts, _STEP)
            first = Timestamp(micros=int(merged[_STEP].min()))  # type: ignore[arg-type]  # whole numbers
            yield WindowedValue((0, merged), first, (GlobalWindow(),))


class _Progress(NamedTuple):
    """How far one looks at windows in the order of their ends: the one that was passed last, and the next, if any."""

    passed: int | None = None
    next: int | None = None


class _Standing(NamedTuple):
    """What is known without looking at the frames.

    Attributes:
        pane: the number of the next early result.
        is_waiting: whether the timer of the next one is set.
        front: ends of windows that the watermark passes; the next one is given early.
        closing: ends of windows that are given finally, when the lateness has passed, too.
    """

    pane: int = 0
    is_waiting: bool = False
    front: _Progress = _Progress()
    closing: _Progress = _Progress()


@beam.typehints.with_output_types(Result)
class SlideWindowsFn(beam.DoFn):
    """Takes frames of accumulators per step, and gives the results of windows: the newest early, each finally.

    All rows have one key of Beam's, and no window of Beam's, since one row of these is in many.
    """

    WHOLE = ReadModifyWriteStateSpec("whole", FrameCoder())
    PARTS = BagStateSpec("parts", FrameCoder())
    STANDING = ReadModifyWriteStateSpec("standing", FastPrimitivesCoder())
    NEXT = TimerSpec("next", TimeDomain.REAL_TIME)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, reduction: Reduction, windows: Windows, emit_micros: int, lateness_micros: int) -> None:
        """Takes what is counted, in which windows, how often it is given early, and how long windows stay open."""
        self._reduction = reduction
        self._length, self._step = windows.length, windows.step
        self._emit = emit_micros
        self._lateness = lateness_micros

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        """Adds a frame."""
        _, frame = element
        parts.add(frame)
        steps = frame[_STEP].unique().to_list()
        stands = _read(standing)
        front, closing = (self._sooner(progress, steps) for progress in (stands.front, stands.closing))
        stands = stands._replace(front=front, closing=closing)
        self._set_timers(stands, standing, next_timer, end_timer)

    @on_timer(NEXT)
    def give_next(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Gives the window that will end next."""
        stands = _read(standing)._replace(is_waiting=False)
        if stands.front.next is not None:
            yield self._result(self._gather(whole, parts, stands), stands.front.next, stands.pane)
            stands = stands._replace(pane=stands.pane + 1)
        standing.write(tuple(stands))

    @on_timer(END)
    def give_ended(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Result]:
        """Gives the windows that are over."""
        stands = _read(standing)
        now = self._due(stands)
        if now is None:
            return
        frame = self._gather(whole, parts, stands)
        steps = frame[_STEP].unique().to_list()
        if stands.front.next is not None and stands.front.next <= now:
            stands = stands._replace(front=self._after(stands.front.next, steps))
        while stands.closing.next is not None and stands.closing.next + self._lateness <= now:
            yield self._result(frame, stands.closing.next, FINAL_PANE)
            stands = stands._replace(closing=self._after(stands.closing.next, steps))
        self._set_timers(stands, standing, next_timer, end_timer)

    def _after(self, passed: int, steps: Iterable[int]) -> _Progress:
        return self._sooner(_Progress(passed), steps)

    def _sooner(self, progress: _Progress, steps: Iterable[int]) -> _Progress:
        """Gives what is next when there are these steps, too: the end of the first window that has one of them."""
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

    def _set_timers(self, stands: _Standing, standing: Any, next_timer: Any, end_timer: Any) -> None:
        due = self._due(stands)
        if due is None:
            next_timer.clear()
            stands = stands._replace(is_waiting=False)
        else:
            end_timer.set(Timestamp(micros=due))
            if self._emit and not stands.is_waiting:
                next_timer.set(Timestamp.now() + self._emit / MICROS_PER_SECOND)
                stands = stands._replace(is_waiting=True)
        standing.write(tuple(stands))

    def _gather(self, whole: Any, parts: Any, stands: _Standing) -> pl.DataFrame:
        """Merges what there is, and forgets the steps that no open window has."""
        old, new = whole.read(), list(parts.read())
        frames = new if old is None else [old, *new]
        merged = self._reduction.merge(frames, _STEP)
        passed = stands.closing.passed
        if passed is not None:
            merged = merged.filter(pl.col(_STEP) >= passed + self._step - self._length)
        whole.write(merged)
        parts.clear()
        return merged

    def _result(self, frame: pl.DataFrame, end: int, pane: int) -> Result:
        start = end - self._length
        inside = frame.filter(pl.col(_STEP).is_between(start, end - self._step)).drop(_STEP)
        return self._reduction.result(self._reduction.merge([inside]), (start, end), 0, 1, pane)


def _read(standing: Any) -> _Standing:
    known = standing.read()
    if not known:
        return _Standing()
    pane, is_waiting, front, closing = known
    return _Standing(pane, is_waiting, _Progress(*front), _Progress(*closing))
