"""What stands out: hours in which something sold far more or less than its weekday and hour let expect.

Beam's own transforms for anomalies (``apache_beam.ml.anomaly``) learn element by element in the order of arrival, and
score what comes; so what they find would depend on how the input was cut, and an hour without any sale, which is no
element, would never be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import polars as pl

from schemas.elements.frames import EDGES, EVENT_TIME, Frames, Result
from schemas.times import MICROS_PER_SECOND
from transforms.time_sorted.fold import FoldOutput
from transforms.time_sorted.fold_time_sorted import FoldTimeSorted

#: What comes out.
ANOMALIES = "anomalies"
#: What stands in the place of a product where all of a shop are meant.
WHOLE_SHOP = "(shop)"
SEEN = "seen"
_HOUR = 3_600 * MICROS_PER_SECOND
_WEEK_HOURS = 7 * 24
_WEEK = _WEEK_HOURS * _HOUR
_SLOT, _AT = "slot", "hour"
_KNOWN, _NEWEST = "known", "newest"
#: What is kept of each key in each hour of the week: how many there were, their mean, and their squared deviations.
_SUMS = ("weeks", "mean", "squares")
_LEAST_WEEKS = 2
_PLACES = 3


@dataclass(frozen=True)
class FoldExpected:
    """Fold counts per hour: compare each with those of the same hour of earlier weeks, and learn it then.

    The rows have EVENT_TIME, which is the end of their hour, the key, and ``seen``, a whole number.

    Attributes:
        by: the key columns; the last one is that of the product.
        least: with fewer earlier weeks nothing is expected.
        threshold: so many deviations away is far.
    """

    by: tuple[str, ...] = ("product_id",)
    least: int = 4
    threshold: float = 3.0

    @property
    def outputs(self) -> tuple[str, ...]:
        """The hours that stand out."""
        return (ANOMALIES,)

    def begin(self) -> Frames:
        """Expect nothing."""
        sums = {_SLOT: pl.Int64(), **dict(zip(_SUMS, (pl.Int64(), pl.Float64(), pl.Float64()), strict=True))}
        return {
            _KNOWN: pl.DataFrame(schema={**dict.fromkeys(self.by, pl.String()), **sums}),
            _NEWEST: pl.DataFrame(schema={_AT: pl.Int64()}),
        }

    def fold(self, state: Frames, rows: pl.DataFrame, until: int | None) -> tuple[Frames, list[FoldOutput]]:  # noqa: ARG002
        """Compare and learn the hours up to the newest that has rows, and give those that stand out."""
        if not rows.height:
            return state, []
        seen = self._with_shop(rows)
        scored, learnt = self._score(state[_KNOWN], self._with_zeros(state, seen))
        key = (*self.by, _SLOT)
        known = pl.concat([learnt, state[_KNOWN].join(learnt, key, how="anti", nulls_equal=True)]).sort(key)
        return {_KNOWN: known, _NEWEST: seen.select(pl.max(_AT))}, self._pieces(scored)

    def peek(self, settled: Frames, ahead: Frames) -> list[FoldOutput]:  # noqa: ARG002
        """Return nothing: an hour that is not over says little."""
        return []

    def _with_shop(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what was seen by key and start of the hour, and the sums of all products."""
        hours = rows.with_columns(pl.col(EVENT_TIME).to_physical().alias(_AT) - _HOUR)
        sums = hours.group_by(*self.by, _AT).agg(pl.sum(SEEN))
        *shops, product = self.by
        shop = hours.group_by(*shops, _AT).agg(pl.sum(SEEN)).with_columns(pl.lit(WHOLE_SHOP).alias(product))
        return pl.concat([sums, shop.select(sums.columns)]).with_columns(_slot())

    def _with_zeros(self, state: Frames, seen: pl.DataFrame) -> pl.DataFrame:
        """Add the hours in which nothing was sold of what had been sold in the same hour of an earlier week.

        A silence is not longer than a week: then the shop was closed, or the next time is a wrong one.
        """
        told = pl.concat([state[_NEWEST], seen.select(_AT)]).unique().sort(_AT)
        after = pl.col(_AT) + _HOUR
        end = pl.min_horizontal(after + _WEEK, pl.col(_AT).shift(-1, fill_value=told[_AT].max()))
        silent = told.select(pl.int_ranges(after, end, _HOUR).alias(_AT)).explode(_AT)
        hours = pl.concat([silent.drop_nulls(), seen.select(_AT).unique()]).with_columns(_slot())
        since = pl.concat(
            [
                state[_KNOWN].select(*self.by, _SLOT, pl.lit(None, pl.Int64).alias("_since")),
                seen.group_by(*self.by, _SLOT).agg(pl.min(_AT).alias("_since")),
            ]
        ).unique([*self.by, _SLOT], keep="first", maintain_order=True)
        wanted = hours.join(since, _SLOT).filter(pl.col("_since").is_null() | (pl.col(_AT) >= pl.col("_since")))
        found = wanted.join(seen.drop(_SLOT), [*self.by, _AT], how="left", nulls_equal=True)
        return found.select(*self.by, _SLOT, _AT, pl.col(SEEN).fill_null(0))

    def _score(self, known: pl.DataFrame, hours: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Compare each hour with those before it, week after week; give that, and what is known then."""
        key = (*self.by, _SLOT)
        both = hours.join(known, key, how="left", nulls_equal=True).sort(*key, _AT)
        group = both.select(pl.struct(key).rle_id()).to_series().to_numpy()
        week = both.select(pl.int_range(pl.len()).over(key)).to_series().to_numpy()
        begun = both.filter(pl.lit(week == 0)).with_columns(pl.col(_SUMS).fill_null(0))
        weeks, mean, squares = (begun[name].to_numpy().copy() for name in _SUMS)
        seen = both[SEEN].to_numpy().astype(float)
        expected, deviation, before = np.empty_like(seen), np.empty_like(seen), np.empty_like(weeks, shape=len(seen))
        for rows in np.split(np.argsort(week, kind="stable"), np.cumsum(np.bincount(week))[:-1]):
            at, x = group[rows], seen[rows]
            n, middle = weeks[at], mean[at]
            # Of small numbers chance alone makes a deviation of the root; and the mean of few weeks is off, too.
            variance = np.maximum(np.maximum(squares[at] / np.maximum(n - 1, 1), middle), 1.0)
            before[rows], expected[rows] = n, middle
            deviation[rows] = away = np.sqrt(variance * (1 + 1 / np.maximum(n, 1)))
            bound = np.where(n < self.least, np.inf, self.threshold * away)
            x = np.clip(x, middle - bound, middle + bound)
            weeks[at] = n + 1
            mean[at] = middle + (x - middle) / (n + 1)
            squares[at] += (x - middle) * (x - mean[at])
        scores = {"weeks": before, "expected": expected, "deviation": deviation, "score": (seen - expected) / deviation}
        learnt = begun.select(*key).with_columns(
            **{name: pl.Series(values) for name, values in zip(_SUMS, (weeks, mean, squares), strict=True)}
        )
        return both.with_columns(**{name: pl.Series(values) for name, values in scores.items()}), learnt

    def _pieces(self, scored: pl.DataFrame) -> list[FoldOutput]:
        is_far = (pl.col("weeks") >= self.least) & (pl.col("score").abs() >= self.threshold)
        rounded = pl.col("expected", "deviation", "score").round(_PLACES)
        far = scored.filter(is_far).sort(_AT, *self.by).select(_AT, *self.by, SEEN, rounded)
        parts = far.partition_by(_AT, as_dict=True, include_key=False, maintain_order=True)
        return [FoldOutput(ANOMALIES, int(start), int(start) + _HOUR, part) for (start,), part in parts.items()]


def _slot() -> pl.Expr:
    return (pl.col(_AT) // _HOUR % _WEEK_HOURS).alias(_SLOT)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass
class FindAnomalies(beam.PTransform):
    """Give the hours that stand out, from the totals of each hour as Aggregate gives them for windows of an hour.

    A result is of one hour and has a row for each product that stands out, and one with ``(shop)`` in the place of the
    product for all together: the key, ``seen``, ``expected`` (the mean of the same hour of earlier weeks),
    ``deviation`` and ``score`` (so many deviations more than expected; less, if negative). The deviation is never less
    than chance alone lets expect. There is no result of an hour in which nothing stands out.

    An hour without any sale counts as zero if something was sold in the same hour of an earlier week; it is looked at
    when something is sold again. What stood out is learnt as if it had only just done so: it hides nothing that comes
    after it, and what lasts is the rule after some weeks. Weekdays and hours are those of event time.

    Attributes:
        by: the key columns of the totals; the last one is that of the product.
        seen: the column with what was sold, a whole number.
        least: with fewer earlier weeks nothing is expected.
        threshold: so many deviations away is far.
        lateness_micros: that of the totals.
    """

    by: tuple[str, ...] = ("product_id",)
    seen: str = "drinks"
    least: int = 4
    threshold: float = 3.0
    lateness_micros: int = 0

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: there is no key, or a number is out of its range.
        """
        super().__init__()
        self.by = tuple(self.by)
        if not self.by:
            raise ValueError("expected the key columns of the totals, got none")
        if self.least < _LEAST_WEEKS:
            raise ValueError(f"a deviation needs {_LEAST_WEEKS} weeks or more, got least={self.least}")
        if not self.threshold > 0:
            raise ValueError(f"threshold must be positive, got {self.threshold}")
        self._in_order()

    def _in_order(self) -> FoldTimeSorted:
        fold = FoldExpected(self.by, self.least, self.threshold)
        return FoldTimeSorted(fold, self.lateness_micros)

    def expand(self, totals: beam.PCollection) -> beam.PCollection:
        """Take what is final, and fold it."""
        hours = totals | "FinalHours" >> beam.ParDo(_HoursFn(self.by, self.seen))
        return (hours | "FoldHours" >> self._in_order())[ANOMALIES]


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(pl.DataFrame)
class _HoursFn(beam.DoFn):
    def __init__(self, by: tuple[str, ...], seen: str) -> None:
        self._by = by
        self._seen = seen

    def process(self, result: Result) -> Iterator[pl.DataFrame]:
        if result.final and result.rows.height:
            yield hours_of(result, self._by, self._seen)


def hours_of(result: Result, by: tuple[str, ...], seen: str) -> pl.DataFrame:
    """Return the rows that FoldExpected takes.

    Raises:
        ValueError: the result is not of an hour, or what was sold is no whole number.
    """
    start, end = result[:2]
    if start is None or end is None or end - start != _HOUR:
        raise ValueError(f"expected the totals of an hour, got those of {result.label}")
    if not result.rows.schema[seen].is_integer():
        raise ValueError(f"expected whole numbers in {seen!r}, got {result.rows.schema[seen]}")
    end_time = pl.col(EDGES[1]).dt.replace_time_zone(None).alias(EVENT_TIME)
    return result.rows.select(end_time, *by, pl.col(seen).cast(pl.Int64).fill_null(0).alias(SEEN))
