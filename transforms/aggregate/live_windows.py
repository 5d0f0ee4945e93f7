"""Windows of a live stream while they fill: fixed ones, sliding ones and all time, in one frame.

Beam's own accumulating panes keep every frame that ever came and merge all of them again for each pane, and a window of
Beam's costs a millisecond or two. Here rows are totalled per bucket, the longest stretch of time that lies wholly
inside or outside of every window, and a window is the sum of its buckets when it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.elements.frames import FINAL_PANE, Frames, Result
from transforms.aggregate.combine import BUCKET, START, FrameCombine
from transforms.aggregate.live import Change, Live
from transforms.windows import Windows

#: Where more windows are still to end, a stream catches up: Prism begins a bundle for each time that a timer is set
#: for, so half of them are given together.
MOST_AHEAD = 64
Buckets: TypeAlias = npt.NDArray[np.int64]
#: Microseconds before and after any time.
_FIRST, _LAST = -(2**62), 2**62


class _Memo(NamedTuple):
    """What is known of the windows.

    Attributes:
        passed: where the watermark was at last, in microseconds.
        changed: the starts of the windows that early results are owed of.
        is_behind: whether some windows are skipped, for there are many.
    """

    passed: int = _FIRST
    changed: frozenset[int] = frozenset()
    is_behind: bool = False


class LiveWindows(Live):
    """Hold accumulators per bucket and key, and give windows, each finally when the lateness has passed its end, too.

    Early results are those of the windows that have changed or, with ``newest_only``, of the one that ends next: it is
    the newest that is nearly whole. Where there are none by the clock, but lateness, a window is given at its end, and
    from then on with every frame that comes for it.
    """

    def __init__(
        self,
        reduction: FrameCombine,
        windows: Windows,
        lateness_micros: int = 0,
        emit_micros: int = 0,
        *,
        newest_only: bool = False,
    ) -> None:
        """Take what is totalled, in which windows, how long they stay open, and which ones are given early."""
        self._reduction = reduction
        self._windows = windows
        self._length = windows.length
        self._lateness = lateness_micros if windows.length else 0
        self._by_clock = emit_micros > 0
        self._newest_only = newest_only and windows.length > 0
        self._gives_changed = not self._newest_only and (self._by_clock or self._lateness > 0)
        # So long after its end something becomes of a window.
        is_moved_by_ends = self._newest_only or (self._gives_changed and not self._by_clock)
        self._delays = {self._lateness, 0} if is_moved_by_ends else {self._lateness}

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Merge what has the same bucket and key."""
        return self._reduction.merge(frames, BUCKET)

    def add(self, memo: _Memo | None, rows: pl.DataFrame) -> Change:
        """Take accumulators; the windows that they are in have changed."""
        memo = memo or _Memo()
        if self._gives_changed:
            starts = rows.select(self._windows.starts(pl.col(BUCKET).unique()).explode().unique()).to_series()
            memo = memo._replace(changed=memo.changed | self._still_open(starts, memo.passed))
        return self._change(memo, rows, None if memo.is_behind else self._next(_buckets(rows), memo.passed))

    def settle(self, memo: _Memo, rows: pl.DataFrame, settled: Frames, until: int | None) -> Change:  # noqa: ARG002
        """Give the windows whose end the watermark and the lateness have passed since the last time."""
        passed = _LAST if until is None else until
        finals = self._results(rows, FINAL_PANE, memo.passed - self._lateness, passed - self._lateness)
        changed = self._still_open(memo.changed, passed)
        if self._length:
            rows = rows.filter(self._windows.last_end(pl.col(BUCKET)) > passed - self._lateness)
        buckets = _buckets(rows)
        ahead = np.sort(self._windows.first_end(buckets)) if self._length else buckets
        ahead = ahead[ahead > passed]
        is_behind = len(ahead) > MOST_AHEAD
        wake = int(ahead[len(ahead) // 2]) + self._lateness if is_behind else self._next(buckets, passed)
        return self._change(_Memo(passed, changed, is_behind), rows, wake)._replace(results=finals)

    def early(
        self,
        memo: _Memo,
        rows: pl.DataFrame,
        settled: Frames,  # noqa: ARG002
        pane: int,
    ) -> tuple[_Memo, Iterable[Result]]:
        """Give the windows that early results are owed of."""
        if self._newest_only:
            end = self._next(_buckets(rows), memo.passed, {0})
            return memo, () if end is None else self._results(rows, pane, end - 1, end)
        owed = self._owed(memo)
        first, last = min(owed, default=0), max(owed, default=0)
        results = self._results(rows, pane, first + self._length - 1, last + self._length, owed) if owed else ()
        return memo._replace(changed=memo.changed - owed), results

    def _change(self, memo: _Memo, rows: pl.DataFrame, wake: int | None) -> Change:
        is_new = rows.height > 0 if self._newest_only else bool(memo.changed)
        return Change(memo, rows, wake, is_new, is_due=not self._by_clock and bool(self._owed(memo)))

    def _owed(self, memo: _Memo) -> frozenset[int]:
        """Return the starts of the changed windows that are to be given: without a clock, those that have ended."""
        if self._by_clock:
            return memo.changed
        return frozenset(start for start in memo.changed if start + self._length <= memo.passed)

    def _still_open(self, starts: Iterable[int], passed: int) -> frozenset[int]:
        """Return the starts of the windows that were not given finally."""
        return frozenset(start for start in starts if start + self._length > passed - self._lateness)

    def _next(self, buckets: Buckets, passed: int, delays: Iterable[int] | None = None) -> int | None:
        """Return when the watermark passes the next end of a window that has any of the buckets, delays included."""
        if not self._length:
            return None
        due = []
        last = self._windows.last_end(buckets)
        for delay in self._delays if delays is None else delays:
            end = np.maximum(self._windows.first_end(buckets), self._windows.end_after(passed - delay))
            due += (end[end <= last].min(keepdims=True, initial=_LAST) + delay).tolist()
        return min(due) if min(due) < _LAST else None

    def _results(
        self, rows: pl.DataFrame, pane: int, after: int, until: int, among: frozenset[int] | None = None
    ) -> Iterator[Result]:
        """Yield the windows that end after ``after`` and up to ``until``, with all their buckets, from one group-by."""
        bucket, start = pl.col(BUCKET), pl.col(START)
        if self._length:
            rows = rows.filter(self._windows.last_end(bucket) > after, self._windows.first_end(bucket) <= until)
        if self._windows.bucket == self._length:  # each bucket is a window
            inside = rows.rename({BUCKET: START})
        else:
            starts = rows.with_columns(self._windows.starts(bucket).alias(START)).explode(START)
            inside = starts.filter((start + self._length).is_between(after, until, "right"))
        if among is not None:
            inside = inside.filter(start.is_in(list(among)))
        if self._windows.bucket != self._length:
            inside = self._reduction.merge([inside], START)
        return self._reduction.results_by_window(inside, START, self._length, pane)


def _buckets(rows: pl.DataFrame) -> Buckets:
    return rows[BUCKET].unique().to_numpy()
