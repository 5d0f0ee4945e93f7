"""Drives the live step as a runner does: adds frames, lets the watermark rise, fires timers when they are due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp

from schemas.elements.frames import FramesCoder, Result
from tests.fakes import Bag, FakeClock, Steps, Value
from transforms.aggregate.live import Live, LiveFn

#: Microseconds after any time.
END = 2**62


class Encoded(Value):
    """A state of one value that is kept as bytes."""

    def __init__(self, coder: Any) -> None:
        super().__init__()
        self.coder = coder

    def read(self) -> Any:
        return None if self.value is None else self.coder.decode(self.value)

    def write(self, value: Any) -> None:
        self.value = self.coder.encode(value)


class LiveWorker:
    """Any of several instances may get the next call; what comes out is kept, with the name of its output."""

    def __init__(self, live: Live, emit_micros: int = 0, instances: int = 1) -> None:
        self.clock = FakeClock(1e9)
        self.steps = Steps(LiveFn(live, emit_micros, self.clock), instances)
        self.base, self.deltas, self.known = Encoded(FramesCoder()), Bag(), Encoded(PickleCoder())
        self.wake, self.end, self.emit = Value(), Value(), Value()
        self.results: list[tuple[str | None, Result]] = []
        self.wakes = 0

    @property
    def states(self) -> tuple[Any, ...]:
        return self.base, self.deltas, self.known

    @property
    def held(self) -> pl.DataFrame:
        """The rows of the base; none without a column where none was written."""
        return self.base.read()[""] if self.base.value is not None else pl.DataFrame()

    def add(self, frame: pl.DataFrame) -> list[Result]:
        timers = (self.wake, self.end, self.emit)
        return self._take(self.steps.any().process((0, frame), GlobalWindow(), *self.states, *timers))

    def early(self) -> list[Result]:
        """Fires the timer of the clock, if it is set."""
        if self.emit.value is None:
            return []
        self.emit.clear()
        return self._take(self.steps.any().give_early(0, *self.states))

    def rise(self, watermark: int) -> list[Result]:
        """Lets the watermark rise, and fires its timer as often as it is due: runners know of milliseconds only."""
        given: list[Result] = []
        while self.wake.value is not None and self.wake.value.micros // 1_000 <= watermark // 1_000:
            self.wake.clear()
            self.wakes += 1
            given += self._take(self.steps.any().settle(0, *self.states, self.wake, self.emit))
        return given

    def finish(self, *, rise: bool = True) -> list[Result]:
        """Ends the input: the timers of the watermark fire, in their order or that of the end alone."""
        given = self.rise(END) if rise else []
        if self.end.value is None:
            return given
        assert self.end.value == GlobalWindow().max_timestamp()
        self.end.clear()
        given += self._take(self.steps.any().give_final(0, *self.states, self.wake, self.emit))
        assert not any((self.base.value, self.deltas.values, self.known.value, self.wake.value, self.emit.value))
        self.emit.set(Timestamp(0))
        self.wake.set(Timestamp(0))
        assert self.early() == self.rise(END) == [], "a timer that fires after the end gives nothing"
        return given

    def _take(self, outputs: Iterator[Any]) -> list[Result]:
        given = [(o.tag, o.value) if isinstance(o, TaggedOutput) else (None, o) for o in outputs]
        self.results += given
        return [result for _, result in given]
