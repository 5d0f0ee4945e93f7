"""Folding rows in the order of their event time, whatever the order they come in: what a sum cannot tell.

A level on a shelf depends on what came before what. So rows wait here until the watermark and the lateness have passed
them, and are then folded into a state, those of one moment together. Until then a look ahead shows how it stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import EVENT_TIME, FINAL_PANE, FrameCoder, Frames, FramesCoder, Result, edges
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.aggregate import is_live
from transforms.aggregate.compacted_state import Base, Clock, CompactedState, EarlyPane, EmitSchedule, not_before
from transforms.counting import LATE, count
from transforms.stateful import StatefulFn
from transforms.time_sorted.fold import Fold, FoldOutput, between, fold_in_parts, in_order
from transforms.time_sorted.speculate import SpeculativeState

#: So many rows travel in one frame at most, but for those of one block.
GATHER_ROWS = 100_000
#: Rows that wait are put together when what came since has so many bytes, and is an eighth of them.
TIDY_BYTES = 1 << 20
_TIDY_PART = 8


@beam.typehints.with_output_types(Result)
@dataclass
class FoldTimeSorted(beam.PTransform):
    """Fold frames in the order of event time, and give a dict of PCollections of Result, one per output of the fold.

    It takes one PCollection of frames or a tuple of several. The frames all have the same columns, EVENT_TIME among
    them, which has no missing values. Their rows are those that SplitLate lets through for ``Windows(1)`` and this
    lateness: then each comes before its moment is settled. A row that comes later all the same is left out, and counted
    as a late record.

    What is final is given once, when the watermark and the lateness have passed it; how it stands is given every
    ``emit_micros``. All rows have one key of Beam's, for they have one order.

    Attributes:
        fold: what becomes of the rows.
        lateness_micros: how long after the watermark a row may come.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        settle_micros: how far event time goes on, at least, from one settling to the next.
    """

    fold: Fold
    lateness_micros: int = 0
    emit_micros: int = 0
    settle_micros: int = MICROS_PER_SECOND

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: a number is negative.
        """
        super().__init__()
        for name in ("lateness_micros", "emit_micros", "settle_micros"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)} us")

    def expand(self, frames: beam.PCollection | tuple[beam.PCollection, ...]) -> dict[str, beam.PCollection]:
        """Gather the rows of each bundle, and fold them.

        They are gathered before several PCollections become one, for there runners put down all elements.
        """
        main, *others = self.fold.outputs
        all_frames = (frames,) if isinstance(frames, beam.PCollection) else frames
        rows = [_gathered(part, f" {number}") for number, part in enumerate(all_frames)] | "AllRows" >> beam.Flatten()
        if is_live(rows, self.emit_micros):
            fold = FoldTimeSortedFn(self.fold, self.lateness_micros, self.emit_micros, self.settle_micros)
            folded = rows | "FoldRows" >> beam.ParDo(fold).with_outputs(*others, main=main)
        else:
            fold_all = beam.ParDo(FoldAllFn(self.fold)).with_outputs(*others, main=main)
            folded = rows | "AllTogether" >> beam.GroupByKey() | "FoldRows" >> fold_all
        given = {name: folded[name] for name in self.fold.outputs}
        for results in given.values():
            results.element_type = Result
        return given


def _gathered(frames: beam.PCollection, label: str) -> beam.PCollection:
    in_all_time = frames | f"AllTime{label}" >> beam.WindowInto(GlobalWindows())
    return in_all_time | f"GatherRows{label}" >> beam.ParDo(GatherFn())


@beam.typehints.with_input_types(pl.DataFrame)
@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class GatherFn(beam.DoFn):
    """Give the rows of a bundle in few frames, at the time of their first."""

    def start_bundle(self) -> None:
        """Begin with no rows."""
        self._frames: list[pl.DataFrame] = []
        self._rows = 0

    def process(self, frame: pl.DataFrame) -> Iterator[Any]:
        """Take rows, and give them when they are many."""
        if not frame.height:
            return
        self._frames.append(frame)
        self._rows += frame.height
        if self._rows >= GATHER_ROWS:
            yield self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        """Yield the rest."""
        if self._frames:
            yield self._flush()

    def _flush(self) -> WindowedValue:
        whole = pl.concat(self._frames)
        self._frames, self._rows = [], 0
        first = Timestamp(micros=int(whole[EVENT_TIME].to_physical().min()))  # type: ignore[arg-type]  # none missing
        return WindowedValue((0, whole), first, (GlobalWindow(),))


