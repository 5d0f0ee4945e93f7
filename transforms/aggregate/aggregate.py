"""Aggregating frames per key and window: reduced before the shuffle, shuffled as frames, merged by group-by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.coders import Coder, ListCoder
from apache_beam.transforms import trigger
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import EDGES, EVENT_TIME, FINAL_PANE, Batch, FrameCoder, Result
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.aggregations import Aggregation
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.live_windows import LiveWindowsFn
from transforms.counting import USED, count_rows
from transforms.windows import Windows

__all__ = ["FINAL_PANE", "Aggregate", "FrameCombine", "MergeFramesFn"]

#: Batches are reduced when so many rows have gathered: a small one costs as much as a big one.
REDUCE_ROWS = 10_000
#: Accumulators are merged when so many rows of them have gathered; below, appending is cheaper.
COMPACT_ROWS = 100_000
#: So many windows travel in one frame where all are given at the end.
WINDOWS_TOGETHER = 64
#: A window up to so long may keep all frames that come until it ends.
SHORT_MICROS = 3_600 * MICROS_PER_SECOND
BUCKET = "_bucket"
_GROUP = "_group"
_ONCE: dict[str, Any] = {
    "trigger": trigger.AfterWatermark(),
    "accumulation_mode": trigger.AccumulationMode.DISCARDING,
}


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Result)
@dataclass
class Aggregate(beam.PTransform):
    """Aggregate per key and window of event time: one Result per window, with a row per key.

    For example::

        batches | Aggregate(by=("upc",), values={"spend": Sum("total"), "rows": Count()}, windows=Windows.parse("1d"))

    Each window is given once and finally, when the watermark and the lateness have passed it. Before, it is given as it
    stands every ``emit_micros``, if that is set. Or else, where the input is unbounded and there is lateness, it is
    given at its end and after each late row. Early results need timers of the clock, which Prism and Flink have.

    Of a bounded input all windows are merged when it ends, without state, unless there are early results. The final
    results are the same. Rows that were not counted before (see Batch) are counted as used.

    Attributes:
        by: the key columns; none for a single row per window.
        values: the result columns and how each comes about.
        windows: how event time is cut.
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
            ValueError: there is no key, no value, a name twice, or a number out of range.
        """
        super().__init__()
        if not self.values:
            raise ValueError(f"expected at least one value, got {self.values!r}")
        for name in ("emit_micros", "lateness_micros"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)} us")
        for name in self.values:
            if name in self.by:
                raise ValueError(f"{name!r} is both a key column and a value")
        for name in (*self.by, *self.values):
            if name in EDGES:
                raise ValueError(f"{name!r} is the name of a column of every result")

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Reduce, shuffle, merge."""
        reduction = FrameCombine(tuple(self.by), dict(self.values))
        all_time = batches | "AllTime" >> beam.WindowInto(GlobalWindows())
        if not is_live(batches, self.emit_micros):
            # A window is one more key then, which costs nothing; a window of Beam's costs a millisecond.
            return (
                all_time
                | "ReduceFrames" >> beam.ParDo(_ReduceTogetherFn(reduction, self.windows))
                | "AtEnd" >> beam.WindowInto(GlobalWindows(), **_ONCE)
                | "MergeAll" >> beam.CombinePerKey(MergeFramesFn(reduction, (BUCKET,)))
                | "Results" >> beam.ParDo(_SplitResultsFn(reduction, self.windows))
            )
        reduced = all_time | "ReduceFrames" >> beam.ParDo(ReduceFn(reduction, self.windows))
        shift = self.lateness_micros if self.windows.length else 0
        moved = reduced
        if shift:
            # A window of the final results is one that ends later by the lateness.
            moved = reduced | "WaitForLate" >> beam.ParDo(_ShiftFn(shift))
        moved = moved | "FinalWindows" >> beam.WindowInto(self.windows.beam(shift), **_ONCE)
        if self.emit_micros or not 0 < self.windows.length <= SHORT_MICROS:
            fill = LiveWindowsFn(reduction, self.emit_micros, shift)
            return moved | "FillWindows" >> beam.ParDo(fill) | "Results" >> beam.WindowInto(GlobalWindows())
        final = (
            moved
            | "MergeFinal" >> beam.CombinePerKey(MergeFramesFn(reduction))
            | "FinalResults" >> beam.ParDo(_ResultFn(reduction, shift, is_final=True))
        )
        if not shift:
            return final
        late = (
            reduced
            | "EarlyWindows"
            >> beam.WindowInto(
                self.windows.beam(),
                trigger=trigger.AfterWatermark(late=trigger.AfterCount(1)),
                accumulation_mode=trigger.AccumulationMode.ACCUMULATING,
                allowed_lateness=self.lateness_micros / MICROS_PER_SECOND,
            )
            | "MergeEarly" >> beam.CombinePerKey(MergeFramesFn(reduction))
            | "EarlyResults" >> beam.ParDo(_ResultFn(reduction, 0, is_final=False))
            | "EarlyAllTime" >> beam.WindowInto(GlobalWindows())
        )
        return (final | "FinalAllTime" >> beam.WindowInto(GlobalWindows()), late) | "Results" >> beam.Flatten()


