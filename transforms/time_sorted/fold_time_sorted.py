"""Folding rows in the order of their event time, whatever the order they come in: what a sum cannot tell.

A level on a shelf depends on what came before what. So rows wait here until the watermark and the lateness have passed
them, and are then folded into a state, those of one moment together. Until then a look ahead shows how it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import EVENT_TIME, FINAL_PANE, Frames, Result, decode_frame, edges, encode_frame
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.live import Change, Live, LiveFn, is_live
from transforms.counting import LATE, count, counting
from transforms.time_sorted.fold import Fold, FoldOutput, between, fold_in_parts, in_order
from transforms.time_sorted.sort_in_parts import SortInParts
from transforms.time_sorted.speculate import SpeculativeState

#: So many rows travel in one frame at most, but for those of one block.
GATHER_ROWS = 100_000


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
        all_frames = (frames,) if isinstance(frames, beam.PCollection) else frames
        is_bounded = not any(is_live(part, self.emit_micros) for part in all_frames)
        gathered = [_gathered(part, number, encoded=is_bounded) for number, part in enumerate(all_frames)]
        rows = gathered | "AllRows" >> beam.Flatten()
        if not is_bounded:
            live = LiveFn(LiveOrder(self.fold, self.lateness_micros, self.settle_micros), self.emit_micros)
            folded = counting(rows, "FoldRows", live, dict.fromkeys(self.fold.outputs, Result))
        else:
            main, *others = self.fold.outputs
            fold_all = beam.ParDo(FoldAllFn(self.fold)).with_outputs(*others, main=main)
            folded = rows | "AllTogether" >> beam.GroupByKey() | "FoldRows" >> fold_all
        given = {name: folded[name] for name in self.fold.outputs}
        for results in given.values():
            results.element_type = Result
        return given


def _gathered(frames: beam.PCollection, number: int, *, encoded: bool) -> beam.PCollection:
    in_all_time = frames | f"AllTime {number}" >> beam.WindowInto(GlobalWindows())
    rows = in_all_time | f"GatherRows {number}" >> beam.ParDo(GatherFn())
    return rows | f"Encode {number}" >> beam.MapTuple(_encoded) if encoded else rows


def _encoded(key: int, rows: pl.DataFrame) -> tuple[int, bytes]:
    # A grouped value is all in memory before its first element is seen, so that is to be small.
    return key, encode_frame(rows)


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

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        """Yield all results, which are final."""
        state = self._fold.begin()
        with SortInParts() as sort:
            for encoded in element[1]:
                sort.add(decode_frame(encoded))
            for rows, until in sort.parts():
                state, pieces = fold_in_parts(self._fold, state, rows, until)
                yield from _results(self._fold, pieces, FINAL_PANE)


def _results(fold: Fold, pieces: list[FoldOutput], pane: int) -> Iterator[Any]:
    main = fold.outputs[0]
    for output, start, end, rows in pieces:
        whole = rows.select(*edges(pl.lit(start), pl.lit(end)), pl.all())
        result = Result(start, end, pane, pane == FINAL_PANE, whole)
        yield result if output == main else TaggedOutput(output, result)


class _Memo(NamedTuple):
    """What is known of the order.

    Attributes:
        settled: all rows before, in microseconds, are folded; None for none.
        folded: how many they are.
    """

    settled: int | None = None
    folded: int = 0


class LiveOrder(Live):
    """Hold rows until the watermark and the lateness have passed them, and fold them then, each moment as a whole.

    Early results look ahead: they are of the state with the rows that wait, too.
    """

    def __init__(self, fold: Fold, lateness_micros: int, settle_micros: int) -> None:
        """Take the fold, and the times of FoldTimeSorted."""
        self._fold = fold
        self._lateness = lateness_micros
        self._settle = settle_micros
        self.setup()

    def setup(self) -> None:
        """Forget the states ahead."""
        self._ahead = SpeculativeState(self._fold)

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Put the rows together."""
        return pl.concat(frames, rechunk=True)

    def add(self, memo: _Memo | None, rows: pl.DataFrame) -> Change:
        """Take rows; those that come after their moment was settled are left out, and counted as late."""
        memo = memo or _Memo()
        timely = between(rows, memo.settled, None)
        late = count(LATE, rows.height - timely.height)
        return Change(memo, timely, self._wake(memo, timely), is_new=timely.height > 0, results=late)

    def settle(self, memo: _Memo, rows: pl.DataFrame, settled: Frames, until: int | None) -> Change:
        """Fold the rows that have been passed."""
        before = None if until is None else until - self._lateness
        passed = in_order(between(rows, None, before))
        state, pieces = fold_in_parts(self._fold, settled or self._fold.begin(), passed, before)
        memo = _Memo(before, memo.folded + passed.height)
        rows = rows.clear() if before is None else between(rows, before, None).rechunk()
        return Change(
            memo, rows, self._wake(memo, rows), settled=state, results=_results(self._fold, pieces, FINAL_PANE)
        )

    def early(self, memo: _Memo, rows: pl.DataFrame, settled: Frames, pane: int) -> tuple[_Memo, Iterator[Any]]:
        """Look ahead."""
        state = settled or self._fold.begin()
        ahead = self._ahead.state(state, memo.folded, rows)
        return memo, _results(self._fold, self._fold.peek(state, ahead), pane)

    def _wake(self, memo: _Memo, rows: pl.DataFrame) -> int | None:
        """Return when half of the rows are passed.

        So each row is written anew some few times in all, and one with a wrong clock does not make the others wait.
        """
        if not rows.height:
            return None
        times = rows[EVENT_TIME].to_physical().sort()
        until = int(times[len(times) // 2]) + 1
        if memo.settled is not None:
            until = max(until, memo.settled + self._settle)
        return until + self._lateness
