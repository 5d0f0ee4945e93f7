"""The one step with state of its own: rows are held until the watermark passes them, with results before and then.

What the rows are, when they are final and what comes of them then is told by a :class:`Live`, a value without Beam:
windows that fill, or rows that wait for their order. All else is here: state, timers, early results by the clock.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.transforms.core import get_function_args_defaults
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from schemas.elements.frames import FrameCoder, Frames, FramesCoder, Result
from schemas.times import MICROS_PER_SECOND
from transforms.stateful import StatefulFn

#: Gives seconds of real time.
Clock = Callable[[], float]
#: The base is written anew when the deltas have so large a part of its bytes: each row is written some few times.
COMPACT_PART = 4
#: Nobody may read the rows for long: so many bytes of deltas are compacted as they come.
COMPACT_BYTES = 1 << 20
_HELD = ""
_MICROS_PER_MILLI = 1_000


def not_before(micros: int) -> Timestamp:
    """Return the time to set a timer for; runners cut it off to milliseconds, so that it might come too early."""
    return Timestamp(micros=-(-micros // _MICROS_PER_MILLI) * _MICROS_PER_MILLI)


def is_live(pcoll: beam.PCollection, emit_micros: int = 0) -> bool:
    """Return whether results are due before the input ends: it has no end, or early ones are wanted."""
    return emit_micros > 0 or not pcoll.is_bounded


class Change(NamedTuple):
    """What comes of new rows, or of the watermark.

    Attributes:
        memo: what has to be known next time: small, and pickled.
        rows: of new rows, those to hold; of held ones, those that are held on.
        wake_micros: when, in microseconds of the watermark, something is final; None for not before the end.
        is_new: whether there is something that early results have not told yet.
        is_due: whether they are to be given at once, whatever the clock says.
        settled: what has become of rows that are held no more; None for what it was.
        results: what is final.
    """

    memo: Any
    rows: pl.DataFrame
    wake_micros: int | None = None
    is_new: bool = False
    is_due: bool = False
    settled: Frames | None = None
    results: Iterable[Any] = ()


class Live(ABC):
    """What a live step holds, and what it gives; it can be pickled. ``memo`` is None and ``settled`` empty at first."""

    def setup(self) -> None:  # noqa: B027 - most have nothing to forget
        """Forget what a worker remembers to be faster."""

    @abstractmethod
    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return one frame of several."""

    @abstractmethod
    def add(self, memo: Any, rows: pl.DataFrame) -> Change:
        """Take new rows."""

    @abstractmethod
    def settle(self, memo: Any, rows: pl.DataFrame, settled: Frames, until: int | None) -> Change:
        """Give what is final when the watermark is at ``until``, in microseconds; all with None.

        Rows that are held no more may be among the rows next time, for the state is not always written at once.
        """

    @abstractmethod
    def early(self, memo: Any, rows: pl.DataFrame, settled: Frames, pane: int) -> tuple[Any, Iterable[Any]]:
        """Return the new memo, and the early results, which have that pane number."""


class _Known(NamedTuple):
    """What is known of a key without reading its frames; times of the clock in microseconds.

    Attributes:
        memo: that of the Live.
        version: how often a base was written; 0 for never.
        base_bytes: how large its rows are.
        delta_bytes: how large the deltas are in all.
        wakes: when the watermark timer fires; None if it is not set.
        pane: the number of the next early results.
        given: when the last ones were due.
        due: when the next ones are; None if nothing has come since the last.
    """

    memo: Any = None
    version: int = 0
    base_bytes: int = 0
    delta_bytes: int = 0
    wakes: int | None = None
    pane: int = 0
    given: int = 0
    due: int | None = None


class _Merged(NamedTuple):
    """What a worker remembers to have read: the base of that version and so many deltas."""

    version: int
    deltas: int
    rows: pl.DataFrame
    settled: Frames


@dataclass
class _Key:
    """A key during one call: its states and timers, as Beam hands them over, and what is known of it."""

    key: Any
    base: Any
    deltas: Any
    known: Any
    wake: Any = None
    emit: Any = None

    def __post_init__(self) -> None:
        self.is_first = (known := self.known.read()) is None
        self.now: _Known = known or _Known()