@beam.typehints.with_output_types(Result)
class FoldAllFn(beam.DoFn):
    """Fold all rows of a bounded input, when they are there."""

    def __init__(self, fold: Fold) -> None:
        """Take the fold."""
        self._fold = fold

    def process(self, element: tuple[int, Iterable[pl.DataFrame]]) -> Iterator[Any]:
        """Yield all results, which are final."""
        rows = in_order(pl.concat(element[1]))
        yield from _results(self._fold, fold_in_parts(self._fold, self._fold.begin(), rows, None)[1], FINAL_PANE)


def _results(fold: Fold, pieces: list[FoldOutput], pane: int) -> Iterator[Any]:
    main = fold.outputs[0]
    for output, start, end, rows in pieces:
        whole = rows.select(*edges(pl.lit(start), pl.lit(end)), pl.all())
        result = Result(start, end, 0, 1, pane, pane == FINAL_PANE, whole)
        yield result if output == main else TaggedOutput(output, result)


class _Standing(NamedTuple):
    """What is known without looking at the frames.

    Attributes:
        whole: the rows that wait, as they were written last.
        part_bytes: how big the parts are that came since.
        early: how far the early results are.
        settled: all rows before, in microseconds, are folded; None for none.
        folded: how many they are.
        settles_at: when the next are, in microseconds of the watermark; None if none waits.
    """

    whole: Base = Base()
    part_bytes: int = 0
    early: EarlyPane = EarlyPane()
    settled: int | None = None
    folded: int = 0
    settles_at: int | None = None


