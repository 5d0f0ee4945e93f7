"""Drives the step that folds rows in order, as a runner does."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp

from schemas.elements.frames import EVENT_TIME, FrameCoder, FramesCoder, Result
from tests.fakes import Bag, FakeClock, Steps, Value
from tests.strategies import shuffled_cuts
from transforms.time_sorted.fold import Fold
from transforms.time_sorted.fold_time_sorted import FoldAllFn, FoldTimeSortedFn

SECOND = 10**6


class Encoded(Value):
    """A state of one value that is kept as bytes."""

    def __init__(self, coder: Any) -> None:
        super().__init__()
        self.coder = coder

    def read(self) -> Any:
        return None if self.value is None else self.coder.decode(self.value)

    def write(self, value: Any) -> None:
        self.value = self.coder.encode(value)


class Worker:
    """Adds frames, lets the watermark rise, fires timers when they are due; keeps what comes out, by its name."""

    def __init__(self, fold: Fold, lateness: int = 0, emit: int = 0, settle: int = SECOND, instances: int = 1) -> None:
        self.fold = fold
        self.clock = FakeClock(1e9)
        self.main = fold.outputs[0]
        self.lateness = lateness
        self.watermark = -(2**62)
        self.steps = Steps(FoldTimeSortedFn(fold, lateness, emit, settle, self.clock), instances)
        self.whole, self.parts, self.state = Encoded(FrameCoder()), Bag(), Encoded(FramesCoder())
        self.standing = Encoded(PickleCoder())
        self.next, self.settle, self.end = Value(), Value(), Value()
        self.results: list[tuple[str, Result]] = []
        self.settlings = 0

    def _take(self, outputs: Iterator[Any]) -> list[Result]:
        given = [(o.tag, o.value) if isinstance(o, TaggedOutput) else (self.main, o) for o in outputs]
        self.results += given
        return [result for _, result in given]

    def add(self, frame: pl.DataFrame) -> list[Result]:
        states = (self.whole, self.parts, self.state, self.standing)
        timers = (self.next, self.settle, self.end)
        return self._take(self.steps.any().process((0, frame), GlobalWindow(), *states, *timers))

    def early(self) -> list[Result]:
        """Fires the timer of early results, if it is set."""
        if self.next.value is None:
            return []
        self.next.clear()
        return self._take(self.steps.any().give_next(self.whole, self.parts, self.state, self.standing))

    def rise(self, watermark: int) -> list[Result]:
        """Lets the watermark rise, and fires the timer of settling as often as it is due."""
        given: list[Result] = []
        self.watermark = max(self.watermark, watermark)
        while self.settle.value is not None and self.settle.value <= Timestamp(micros=self.watermark):
            self.settle.clear()
            self.settlings += 1
            states = (self.whole, self.parts, self.state, self.standing)
            given += self._take(self.steps.any().settle(*states, self.settle))
        return given

    def finish(self) -> list[Result]:
        """Ends the input: the timers of the watermark fire."""
        self.rise(2**62)
        if self.end.value is None:
            return []
        states = (self.whole, self.parts, self.state, self.standing)
        given = self._take(self.steps.any().give_final(*states, self.next, self.settle))
        assert all(state.read() is None for state in (self.whole, self.state, self.standing))
        assert not self.parts.values
        assert self.next.value is None
        assert self.settle.value is None
        return given

    def play(self, frame: pl.DataFrame, random: Random) -> None:
        """Adds the rows in any order that the watermark and the lateness allow, in any cuts; ends the input."""
        parts = shuffled_cuts(random, list(range(frame.height)))
        for place, part in enumerate(parts):
            rows = frame[part]
            if rows.height:
                self.add(rows)
            if random.random() < 0.5:
                self.early()
            rest = [number for later in parts[place + 1 :] for number in later]
            if rest and random.random() < 0.7:
                first = int(frame[rest][EVENT_TIME].to_physical().min())
                self.rise(first + self.lateness - random.choice([0, 0, 1, SECOND]))
        self.finish()

    def play_bounded(self, frame: pl.DataFrame, random: Random) -> Worker:
        """Give the step of bounded input the rows, if there are any, in any order and cuts."""
        parts = [frame[part] for part in shuffled_cuts(random, list(range(frame.height))) if part]
        if parts:
            self._take(FoldAllFn(self.fold).process((0, parts)))
        return self

    def rows(self, output: str | None = None, *, final: bool = True) -> pl.DataFrame:
        """Gives the rows of all final results of an output, in the order that they came."""
        frames = [r.rows for name, r in self.results if name == (output or self.main) and r.final == final]
        return pl.concat(frames) if frames else pl.DataFrame()