@beam.typehints.with_output_types(Result)
class LiveFn(StatefulFn):
    """Take (key, frame), in the global window, and give results: early ones every so often, each final one once.

    The frames of a key are a base, merged, and the deltas that came since it was written. The runner has to hold the
    watermark back for what it has not handed over yet, as all do. Without early results there is no timer of the clock,
    for not every runner has one.

    The timer of a key that is always busy may have to wait for long (Prism), so that whatever comes asks for early
    results, too: the one that is first gets them. What comes after a pause is given at once.
    """

    BASE = ReadModifyWriteStateSpec("base", FramesCoder())
    DELTAS = BagStateSpec("deltas", FrameCoder())
    KNOWN = ReadModifyWriteStateSpec("known", PickleCoder())
    WAKE = TimerSpec("live_wake", TimeDomain.WATERMARK)
    END = TimerSpec("live_end", TimeDomain.WATERMARK)
    EMIT = TimerSpec("live_emit", TimeDomain.REAL_TIME)

    def __init__(self, live: Live, emit_micros: int = 0, clock: Clock = time.time) -> None:
        """Take what is held, and how often early results are given, in microseconds of real time; 0 for never."""
        super().__init__()
        self._live = live
        self._emit = emit_micros
        self._clock = clock

    def setup(self) -> None:
        """Begin with nothing remembered."""
        super().setup()
        self._live.setup()
        self._merged: dict[Any, _Merged] = {}

    def process(
        self,
        element: tuple[Any, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        base: Any = beam.DoFn.StateParam(BASE),
        deltas: Any = beam.DoFn.StateParam(DELTAS),
        known: Any = beam.DoFn.StateParam(KNOWN),
        wake: Any = beam.DoFn.TimerParam(WAKE),
        end: Any = beam.DoFn.TimerParam(END),
        emit: Any = beam.DoFn.TimerParam(EMIT),
    ) -> Iterator[Any]:
        """Add a frame, and give the early results that are due."""
        key = _Key(element[0], base, deltas, known, wake, emit)
        if key.is_first:
            end.set(window.max_timestamp())
        change = self._live.add(key.now.memo, element[1])
        if change.rows.height:
            deltas.add(change.rows)
            key.now = key.now._replace(delta_bytes=key.now.delta_bytes + int(change.rows.estimated_size()))
        yield from self._apply(key, change)

    @on_timer(EMIT)
    def give_early(
        self,
        key: Any = beam.DoFn.KeyParam,
        base: Any = beam.DoFn.StateParam(BASE),
        deltas: Any = beam.DoFn.StateParam(DELTAS),
        known: Any = beam.DoFn.StateParam(KNOWN),
    ) -> Iterator[Any]:
        """Yield the early results that are due."""
        this = _Key(key, base, deltas, known)
        if this.now.due is not None:  # or else they were given with the last frame, or the end has been
            yield from self._apply(this, Change(this.now.memo, pl.DataFrame(), is_due=True))

    @on_timer(WAKE)
    def settle(
        self,
        key: Any = beam.DoFn.KeyParam,
        base: Any = beam.DoFn.StateParam(BASE),
        deltas: Any = beam.DoFn.StateParam(DELTAS),
        known: Any = beam.DoFn.StateParam(KNOWN),
        wake: Any = beam.DoFn.TimerParam(WAKE),
        emit: Any = beam.DoFn.TimerParam(EMIT),
    ) -> Iterator[Any]:
        """Yield what the watermark has passed."""
        this = _Key(key, base, deltas, known, wake, emit)
        if this.now.wakes is None:
            return  # the end has been
        rows, settled = self._read(this)
        change = self._live.settle(this.now.memo, rows, settled, this.now.wakes)
        this.now = this.now._replace(wakes=None)
        kept_bytes = this.now.base_bytes + this.now.delta_bytes
        if change.settled is not None or 2 * change.rows.estimated_size() <= kept_bytes:
            settled = settled if change.settled is None else change.settled
            self._write(this, change.rows, settled)
        yield from self._apply(this, change)

    @on_timer(END)
    def give_final(
        self,
        key: Any = beam.DoFn.KeyParam,
        base: Any = beam.DoFn.StateParam(BASE),
        deltas: Any = beam.DoFn.StateParam(DELTAS),
        known: Any = beam.DoFn.StateParam(KNOWN),
        wake: Any = beam.DoFn.TimerParam(WAKE),
        emit: Any = beam.DoFn.TimerParam(EMIT),
    ) -> Iterator[Any]:
        """Yield all that is final when the input has ended."""
        this = _Key(key, base, deltas, known)
        rows, settled = self._read(this)
        # What nobody needs any more would be in memory while all becomes final.
        self._live.setup()
        del self._merged[key]
        for state in (base, deltas, known, wake, *([emit] if self._emit else [])):
            state.clear()
        yield from self._live.settle(this.now.memo, rows, settled, None).results

    def _apply(self, key: _Key, change: Change) -> Iterator[Any]:
        """Give what is final, and the early results that are due; set timers, and keep what is to be known."""
        yield from change.results
        key.now = key.now._replace(memo=change.memo)
        if change.wake_micros is not None:
            wakes = not_before(change.wake_micros)
            if key.now.wakes is None or wakes.micros < key.now.wakes:
                key.wake.set(wakes)
                key.now = key.now._replace(wakes=wakes.micros)
        is_due = change.is_due or (change.is_new and self._is_time(key))
        must_compact = key.now.delta_bytes * COMPACT_PART > key.now.base_bytes
        if is_due or (must_compact and key.now.delta_bytes >= COMPACT_BYTES):
            rows, settled = self._read(key)
            if is_due:
                memo, given = self._live.early(key.now.memo, rows, settled, key.now.pane)
                results = list(given)
                yield from results
                last = max(key.now.due or 0, self._now() - self._emit)
                key.now = key.now._replace(memo=memo, pane=key.now.pane + bool(results), given=last, due=None)
            if must_compact:
                self._write(key, rows, settled)
        key.known.write(key.now)

    def _is_time(self, key: _Key) -> bool:
        """Tell whether early results are due by the clock; set its timer if none is set."""
        if not self._emit or key.now.due is not None:
            return key.now.due is not None and key.now.due <= self._now()
        due = max(self._now(), key.now.given + self._emit)
        key.emit.set(Timestamp(micros=due))
        key.now = key.now._replace(due=due)
        return False

    def _now(self) -> int:
        return int(self._clock() * MICROS_PER_SECOND)

    def _read(self, key: _Key) -> tuple[pl.DataFrame, Frames]:
        """Return all rows of a key, a frame without columns if there were none, and what is settled.

        A worker that remembers what it has merged merges new deltas only; the state has all, for any other worker.
        """
        version, deltas, merged = key.now.version, list(key.deltas.read()), self._merged.get(key.key)
        if merged is None or merged.version != version or merged.deltas > len(deltas):
            settled: Frames = dict(key.base.read()) if version else {}
            merged = _Merged(version, 0, settled.pop(_HELD, pl.DataFrame()), settled)
        frames = [frame for frame in (merged.rows, *deltas[merged.deltas :]) if frame.width]
        rows = self._live.merge(frames) if len(frames) > 1 else frames[0] if frames else merged.rows
        self._merged[key.key] = _Merged(version, len(deltas), rows, merged.settled)
        return rows, merged.settled

    def _write(self, key: _Key, rows: pl.DataFrame, settled: Frames) -> None:
        """Write a base in the place of all that was."""
        version = key.now.version + 1
        key.base.write({**settled, _HELD: rows})
        key.deltas.clear()
        self._merged[key.key] = _Merged(version, 0, rows, settled)
        key.now = key.now._replace(version=version, base_bytes=int(rows.estimated_size()), delta_bytes=0)

    # Beam asks these for the parameters of a method: that of the clock, the last one, is one only if it is needed.
    def _inspect_process(self) -> tuple[list[str], list[Any]]:
        return self._parameters(self.process)

    def _inspect_settle(self) -> tuple[list[str], list[Any]]:
        return self._parameters(self.settle)

    def _inspect_give_final(self) -> tuple[list[str], list[Any]]:
        return self._parameters(self.give_final)

    def _parameters(self, method: Callable[..., Any]) -> tuple[list[str], list[Any]]:
        names, defaults = get_function_args_defaults(method)
        return (names, defaults) if self._emit else (names[:-1], defaults[:-1])
