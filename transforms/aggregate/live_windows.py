"""Totals of windows while they fill: kept in state, merged as they come, given early if wanted and finally at the end.

Beam's own accumulating panes keep every frame that ever came and merge all of them again for each pane, so that a total
since the start would cost more every second. Here a pane costs what the totals are big. What it costs more is the end
of a window, for which Prism begins a bundle of its own: so this is for few windows, or for early results.
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
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Timestamp

from schemas.elements.frames import FINAL_PANE, FrameCoder, Result
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.compacted_state import Base, Clock, CompactedState, EarlyPane, EmitSchedule
from transforms.stateful import StatefulFn

#: So often are the parts merged where nobody wants early results.
TIDY_SECONDS = 60


class _Standing(NamedTuple):
    """What is known of a window without looking at its frames.

    Attributes:
        whole: its frame that was written last.
        early: how far its early results are.
        is_over: whether the window has ended and only waits for late rows.
    """

    whole: Base = Base()
    early: EarlyPane = EarlyPane()
    is_over: bool = False


@beam.typehints.with_output_types(Result)
class LiveWindowsFn(StatefulFn):
    """Take (key, frame of accumulators) in windows and give their results: early ones every so often, a final one.

    The windows are moved later by the lateness, so that the runner lets no row be late; without early results, a window
    is given at its own end, too, and from then on with every frame that comes.

    The state of a window is a whole, and the parts that came since it was written, as CompactedState tells.
    """

    WHOLE = ReadModifyWriteStateSpec("whole", FrameCoder())
    PARTS = BagStateSpec("parts", FrameCoder())
    STANDING = ReadModifyWriteStateSpec("standing", PickleCoder())
    NEXT = TimerSpec("next", TimeDomain.REAL_TIME)
    OVER = TimerSpec("over", TimeDomain.WATERMARK)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, reduction: FrameCombine, emit_micros: int, shift_micros: int, clock: Clock = time.time) -> None:
        """Take what is counted, how often early results are given (0 for never), and how much later windows are."""
        super().__init__()
        self._clock = clock
        self._reduction = reduction
        self._pace = EmitSchedule(emit_micros, clock)
        self._shift = shift_micros

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
        standing: Any = beam.DoFn.StateParam(STANDING),
        next_timer: Any = beam.DoFn.TimerParam(NEXT),
        over_timer: Any = beam.DoFn.TimerParam(OVER),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Result]:
        """Add a frame to its window."""
        key, frame = element
        parts.add(frame)
        end_timer.set(window.max_timestamp())
        is_due = False
        if not self._pace.every_micros:
            # Setting it again moves nothing: that is for the same moment, and needs no look at the state.
            next_timer.set(Timestamp((self._clock() // TIDY_SECONDS + 1) * TIDY_SECONDS))
            if not self._shift:
                return
        known = standing.read()
        stands = known or _Standing()
        if self._pace.every_micros:
            early, is_due = self._pace.ask(stands.early, next_timer)
            stands = stands._replace(early=early)
        elif known is None:
            over_timer.set(Timestamp(micros=window.max_timestamp().micros - self._shift))
        if is_due or stands.is_over:
            yield self._give_early(key, window, whole, parts, standing, stands)
        elif stands != known:
            standing.write(stands)

    @on_timer(NEXT)
    def give_next(
        self,
        key: Any = beam.DoFn.KeyParam,
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Yield the early result that is due, or tidy up."""
        stands = standing.read() or _Standing()
        if stands.early.due is not None:  # or else it was given before, or the window has ended
            yield self._give_early(key, window, whole, parts, standing, stands)
        elif not self._pace.every_micros:
            merged, new_bytes = self._kept.gather(whole, parts, stands.whole, (key, window))
            if new_bytes:
                known = self._kept.write(merged, whole, parts, stands.whole, (key, window))
                standing.write(stands._replace(whole=known))
            self._kept.forget((key, window))  # nobody asks for long

    @on_timer(OVER)
    def give_over(
        self,
        key: Any = beam.DoFn.KeyParam,
        window: Any = beam.DoFn.WindowParam,
        whole: Any = beam.DoFn.StateParam(WHOLE),
        parts: Any = beam.DoFn.StateParam(PARTS),
        standing: Any = beam.DoFn.StateParam(STANDING),
    ) -> Iterator[Result]:
        """Yield the result of a window that has ended, but may get late rows."""
        stands = standing.read()
        if stands:  # a bounded input may end all windows before it ends the first
            yield self._give_early(key, window, whole, parts, standing, stands._replace(is_over=True))

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
        """Yield the final result."""
        stands = standing.read() or _Standing()
        merged, _ = self._kept.gather(whole, parts, stands.whole, (key, window))
        self._kept.forget((key, window))
        next_timer.clear()
        for state in (whole, parts, standing):
            state.clear()
        yield self._result(window, merged, FINAL_PANE)

    def _give_early(self, key: int, window: Any, whole: Any, parts: Any, standing: Any, stands: _Standing) -> Result:
        merged, known = self._kept.keep(whole, parts, stands.whole, (key, window))
        standing.write(stands._replace(whole=known, early=self._pace.given(stands.early)))
        return self._result(window, merged, stands.early.pane)

    def _result(self, window: Any, accumulators: pl.DataFrame, pane: int) -> Result:
        bounds: tuple[int | None, int | None] = (None, None)
        if isinstance(window, IntervalWindow):
            bounds = (window.start.micros - self._shift, window.end.micros - self._shift)
        return self._reduction.result(accumulators, bounds, pane)