def is_live(pcoll: beam.PCollection, emit_micros: int = 0) -> bool:
    """Return whether results are due before the input ends: it has no end, or early ones are wanted."""
    return emit_micros > 0 or not pcoll.is_bounded


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class ReduceFn(beam.DoFn):
    """Gather the accumulators of a bundle, and give one frame per bucket of time at its end."""

    def __init__(self, reduction: FrameCombine, windows: Windows) -> None:
        self._reduction = reduction
        self._windows = windows

    def start_bundle(self) -> None:
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._parts: list[pl.DataFrame] = []
        self._rows = 0
        self._most_rows = COMPACT_ROWS

    def process(self, batch: Batch) -> None:
        count_rows(USED, batch, batch.rows.height)
        self._waiting.append(batch.rows)
        self._waiting_rows += batch.rows.height
        if self._waiting_rows >= REDUCE_ROWS:
            self._reduce()

    def _reduce(self) -> None:
        bucket = self._windows.bucket_start(pl.col(EVENT_TIME)).alias(BUCKET)
        self._parts.append(self._reduction.reduce(pl.concat(self._waiting), bucket))
        self._waiting, self._waiting_rows = [], 0
        self._rows += self._parts[-1].height
        if self._rows > self._most_rows:
            merged = self._reduction.merge(self._parts, BUCKET)
            self._parts = [merged]
            self._rows = merged.height
            self._most_rows = max(COMPACT_ROWS, 2 * merged.height)  # what does not get smaller is not merged each time

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._waiting:
            self._reduce()
        parts, self._parts = self._parts, []
        if parts:
            for micros, key, frame in self._frames(parts):
                yield WindowedValue((key, frame), Timestamp(micros=micros), (GlobalWindow(),))

    def _frames(self, parts: list[pl.DataFrame]) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """Yield frames of accumulators, each with its time in microseconds and its key."""
        keyed = self._reduction.merge(parts, BUCKET).partition_by(BUCKET, as_dict=True, include_key=False)
        yield from ((bucket, 0, frame) for (bucket,), frame in keyed.items())


class _ReduceTogetherFn(ReduceFn):
    """Give some windows together in one frame; the key tells which ones, and BUCKET where each starts."""

    def _frames(self, parts: list[pl.DataFrame]) -> Iterator[tuple[int, int, pl.DataFrame]]:
        whole = pl.concat(parts).with_columns(self._windows.starts(pl.col(BUCKET)).alias(BUCKET)).explode(BUCKET)
        group = (pl.col(BUCKET) // (WINDOWS_TOGETHER * self._windows.step or 1)).alias(_GROUP)
        keyed = whole.with_columns(group)
        parts.clear()
        del whole  # a part of the whole after the other takes the least memory
        for (key,), frame in keyed.partition_by(_GROUP, as_dict=True, include_key=False).items():
            yield frame[0, BUCKET], key, self._reduction.merge([frame], BUCKET)


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _ShiftFn(beam.DoFn):
    """Move elements later."""

    def __init__(self, micros: int) -> None:
        self._micros = micros

    def process(self, element: Any, timestamp: Timestamp = beam.DoFn.TimestampParam) -> Iterator[Any]:
        yield beam.transforms.window.TimestampedValue(element, Timestamp(micros=timestamp.micros + self._micros))


@beam.typehints.with_input_types(pl.DataFrame)
@beam.typehints.with_output_types(pl.DataFrame)
class MergeFramesFn(beam.CombineFn):
    """Merge frames of accumulators; gather them first, since one group-by over many is cheaper than many."""

    def __init__(self, reduction: FrameCombine, also_by: tuple[str, ...] = ()) -> None:
        """Take the reduction whose accumulators these are, and the columns that are keys besides its own."""
        self._reduction = reduction
        self._also_by = also_by

    def create_accumulator(self) -> list[pl.DataFrame]:
        """Begin with no frame."""
        return []

    def add_input(self, accumulator: list[pl.DataFrame], element: pl.DataFrame) -> list[pl.DataFrame]:
        """Add a frame."""
        accumulator.append(element)
        return self._compact_if_long(accumulator)

    def merge_accumulators(self, accumulators: Iterable[list[pl.DataFrame]]) -> list[pl.DataFrame]:
        """Put the frames together."""
        return self._compact_if_long([frame for frames in accumulators for frame in frames])

    def compact(self, accumulator: list[pl.DataFrame]) -> list[pl.DataFrame]:
        """Merge the frames into one, before they are encoded."""
        return [self._reduction.merge(accumulator, *self._also_by)] if len(accumulator) > 1 else accumulator

    def extract_output(self, accumulator: list[pl.DataFrame]) -> pl.DataFrame:
        """Return the merged frame, still of accumulators."""
        return self.compact(accumulator)[0]

    def get_accumulator_coder(self) -> Coder:
        """Return the coder of a list of frames."""
        return ListCoder(FrameCoder())

    def _compact_if_long(self, frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
        most_frames = 64
        heights = [frame.height for frame in frames]
        # What was merged before is merged again only when as much has been added: each row some few times in all.
        if len(frames) < most_frames and sum(heights) - max(heights, default=0) < max(COMPACT_ROWS, *heights):
            return frames
        return self.compact(frames)


@beam.typehints.with_output_types(Result)
class _ResultFn(beam.DoFn):
    def __init__(self, reduction: FrameCombine, shift: int, *, is_final: bool) -> None:
        self._reduction = reduction
        self._shift = shift
        self._is_final = is_final

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[Result]:
        if pane.is_last and not self._is_final:
            # The final result is due at the same time, and says the same.
            return
        _, accumulators = element
        bounds: tuple[int | None, int | None] = (None, None)
        if isinstance(window, IntervalWindow):
            bounds = (window.start.micros - self._shift, window.end.micros - self._shift)
        number = FINAL_PANE if self._is_final else pane.index
        yield self._reduction.result(accumulators, bounds, number)


@beam.typehints.with_output_types(Result)
class _SplitResultsFn(beam.DoFn):
    """Give the results of all windows out of one frame."""

    def __init__(self, reduction: FrameCombine, windows: Windows) -> None:
        self._reduction = reduction
        self._length = windows.length

    def process(self, element: tuple[int, pl.DataFrame]) -> Iterator[Result]:
        yield from self._reduction.results_by_window(element[1], BUCKET, self._length)
