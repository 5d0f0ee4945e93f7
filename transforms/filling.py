"""Totals of windows while they fill: kept in state, merged as they come, given early if wanted and finally at the end.

Beam's own accumulating panes keep every frame that ever came and merge all of them again for each pane, so that a total
since the start would cost more every second. Here a pane costs what the totals are big. What it costs more is the end
of a window, for which Prism begins a bundle of its own: so this is for few windows, or for early results.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Timestamp

from schemas.units import MICROS_PER_SECOND
from transforms.frames import FrameCoder, Result
from transforms.reduction import FINAL_PANE, Reduction

#: So often are the parts merged where nobody wants early results.
TIDY_SECONDS = 60
#: How many windows a worker remembers merged; the state has them all.
_REMEMBERED = 256


class _Standing(NamedTuple):
    """What is known of a window without looking at its frames.

    Attributes:
        version: how often the whole was written; 0 for never.
        rows: how many rows the whole has.
        pane: the number of the next early result.
        due: when the next one is, in microseconds of real time; None if nothing has come since the last.
        is_over: whether the window has ended and only waits for late rows.
    """

    version: int = 0
    rows: int = 0
    pane: int = 0
    due: int | None = None
    is_over: bool = False


class _Merged(NamedTuple):
    """A frame, and of what it was merged: the whole of that version and so many parts."""

    version: int
    parts: int
    frame: pl.DataFrame


@beam.typehints.with_output_types(Result)
class FillWindowsFn(beam.DoFn):
    """Takes (shard, frame of accumulators) in windows and gives their results: early ones every so often, a final one.

    The windows are moved later by the lateness, so that the runner lets no row be late; without early results, a window
    is given at its own end, too, and from then on with every frame that comes.

    The state of a window is a whole, and the parts that came since it was written. It is written anew when the parts
    have as many rows: so each row is written some few times in all, and a worker that remembers what it has merged
    reads new parts only.
    """

    WHOLE = ReadModifyWriteStateSpec("whole", FrameCoder())
    PARTS = BagStateSpec("parts", FrameCoder())
    STANDING = ReadModifyWriteStateSpec("standing", FastPrimitivesCoder())
    NEXT = TimerSpec("next", TimeDomain.REAL_TIME)
    OVER = TimerSpec("over", TimeDomain.WATERMARK)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(
        self,
        reduction: Reduction,
        shards: int,
        emit_micros: int,
        shift_micros: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes what is counted, how often early results are given (0 for never), and how much later windows are.

        The clock gives seconds of real time.
        """
        self._clock = clock
        self._reduction = reduction
        self._shards = shards
        self._emit = emit_micros
        self._shift = shift_micros

    def setup(self) -> None:
        """Begins with nothing remembered."""
        self._remembered: OrderedDict[tuple[int, Any], _Merged] = OrderedDict()

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        over_timer: Any = beam.DoFn.TimerParam(OVER),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Result]:
        """Adds a frame to its window."""
        shard, frame = element
        parts.add(frame)
        end_timer.set(window.max_timestamp())
        if not self._emit:
            # Setting it again moves nothing: that is for the same moment, and needs no look at the state.
            next_timer.set(Timestamp((self._clock() // TIDY_SECONDS + 1) * TIDY_SECONDS))
            if not self._shift:
                return
        known = standing.read()
        stands = _Standing(*known) if known else _Standing()
        if known is None and not self._emit:
            over_timer.set(Timestamp(micros=window.max_timestamp().micros - self._shift))
            standing.write(tuple(stands))
        elif self._emit:
            now = int(self._clock() * MICROS_PER_SECOND)
            if stands.due is None:
                stands = stands._replace(due=now + self._emit)
                next_timer.set(Timestamp(micros=stands.due))
                standing.write(tuple(stands))
            elif stands.due <= now:  # the timer of a key that is always busy may have to wait for long
                yield self._give_early(shard, window, whole, parts, standing, stands)
                return
        if stands.is_over:
            yield self._give_early(shard, window, whole, parts, standing, stands)

    @on_timer(NEXT)
    def give_next(
        self,
        key: Any = beam.DoFn.KeyParam,
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Gives the early result that is due, or tidies up."""
        known = standing.read() if self._emit else None
        if known and _Standing(*known).due is not None:  # or else it was given before, or the window has ended
            yield self._give_early(key, window, whole, parts, standing, _Standing(*known))
        if not self._emit:
            frames = list(parts.read())
            if len(frames) > 1:
                parts.clear()
                parts.add(self._reduction.merge(frames))

    @on_timer(OVER)
    def give_over(
        self,
        key: Any = beam.DoFn.KeyParam,
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Gives the result of a window that has ended, but may get late rows."""
        known = standing.read()
        if known:  # a bounded input may end all windows before it ends the first
            yield self._give_early(key, window, whole, parts, standing, _Standing(*known)._replace(is_over=True))

    @on_timer(END)
    def give_final(
        self,
        key: Any = beam.DoFn.KeyParam,
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
    ) -> Iterator[Result]:
        """Gives the final result."""
        known = standing.read() if self._emit else None
        frame, _ = self._gather(key, window, whole, parts, _Standing(*known) if known else _Standing())
        self._remembered.pop((key, window), None)
        next_timer.clear()
        for state in (whole, parts, standing) if self._emit or self._shift else (parts,):
            state.clear()
        yield self._result(key, window, frame, FINAL_PANE)

    def _give_early(self, key: int, window: Any, whole: Any, parts: Any, standing: Any, stands: _Standing) -> Result:
        frame, stands = self._gather(key, window, whole, parts, stands)
        standing.write(tuple(stands._replace(pane=stands.pane + 1, due=None)))
        return self._result(key, window, frame, stands.pane)

    def _gather(
        self, key: int, window: Any, whole: Any, parts: Any, stands: _Standing
    ) -> tuple[pl.DataFrame, _Standing]:
        """Merges what there is, and writes the whole anew if so much has come; gives how the window stands then."""
        new = list(parts.read())
        known = self._remembered.get((key, window))
        if known is not None and known.version == stands.version and known.parts <= len(new):
            frames = [known.frame, *new[known.parts :]]
        else:
            frames = [*([whole.read()] if stands.version else []), *new]
        merged = self._reduction.merge(frames) if len(frames) > 1 else frames[0]
        if self._emit and sum(frame.height for frame in new) >= stands.rows:
            whole.write(merged)
            parts.clear()
            new = []
            stands = stands._replace(version=stands.version + 1, rows=merged.height)
        self._remembered[key, window] = _Merged(stands.version, len(new), merged)
        self._remembered.move_to_end((key, window))
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return merged, stands

    def _result(self, shard: int, window: Any, accumulators: pl.DataFrame, pane: int) -> Result:
        bounds: tuple[int | None, int | None] = (None, None)
        if isinstance(window, IntervalWindow):
            bounds = (window.start.micros - self._shift, window.end.micros - self._shift)
        return self._reduction.result(accumulators, bounds, shard, self._shards, pane)
