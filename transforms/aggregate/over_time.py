"""Totals per stretch of event time, as charts show them: fine for a short stream, and coarser as it grows longer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from schemas.elements.frames import EVENT_TIME
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.combine import FrameCombine

#: The key columns that are added: when a stretch starts, in microseconds, and how long all of them are.
START, WIDTH = "stretch_start", "stretch_micros"
_MINUTE, _HOUR, _DAY = (seconds * MICROS_PER_SECOND for seconds in (60, 3_600, 86_400))
#: How long stretches may be; each is a multiple of the one before, so that coarser totals are sums of finer ones.
WIDTHS = (
    *(seconds * MICROS_PER_SECOND for seconds in (1, 5, 15, 30)),
    *(minutes * _MINUTE for minutes in (1, 5, 15, 30)),
    *(hours * _HOUR for hours in (1, 3, 6, 12)),
    *(days * _DAY for days in (1, 7, 28, 364)),
)
#: 1969-12-29 was a Monday: so weeks begin with theirs.
_ORIGIN = -3 * _DAY


@dataclass(frozen=True)
class StretchCombine(FrameCombine):
    """Totals by stretch of time and key, of which there are never more than ``most`` different stretches.

    Their width is the least of :data:`WIDTHS`, not below ``finest``, for which there are not more. It depends on the
    times of the rows alone, not on how they are cut, ordered or merged. A stretch without rows is not there, so that a
    single wrong time costs one stretch.
    """

    finest: int = WIDTHS[0]
    most: int = 600

    def reduce(self, rows: pl.DataFrame, *also_by: pl.Expr) -> pl.DataFrame:
        """Return a row of accumulators per stretch and key."""
        timed = rows.with_columns(pl.col(EVENT_TIME).to_physical().alias(START), pl.lit(0, pl.Int64).alias(WIDTH))
        names = [expression.meta.output_name() for expression in also_by]
        return self._bounded(super().reduce(_cut(timed, self.finest), *also_by), names)

    def merge(self, frames: Iterable[pl.DataFrame], *also_by: str) -> pl.DataFrame:
        """Return a row of accumulators per stretch and key from several frames, whose stretches may be of any width."""
        whole = pl.concat(frames)
        if not whole.height:
            return super().merge([whole], *also_by)
        widest = int(whole[WIDTH].max())  # type: ignore[arg-type]  # whole numbers
        return self._bounded(super().merge([_cut(whole, widest)], *also_by), also_by)

    def _bounded(self, accumulators: pl.DataFrame, also_by: Iterable[str]) -> pl.DataFrame:
        for width in WIDTHS:
            if accumulators[START].n_unique() <= self.most:
                break
            if width > accumulators[WIDTH][0]:
                accumulators = super().merge([_cut(accumulators, width)], *also_by)
        return accumulators


def _cut(rows: pl.DataFrame, width: int) -> pl.DataFrame:
    since = pl.col(START) - _ORIGIN
    return rows.with_columns(pl.col(START) - since % width, pl.lit(width, pl.Int64).alias(WIDTH))


@dataclass
class AggregateOverTime(Aggregate):
    """Aggregate per key and stretch of event time since the start, in one Result of all time, for who draws it.

    Its rows have ``stretch_start`` and ``stretch_micros`` besides the key and the values. However long a stream goes
    on, there are not more than ``most`` stretches: see :class:`StretchCombine`.

    Attributes:
        finest: how long a stretch is at least, in microseconds; one of :data:`WIDTHS`.
        most: of so many different stretches there are totals, at most.
    """

    finest: int = WIDTHS[0]
    most: int = 600

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: see Aggregate; or a number is out of range, or there are windows.
        """
        super().__post_init__()
        if self.finest not in WIDTHS:
            raise ValueError(f"finest must be one of {', '.join(map(str, WIDTHS))} us, got {self.finest} us")
        if self.most < 1:
            raise ValueError(f"most must be positive, got {self.most}")
        if self.windows.length:
            raise ValueError(f"totals over time are since the start, got windows of {self.windows}")

    def combine(self) -> FrameCombine:
        """Return what is done to frames."""
        return StretchCombine((START, WIDTH, *self.by), dict(self.values), self.tells_times, self.finest, self.most)
