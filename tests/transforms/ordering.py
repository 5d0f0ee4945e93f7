"""Drives the step that folds rows in order, as a runner does."""

from __future__ import annotations

from random import Random

import polars as pl

from schemas.elements.frames import EVENT_TIME, encode_frame
from tests.strategies import shuffled_cuts
from tests.transforms.live import LiveWorker
from transforms.time_sorted.fold import Fold
from transforms.time_sorted.fold_time_sorted import FoldAllFn, LiveOrder

SECOND = 10**6


class Worker(LiveWorker):
    """Folds what it is given; what comes out is kept by the name of its output."""

    def __init__(self, fold: Fold, lateness: int = 0, emit: int = 0, settle: int = SECOND, instances: int = 1) -> None:
        self.fold = fold
        self.lateness = lateness
        super().__init__(LiveOrder(fold, lateness, settle), emit, instances)

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
        parts = [encode_frame(frame[part]) for part in shuffled_cuts(random, list(range(frame.height))) if part]
        if parts:
            self._take(FoldAllFn(self.fold).process((0, parts)))
        return self

    def rows(self, output: str | None = None, *, final: bool = True) -> pl.DataFrame:
        """Gives the rows of all final results of an output, in the order that they came."""
        tag = None if output == self.fold.outputs[0] else output
        frames = [result.rows for name, result in self.results if name == tag and result.final == final]
        return pl.concat(frames) if frames else pl.DataFrame()
