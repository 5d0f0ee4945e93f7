"""Aggregating frames per key and window: reduced before the shuffle, shuffled as frames, merged by group-by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import apache_beam as beam
import polars as pl
from apache_beam.coders import Coder, ListCoder
from apache_beam.transforms import trigger
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import EDGES, EVENT_TIME, FINAL_PANE, Batch, FrameCoder, Result, edges
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.aggregations import Aggregation
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.live_windows import LiveWindowsFn
from transforms.counting import USED, count
from transforms.windows import Windows

Tuning = Literal["any", "replay", "live"]

__all__ = ["FINAL_PANE", "Aggregate", "FrameCombine", "MergeFramesFn"]

#: Batches are reduced when so many rows have gathered: a small one costs as much as a big one.
REDUCE_ROWS = 10_000
#: Accumulators are merged when so many rows of them have gathered; below, appending is cheaper.
COMPACT_ROWS = 100_000
#: So many windows travel in one frame where all are given at the end.
WINDOWS_TOGETHER = 64
#: A window up to so long may keep all frames that come until it ends.
SHORT_MICROS = 3_600 * MICROS_PER_SECOND
_BUCKET = "_bucket"
_SHARD = "_shard"
_ONCE: dict[str, Any] = {
    "trigger": trigger.AfterWatermark(),
    "accumulation_mode": trigger.AccumulationMode.DISCARDING,
}


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Result)
@dataclass
class Aggregate(beam.PTransform):
    """Gives, per window of event time, a frame with a row per key.

    For example::

        batches | Aggregate(by=("upc",), values={"spend": Sum("total"), "rows": Count()}, windows=Windows.parse("1d"))

    Each window is given once and finally, when the watermark and the lateness have passed it. Before, it is given as it
    stands every ``emit_micros``, if that is set, or else, if there is lateness, at its end and after each late row;
    but not to a replay.

    Attributes:
        by: the key columns; none for a single row per window.
        values: the result columns and how each comes about.
        windows: how event time is cut.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end a window still takes rows.
        shards: into how many parts the keys of a window are split, each of them a result of its own: more than one
            lets several machines merge.
        tuned_for: how the totals are kept; they are the same. ``any`` leaves that to Beam and runs everywhere.
            ``replay`` gives all windows when the input ends, which is cheapest where nobody waits for them. ``live``
            keeps what is merged, not all that came, so that it can go on for ever; it needs timers of the clock, which
            Prism and Flink have.
        counted: whether the rows are records, to be counted as used.
    """

    by: tuple[str, ...]
    values: Mapping[str, Aggregation] = field(default_factory=dict)
    windows: Windows = Windows()
    emit_micros: int = 0
    lateness_micros: int = 0
    shards: int = 1
    tuned_for: Tuning = "any"
    counted: bool = True

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: there is no key, no value, a name twice, or a number out of range.
        """
        super().__init__()
        if not self.values:
            raise ValueError(f"expected at least one value, got {self.values!r}")
        if self.shards < 1 or (self.shards > 1 and not self.by):
            raise ValueError(f"shards must be positive, and 1 without a key, got {self.shards}")
        for name in ("emit_micros", "lateness_micros"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)} us")
        if self.tuned_for not in get_args(Tuning):
            raise ValueError(f"tuned_for must be {', '.join(get_args(Tuning))}, got {self.tuned_for!r}")
        if self.emit_micros and self.tuned_for != "live":
            raise ValueError(f"early results every {self.emit_micros} us need tuned_for='live', got {self.tuned_for!r}")
        for name in self.values:
            if name in self.by:
                raise ValueError(f"{name!r} is both a key column and a value")
        for name in (*self.by, *self.values):
            if name in EDGES:
                raise ValueError(f"{name!r} is the name of a column of every result")

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Reduces, shuffles, merges."""
        reduction = FrameCombine(tuple(self.by), dict(self.values))
        together = self.tuned_for == "replay"
        reduce = ReduceFn(reduction, self.windows, self.shards, together=together, counted=self.counted)
        reduced = batches | "AllTime" >> beam.WindowInto(GlobalWindows()) | "ReduceFrames" >> beam.ParDo(reduce)
        if together:
            # A window is one more key then, which costs nothing; a window of Beam's costs a millisecond.
            return (
                reduced
                | "AtEnd" >> beam.WindowInto(GlobalWindows(), **_ONCE)
                | "MergeAll" >> beam.CombinePerKey(MergeFramesFn(reduction, (_BUCKET,)))
                | "Results" >> beam.ParDo(_SplitResultsFn(reduction, self.windows, self.shards))
            )
        shift = self.lateness_micros if self.windows.length else 0
        moved = reduced
        if shift:
            # A window of the final results is one that ends later by the lateness.
            moved = reduced | "WaitForLate" >> beam.ParDo(_ShiftFn(shift))
        moved = moved | "FinalWindows" >> beam.WindowInto(self.windows.beam(shift), **_ONCE)
        if self.tuned_for == "live" and (self.emit_micros or not 0 < self.windows.length <= SHORT_MICROS):
            fill = LiveWindowsFn(reduction, self.shards, self.emit_micros, shift)
            return moved | "FillWindows" >> beam.ParDo(fill) | "Results" >> beam.WindowInto(GlobalWindows())
        final = (
            moved
            | "MergeFinal" >> beam.CombinePerKey(MergeFramesFn(reduction))
            | "FinalResults" >> beam.ParDo(_ResultFn(reduction, self.shards, shift, is_final=True))
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
            | "EarlyResults" >> beam.ParDo(_ResultFn(reduction, self.shards, 0, is_final=False))
            | "EarlyAllTime" >> beam.WindowInto(GlobalWindows())
        )
        return (final | "FinalAllTime" >> beam.WindowInto(GlobalWindows()), late) | "Results" >> beam.Flatten()


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class ReduceFn(beam.DoFn):
    """Gathers the accumulators of a bundle, and gives one frame per bucket of time and shard at its end.

    Or some windows ``together`` in a frame; the key then tells which ones, and the shard by its remainder.
    """

    def __init__(
        self, reduction: FrameCombine, windows: Windows, shards: int, *, together: bool = False, counted: bool = True
    ) -> None:
        self._counted = counted
        self._reduction = reduction
        self._windows = windows
        self._shards = shards
        self._together = together

    def start_bundle(self) -> None:
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._parts: list[pl.DataFrame] = []
        self._rows = 0
        self._most_rows = COMPACT_ROWS

    def process(self, batch: Batch) -> None:
        if self._counted:
            count(USED, batch.rows.height)
        self._waiting.append(batch.rows)
        self._waiting_rows += batch.rows.height
        if self._waiting_rows >= REDUCE_ROWS:
            self._reduce()

    def _reduce(self) -> None:
        bucket = self._windows.bucket_start(pl.col(EVENT_TIME)).alias(_BUCKET)
        self._parts.append(self._reduction.reduce(pl.concat(self._waiting), bucket))
        self._waiting, self._waiting_rows = [], 0
        self._rows += self._parts[-1].height
        if self._rows > self._most_rows:
            merged = self._reduction.merge(self._parts, _BUCKET)
            self._parts = [merged]
            self._rows = merged.height
            self._most_rows = max(COMPACT_ROWS, 2 * merged.height)  # what does not get smaller is not merged each time

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._waiting:
            self._reduce()
        if not self._parts:
            return
        parts, self._parts = self._parts, []
        shard = pl.struct(self._reduction.by).hash(seed=0) % self._shards if self._shards > 1 else pl.lit(0)
        number = shard.cast(pl.Int64)
        if not self._together:
            keyed = self._reduction.merge(parts, _BUCKET).with_columns(number.alias(_SHARD))
            for key, frame in keyed.partition_by(_BUCKET, _SHARD, as_dict=True, include_key=False).items():
                yield _at(key[0], (int(key[1]), frame))
            return
        number += pl.col(_BUCKET) // (WINDOWS_TOGETHER * self._windows.step or 1) * self._shards
        whole = pl.concat(parts).with_columns(self._windows.starts(pl.col(_BUCKET)).alias(_BUCKET)).explode(_BUCKET)
        keyed = whole.with_columns(number.alias(_SHARD))
        del parts, whole  # a part of the whole after the other takes the least memory
        for key, frame in keyed.partition_by(_SHARD, as_dict=True, include_key=False).items():
            yield _at(frame[0, _BUCKET], (int(key[0]), self._reduction.merge([frame], _BUCKET)))


def _at(micros: int, element: tuple[int, pl.DataFrame]) -> WindowedValue:
    return WindowedValue(element, Timestamp(micros=micros), (GlobalWindow(),))


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _ShiftFn(beam.DoFn):
    """Moves elements later."""

    def __init__(self, micros: int) -> None:
        self._micros = micros

    def process(self, element: Any, timestamp: Timestamp = beam.DoFn.TimestampParam) -> Iterator[Any]:
        yield beam.transforms.window.TimestampedValue(element, Timestamp(micros=timestamp.micros + self._micros))


@beam.typehints.with_input_types(pl.DataFrame)
@beam.typehints.with_output_types(pl.DataFrame)
class MergeFramesFn(beam.CombineFn):
    """Merges frames of accumulators; gathers them first, since one group-by over many is cheaper than many."""

    def __init__(self, reduction: FrameCombine, also_by: tuple[str, ...] = ()) -> None:
        """Takes the reduction whose accumulators these are, and the columns that are keys besides its own."""
        self._reduction = reduction
        self._also_by = also_by

    def create_accumulator(self) -> list[pl.DataFrame]:
        """Begins with no frame."""
        return []

    def add_input(self, accumulator: list[pl.DataFrame], element: pl.DataFrame) -> list[pl.DataFrame]:
        """Adds a frame."""
        accumulator.append(element)
        return self._compact_if_long(accumulator)

    def merge_accumulators(self, accumulators: Iterable[list[pl.DataFrame]]) -> list[pl.DataFrame]:
        """Puts the frames together."""
        return self._compact_if_long([frame for frames in accumulators for frame in frames])

    def compact(self, accumulator: list[pl.DataFrame]) -> list[pl.DataFrame]:
        """Merges the frames into one, before they are encoded."""
        return [self._reduction.merge(accumulator, *self._also_by)] if len(accumulator) > 1 else accumulator

    def extract_output(self, accumulator: list[pl.DataFrame]) -> pl.DataFrame:
        """Gives the merged frame, still of accumulators."""
        return self.compact(accumulator)[0]

    def get_accumulator_coder(self) -> Coder:
        """Gives the coder of a list of frames."""
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
    def __init__(self, reduction: FrameCombine, shards: int, shift: int, *, is_final: bool) -> None:
        self._reduction = reduction
        self._shards = shards
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
        shard, accumulators = element
        bounds: tuple[int | None, int | None] = (None, None)
        if isinstance(window, IntervalWindow):
            bounds = (window.start.micros - self._shift, window.end.micros - self._shift)
        number = FINAL_PANE if self._is_final else pane.index
        yield self._reduction.result(accumulators, bounds, shard, self._shards, number)


@beam.typehints.with_output_types(Result)
class _SplitResultsFn(beam.DoFn):
    """Gives the results of all windows out of one frame."""

    def __init__(self, reduction: FrameCombine, windows: Windows, shards: int) -> None:
        self._reduction = reduction
        self._length = windows.length
        self._shards = shards

    def process(self, element: tuple[int, pl.DataFrame]) -> Iterator[Result]:
        key, accumulators = element
        rows = self._reduction.results(accumulators, _BUCKET)
        starts = pl.col(_BUCKET) if self._length else pl.lit(None)
        runs = rows.select(pl.col(_BUCKET).rle()).unnest(_BUCKET)
        rows = rows.select(*edges(starts, starts + self._length), pl.exclude(_BUCKET)).rechunk()
        first = 0
        for height, bucket in runs.rows():
            start, end = (bucket, bucket + self._length) if self._length else (None, None)
            yield Result(start, end, key % self._shards, self._shards, FINAL_PANE, True, rows.slice(first, height))
            first += height
