"""The pure part of aggregating: frames of rows to frames of accumulators, merged, to frames of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from schemas.elements.block import PLAUSIBLE_AHEAD_MICROS, arrival_micros, now_micros
from schemas.elements.frames import EVENT_TIME, FINAL_PANE, Result, edges
from transforms.aggregate.aggregations import Aggregation

#: In a frame of accumulators, the columns that tell when the bucket of time or the window of a row starts, in
#: microseconds: keys besides those of the reduction.
BUCKET, START = "_bucket", "_start"
#: The accumulators of the first and the last event time, which are no values of a result.
_TIMES = ("_first", "_last")


@dataclass(frozen=True)
class FrameCombine:
    """Keys and aggregations, and what they make of frames; ``tells_times`` is that of Aggregate."""

    by: tuple[str, ...]
    values: Mapping[str, Aggregation]
    tells_times: bool = False

    def _columns(self, name: str) -> dict[str, str]:
        return {part: f"{name}:{part}" for part in self.values[name].reduce()}

    def reduce(self, rows: pl.DataFrame, *also_by: pl.Expr) -> pl.DataFrame:
        """Return a row of accumulators per key; and per value of ``also_by``."""
        accumulators = [
            part.alias(self._columns(name)[key])
            for name, aggregation in self.values.items()
            for key, part in aggregation.reduce().items()
        ]
        if self.tells_times:
            time = pl.col(EVENT_TIME).to_physical()
            believed = time.filter(time <= max(now_micros(), arrival_micros()) + PLAUSIBLE_AHEAD_MICROS)
            accumulators += [believed.min().alias(_TIMES[0]), believed.max().alias(_TIMES[1])]
        return rows.lazy().group_by(*also_by, *self.by).agg(accumulators).collect()

    def merge(self, frames: Iterable[pl.DataFrame], *also_by: str) -> pl.DataFrame:
        """Return a row of accumulators per key from several frames of them."""
        accumulators = [
            part.alias(self._columns(name)[key])
            for name, aggregation in self.values.items()
            for key, part in aggregation.merge(self._columns(name)).items()
        ]
        if self.tells_times:
            accumulators += [pl.col(_TIMES[0]).min(), pl.col(_TIMES[1]).max()]
        whole, keys = pl.concat(frames).lazy(), (*also_by, *self.by)
        return (whole.group_by(keys).agg(accumulators) if keys else whole.select(accumulators)).collect()

    def results(self, accumulators: pl.DataFrame, *also_by: str) -> pl.DataFrame:
        """Return the results, by ascending key."""
        values = [aggregation.result(self._columns(name)).alias(name) for name, aggregation in self.values.items()]
        keys = (*also_by, *self.by)
        rows = accumulators.select(*keys, *values)
        return rows.sort(keys) if keys else rows

    def result(self, accumulators: pl.DataFrame, bounds: tuple[int | None, int | None], pane: int) -> Result:
        """Return the result of a window from all its accumulators; the pane tells whether it is the final one."""
        rows = self.results(accumulators).select(*edges(*map(pl.lit, bounds)), pl.all())
        return Result(*bounds, pane, pane == FINAL_PANE, rows)

    def results_by_window(
        self, accumulators: pl.DataFrame, start: str, length: int, pane: int = FINAL_PANE
    ) -> Iterator[Result]:
        """Yield the result of each window, from one frame of the accumulators of all.

        Args:
            accumulators: merged, also by ``start``.
            start: the column that tells when the window of a row starts, in microseconds.
            length: how long windows are, in microseconds; 0 for all time in one.
            pane: the number of the results; by default they are final.
        """
        rows = self.results(accumulators, start)
        starts = pl.col(start) if length else pl.lit(None)
        runs = rows.select(pl.col(start).rle()).unnest(start)
        rows = rows.select(*edges(starts, starts + length), pl.exclude(start)).rechunk()
        times: dict[int, tuple[int, int]] = {}
        if self.tells_times:
            ends = accumulators.group_by(start).agg(pl.col(_TIMES[0]).min(), pl.col(_TIMES[1]).max()).drop_nulls()
            times = {begin: (oldest, newest) for begin, oldest, newest in ends.select(start, *_TIMES).rows()}
        first = 0
        for height, bucket in runs.rows():
            begin, end = (bucket, bucket + length) if length else (None, None)
            part = rows.slice(first, height)
            yield Result(begin, end, pane, pane == FINAL_PANE, part, times.get(bucket))
            first += height
