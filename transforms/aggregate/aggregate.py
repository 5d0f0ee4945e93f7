"""Aggregating frames per key and window: reduced before the shuffle, shuffled as frames, merged by group-by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
import polars as pl
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import FixedWindows, GlobalWindow, GlobalWindows, TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import EDGES, EVENT_TIME, Batch, Result, edges
from schemas.elements.wiring import check_elements, tell_rows, try_on
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.aggregations import Aggregation
from transforms.aggregate.combine import BUCKET, START, FrameCombine
from transforms.aggregate.live import LiveFn, is_live
from transforms.aggregate.live_windows import LiveWindows
from transforms.counting import USED, count_rows, counting
from transforms.windows import Windows

#: Batches are reduced when so many rows have gathered: a small one costs as much as a big one.
REDUCE_ROWS = 10_000
#: Accumulators are merged when so many rows of them have gathered; below, appending is cheaper.
COMPACT_ROWS = 100_000
#: So many frames are merged at once, at most.
COMPACT_FRAMES = 64
#: A live window up to so long, without early results or lateness, may keep all frames that come until it ends: none of
#: them has to go to a step then before its end.
SHORT_MICROS = 3_600 * MICROS_PER_SECOND
#: So many windows travel in one frame where all are given at the end.
WINDOWS_TOGETHER = 64


@beam.typehints.with_output_types(Result)
@dataclass
class Aggregate(beam.PTransform):
    """Aggregate per key and window of event time: one Result per window, with a row per key.

    For example::

        batches | Aggregate(by=("upc",), values={"spend": Sum("total"), "rows": Count()}, windows=Windows.parse("1d"))

    Each window is given once and finally, when the watermark and the lateness have passed it. Before, every
    ``emit_micros``, those that have changed are given as they stand, if that is set. Or else, where the input is
    unbounded and there is lateness, each is given at its end and after each late row. Early results need timers of the
    clock, which Prism and Flink have.

    Of a bounded input all windows are merged when it ends, without state, unless there are early results. The final
    results are the same. Rows that were not counted before (see Batch) are counted as used.

    Attributes:
        by: the key columns; none for a single row per window.
        values: the result columns and how each comes about.
        windows: how event time is cut.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end a window still takes rows.
        newest_only: before its end, give a window only by the clock, and only while it is the one that ends next: of
            sliding windows the newest that is nearly whole, where the others would be outdated by the next.
        tells_times: whether results tell the first and the last event time in them (see Result), for who draws them.
    """

    by: tuple[str, ...]
    values: Mapping[str, Aggregation] = field(default_factory=dict)
    windows: Windows = Windows()
    emit_micros: int = 0
    lateness_micros: int = 0
    newest_only: bool = False
    tells_times: bool = False

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: there is no key, no value, a name twice, or a number out of range.
            TypeError: the key is no tuple, a value is no aggregation, or the windows are none.
        """
        super().__init__()
        if isinstance(self.by, str):
            raise TypeError(f"by must be columns, as in by=({self.by!r},), got {self.by!r}")
        if not isinstance(self.windows, Windows):
            raise TypeError(f"expected windows such as Windows.parse('1h'), got {self.windows!r}")
        for name, value in self.values.items():
            if not isinstance(value, Aggregation):
                raise TypeError(f"expected an aggregation such as Sum('price') for {name!r}, got {value!r}")
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

    def combine(self) -> FrameCombine:
        """Return what is done to frames."""
        return FrameCombine(tuple(self.by), dict(self.values), self.tells_times)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Reduce, shuffle, merge."""
        check_elements(batches, "Aggregate", Batch)
        reduction = self.combine()
        columns = try_on(batches, "Aggregate", lambda rows: _results_of(reduction, rows))
        return tell_rows(self._aggregated(batches, reduction), columns)

    def _aggregated(self, batches: beam.PCollection, reduction: FrameCombine) -> beam.PCollection:
        in_all_time = batches | "AllTime" >> beam.WindowInto(GlobalWindows())
        frames = {"frames": tuple[int, pl.DataFrame]}
        reduced = counting(in_all_time, "ReduceFrames", ReduceFn(reduction, self.windows), frames)["frames"]
        is_over_soon = not self.emit_micros and not self.lateness_micros and 0 < self.windows.length <= SHORT_MICROS
        if is_live(batches, self.emit_micros) and not is_over_soon:
            live = LiveWindows(
                reduction, self.windows, self.lateness_micros, self.emit_micros, newest_only=self.newest_only
            )
            return reduced | "FillWindows" >> beam.ParDo(LiveFn(live, self.emit_micros))
        # Of bounded input a window is one more key, which costs nothing; a window of Beam's costs a millisecond.
        together = WINDOWS_TOGETHER if batches.is_bounded else 1
        placed = reduced | "WindowsOfRows" >> beam.ParDo(WindowsFn(reduction, self.windows, together))
        if not batches.is_bounded:
            step, offset = self.windows.step, self.windows.length % self.windows.step
            ends = FixedWindows(Duration(micros=step), offset=Timestamp(micros=offset))
            placed = placed | "UntilTheyEnd" >> beam.WindowInto(ends)
        results = placed | "AtEnd" >> beam.GroupByKey() | "Merge" >> beam.ParDo(ResultsFn(reduction, self.windows))
        return results | "Results" >> beam.WindowInto(GlobalWindows())


def _results_of(reduction: FrameCombine, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the results of rows of one window."""
    reduced = reduction.reduce(rows, pl.lit(0).alias(BUCKET))
    return reduction.results(reduction.merge([reduced], BUCKET), BUCKET).select(
        *edges(pl.lit(0), pl.lit(0)), pl.exclude(BUCKET)
    )


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class ReduceFn(beam.DoFn):
    """Give the accumulators of a bundle at its end, in one frame: a row per key and bucket of time.

    All have one key of Beam's, for a frame has rows of many windows, and a row may be in many.
    """

    def __init__(self, reduction: FrameCombine, windows: Windows) -> None:
        self._reduction = reduction
        self._windows = windows

    def start_bundle(self) -> None:
        """Begin with no rows."""
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._reduced: list[pl.DataFrame] = []

    def process(self, batch: Batch) -> Sequence[TaggedOutput]:
        """Take rows, and reduce them when they are many; return how many they are."""
        self._waiting.append(batch.rows)
        self._waiting_rows += batch.rows.height
        if self._waiting_rows >= REDUCE_ROWS:
            self._reduce()
        return count_rows(USED, batch, batch.rows.height)

    def _reduce(self) -> None:
        bucket = self._windows.bucket_start(pl.col(EVENT_TIME)).alias(BUCKET)
        self._reduced.append(self._reduction.reduce(pl.concat(self._waiting), bucket))
        self._reduced = compact_if_long(self._reduction, self._reduced, BUCKET)
        self._waiting, self._waiting_rows = [], 0

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yield the accumulators, if there are any."""
        if self._waiting:
            self._reduce()
        frames, self._reduced = self._reduced, []
        frame = self._reduction.merge(frames, BUCKET) if len(frames) > 1 else frames[0] if frames else pl.DataFrame()
        if frame.height:
            first = Timestamp(micros=int(frame[BUCKET].min()))  # type: ignore[arg-type]  # whole numbers
            yield WindowedValue((0, frame), first, (GlobalWindow(),))


def compact_if_long(reduction: FrameCombine, frames: list[pl.DataFrame], also_by: str) -> list[pl.DataFrame]:
    """Return frames of accumulators merged into one if they are many: one group-by over many is cheaper than many.

    What was merged before is merged again only when as much has been added: each row some few times in all.
    """
    heights = [frame.height for frame in frames]
    if len(frames) < COMPACT_FRAMES and sum(heights) - max(heights, default=0) < max(COMPACT_ROWS, *heights):
        return frames
    return [reduction.merge(frames, also_by)]


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class WindowsFn(beam.DoFn):
    """Put accumulators into their windows, at the last moment of the first one; START tells where each starts.

    The key tells which windows are together: so many that follow each other.
    """

    def __init__(self, reduction: FrameCombine, windows: Windows, together: int) -> None:
        self._reduction = reduction
        self._windows = windows
        self._group_micros = together * windows.step or 1

    def process(self, element: tuple[int, pl.DataFrame]) -> Iterator[TimestampedValue]:
        """Yield the accumulators of each group of windows, by its number."""
        starts = self._windows.starts(pl.col(BUCKET)).alias(START)
        # In the place that it has in what is merged, or the two could not be put together.
        inside = element[1].select(starts, pl.exclude(BUCKET)).explode(START)
        group = (pl.col(START) // self._group_micros).alias(BUCKET)
        parts = inside.with_columns(group).partition_by(BUCKET, as_dict=True, include_key=False)
        for (number,), frame in parts.items():
            merged = frame if self._windows.bucket == self._windows.length else self._reduction.merge([frame], START)
            end = int(merged[START].min()) + self._windows.length  # type: ignore[arg-type]  # whole numbers
            yield TimestampedValue((number, merged), Timestamp(micros=end - 1))


@beam.typehints.with_output_types(Result)
class ResultsFn(beam.DoFn):
    """Give the results of the windows that are together."""

    def __init__(self, reduction: FrameCombine, windows: Windows) -> None:
        self._reduction = reduction
        self._length = windows.length

    def process(self, element: tuple[int, Iterable[pl.DataFrame]]) -> Iterator[Result]:
        """Yield the results of a group, all final."""
        merged: list[pl.DataFrame] = []
        for frame in element[1]:
            merged.append(frame)
            merged = compact_if_long(self._reduction, merged, START)
        whole = self._reduction.merge(merged, START)
        yield from self._reduction.results_by_window(whole, START, self._length)