@beam.typehints.with_output_types(Result)
class FoldTimeSortedFn(StatefulFn):
    """Take (key, frame) and give the results of a fold: early ones every so often, each final one once.

    What waits is a whole, and the parts that came since it was written, as CompactedState tells; it is written anew
    when rows are
    settled, too. The runner has to hold the watermark back for what it has not handed over yet, as all do.
    """

    WHOLE = ReadModifyWriteStateSpec("waiting", FrameCoder())
    PARTS = BagStateSpec("arrived", FrameCoder())
    STATE = ReadModifyWriteStateSpec("folded", FramesCoder())
    STANDING = ReadModifyWriteStateSpec("order_standing", PickleCoder())
    NEXT = TimerSpec("order_next", TimeDomain.REAL_TIME)
    SETTLE = TimerSpec("order_settle", TimeDomain.WATERMARK)
    END = TimerSpec("order_end", TimeDomain.WATERMARK)

    def __init__(
        self, fold: Fold, lateness_micros: int, emit_micros: int, settle_micros: int, clock: Clock = time.time
    ) -> None:
        """Take the fold, and the times of FoldTimeSorted."""
        super().__init__()
        self._fold = fold
        self._lateness = lateness_micros
        self._pace = EmitSchedule(emit_micros, clock, at_once=True)
        self._settle = settle_micros

    def setup(self) -> None:
        """Begin with nothing remembered."""
        super().setup()
        self._kept = CompactedState(pl.concat)
        self._ahead = SpeculativeState(self._fold)

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        state: Any = beam.DoFn.StateParam(STATE),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        settle_timer: Any = beam.DoFn.TimerParam(SETTLE),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Add a frame, and give the early results that are due."""
        known = standing.read()
        if known is None:
            end_timer.set(window.max_timestamp())
        stands = known or _Standing()
        frame = between(element[1], stands.settled, None)
        count(LATE, element[1].height - frame.height)
        if frame.height:
            parts.add(frame)
            stands = stands._replace(part_bytes=stands.part_bytes + int(frame.estimated_size()))
            stands = self._wait_to_settle(frame, stands, settle_timer)
            if stands.part_bytes >= max(TIDY_BYTES, stands.whole.bytes // _TIDY_PART):
                stands = self._write(self._kept.gather(whole, parts, stands.whole)[0], whole, parts, stands)
            early, is_due = self._pace.ask(stands.early, next_timer)
            stands = stands._replace(early=early)
            if is_due:
                yield from self._give_early(whole, parts, state, stands)
                stands = stands._replace(early=self._pace.given(early))
        if stands != known:
            standing.write(stands)

    @on_timer(NEXT)
    def give_next(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        state: Any = beam.DoFn.StateParam(STATE),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Any]:
        """Yield the early results that are due."""
        stands = standing.read() or _Standing()
        if stands.early.due is not None:  # or else they were given with the last frame, or the end has been
            yield from self._give_early(whole, parts, state, stands)
            standing.write(stands._replace(early=self._pace.given(stands.early)))

    @on_timer(SETTLE)
    def settle(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        state: Any = beam.DoFn.StateParam(STATE),
        standing: Any = beam.DoFn.StateParam(STANDING),
        settle_timer: Any = beam.DoFn.TimerParam(SETTLE),
    ) -> Iterator[Any]:
        """Fold the rows that have been passed."""
        stands = standing.read() or _Standing()
        if stands.settles_at is None:
            return  # the end has been
        until = stands.settles_at - self._lateness
        waiting, _ = self._kept.gather(whole, parts, stands.whole)
        passed, still = between(waiting, None, until), between(waiting, until, None)
        folded, pieces = fold_in_parts(self._fold, self._state(state), in_order(passed), until)
        state.write(folded)
        stands = stands._replace(settled=until, folded=stands.folded + passed.height, settles_at=None)
        stands = self._write(still, whole, parts, stands)
        standing.write(self._wait_to_settle(still, stands, settle_timer))
        yield from _results(self._fold, pieces, FINAL_PANE)

    @on_timer(END)
    def give_final(
        self,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        state: Any = beam.DoFn.StateParam(STATE),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        settle_timer: Any = beam.DoFn.TimerParam(SETTLE),
    ) -> Iterator[Any]:
        """Fold the rest, and give what is final then."""
        stands = standing.read()
        if stands is None:
            return
        rows, folded = in_order(self._kept.gather(whole, parts, stands.whole)[0]), self._state(state)
        self.setup()  # rows that nobody needs any more would be in memory while all are folded
        for timer in (next_timer, settle_timer):
            timer.clear()
        for kept in (whole, parts, state, standing):
            kept.clear()
        _, pieces = fold_in_parts(self._fold, folded, rows, None)
        yield from _results(self._fold, pieces, FINAL_PANE)

    def _state(self, state: Any) -> Frames:
        known: Frames | None = state.read()
        return self._fold.begin() if known is None else known

    def _write(self, rows: pl.DataFrame, whole: Any, parts: Any, stands: _Standing) -> _Standing:
        return stands._replace(whole=self._kept.write(rows.rechunk(), whole, parts, stands.whole), part_bytes=0)

    def _wait_to_settle(self, rows: pl.DataFrame, stands: _Standing, settle_timer: Any) -> _Standing:
        """Set the timer for half of the rows, or leave it where it comes sooner.

        So each row is written anew some few times in all, and one with a wrong clock does not make the others wait.
        """
        if not rows.height:
            return stands
        times = rows[EVENT_TIME].to_physical().sort()
        until = int(times[len(times) // 2]) + 1
        if stands.settled is not None:
            until = max(until, stands.settled + self._settle)
        settles_at = not_before(until + self._lateness).micros
        if stands.settles_at is not None and stands.settles_at <= settles_at:
            return stands
        settle_timer.set(Timestamp(micros=settles_at))
        return stands._replace(settles_at=settles_at)

    def _give_early(self, whole: Any, parts: Any, state: Any, stands: _Standing) -> Iterator[Any]:
        settled = self._state(state)
        waiting, _ = self._kept.gather(whole, parts, stands.whole)
        ahead = self._ahead.state(settled, stands.folded, waiting)
        yield from _results(self._fold, self._fold.peek(settled, ahead), stands.early.pane)
