"""Aggregations: what is kept of the rows of a key, how two such keepings merge, and what comes out in the end.

Each is a few polars expressions, so that reducing a block, merging accumulators and giving results are each one
group-by over frames. To add one, subclass Aggregation; docs/reuse.md shows how.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

from schemas.elements.frames import EVENT_TIME

#: A column's name, or an expression over columns.
Value: TypeAlias = "str | pl.Expr"


def expression(value: Value) -> pl.Expr:
    """Return the expression of a column's name or of an expression."""
    return pl.col(value) if isinstance(value, str) else value


class Aggregation(ABC):
    """Three frame expressions. The accumulators are columns; ``reduce`` names them, and the others find them by name.

    The result must not depend on how the rows were cut, ordered or merged: ties need a rule.
    """

    @abstractmethod
    def reduce(self) -> dict[str, pl.Expr]:
        """Return the accumulators of the rows of a group, by a name of their own."""

    @abstractmethod
    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Return the accumulators of a group of accumulators; ``names`` tells the column of each."""

    @abstractmethod
    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the result from the accumulators of one key."""


@dataclass(frozen=True)
class Sum(Aggregation):
    """The sum; missing values are left out, and the sum of nothing is 0.

    Decimals are exact up to 38 digits in all. Whole numbers are exact as long as the sum fits into their type (polars
    wraps beyond): cast bigger ones to a decimal. Floats depend on the order: cast them, too.
    """

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Sum the rows."""
        return {"sum": expression(self.value).sum()}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Sum the sums."""
        return {"sum": pl.col(names["sum"]).sum()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the sum."""
        return pl.col(names["sum"])


@dataclass(frozen=True)
class Count(Aggregation):
    """The number of rows, or of those in which a value is not missing."""

    value: Value | None = None

    def reduce(self) -> dict[str, pl.Expr]:
        """Count the rows."""
        counted = pl.len() if self.value is None else expression(self.value).count()
        return {"count": counted.cast(pl.Int64)}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Sum the counts."""
        return {"count": pl.col(names["count"]).sum()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the count."""
        return pl.col(names["count"])


@dataclass(frozen=True)
class Mean(Aggregation):
    """The mean of the values that are not missing; null for none.

    Of decimals it is the exact sum over the count, rounded once, at the end, to the places of the value, halves to the
    even neighbour (ROUND_HALF_EVEN, as polars and the decimal module do): 0.5 and 1.5 become 0 and 2, -0.5 becomes 0.
    Of whole numbers it is a float.
    """

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Sum and count."""
        return {"sum": expression(self.value).sum(), "count": expression(self.value).count().cast(pl.Int64)}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Sum both."""
        return {name: pl.col(column).sum() for name, column in names.items()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Divides."""
        count = pl.col(names["count"])
        return pl.when(count > 0).then(pl.col(names["sum"]) / count)


@dataclass(frozen=True)
class Min(Aggregation):
    """The least value; null for no values."""

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Take the least of the rows."""
        return {"min": expression(self.value).min()}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Take the least of these."""
        return {"min": pl.col(names["min"]).min()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return it."""
        return pl.col(names["min"])


@dataclass(frozen=True)
class Max(Aggregation):
    """The greatest value; null for no values."""

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Take the greatest of the rows."""
        return {"max": expression(self.value).max()}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Take the greatest of these."""
        return {"max": pl.col(names["max"]).max()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return it."""
        return pl.col(names["max"])


@dataclass(frozen=True)
class Last(Aggregation):
    """The value of the latest row in event time that has one; of several at that time, the greatest."""

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Keep the latest row's value, and its time."""
        return self._latest(expression(self.value), pl.col(EVENT_TIME))

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Keep the latest of these."""
        return self._latest(pl.col(names["value"]), pl.col(names["time"]))

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the value."""
        return pl.col(names["value"])

    @staticmethod
    def _latest(value: pl.Expr, time: pl.Expr) -> dict[str, pl.Expr]:
        known = pl.when(value.is_not_null()).then(time)
        return {"value": value.sort_by(known, value).last(), "time": known.max()}


@dataclass(frozen=True)
class First(Aggregation):
    """The value of the earliest row in event time that has one; of several at that time, the least."""

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Keep the earliest row's value, and its time."""
        return self._earliest(expression(self.value), pl.col(EVENT_TIME))

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Keep the earliest of these."""
        return self._earliest(pl.col(names["value"]), pl.col(names["time"]))

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the value."""
        return pl.col(names["value"])

    @staticmethod
    def _earliest(value: pl.Expr, time: pl.Expr) -> dict[str, pl.Expr]:
        known = pl.when(value.is_not_null()).then(time)
        return {"value": value.sort_by(known, value, nulls_last=True).first(), "time": known.min()}


@dataclass(frozen=True)
class CountDistinct(Aggregation):
    """The number of different values, exactly: every one of them is kept until the window closes."""

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Keep the different values."""
        return {"set": expression(self.value).drop_nulls().unique().implode()}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Unite the sets."""
        return {"set": pl.col(names["set"]).explode().drop_nulls().unique().implode()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Count them."""
        return pl.col(names["set"]).list.len().cast(pl.Int64)


@dataclass(frozen=True)
class TopN(Aggregation):
    """The ``n`` rows with the greatest ``by``: a list of structs (by, value), best first; without ``value`` of ``by``.

    Of rows that tie, those with the least values come first, before them those whose value is missing. Rows whose
    ``by`` is missing are left out, so the list may be shorter, or empty.
    """

    n: int
    by: Value
    value: Value | None = None

    def __post_init__(self) -> None:
        """Check the number."""
        if self.n < 1:
            raise ValueError(f"n must be positive, got {self.n}")

    def reduce(self) -> dict[str, pl.Expr]:
        """Keep the best rows."""
        value = pl.lit(None, pl.Boolean) if self.value is None else expression(self.value)
        return {"top": self._best(pl.struct(expression(self.by).alias("by"), value.alias("value")))}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Keep the best of the best."""
        return {"top": self._best(pl.col(names["top"]).explode())}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the list."""
        top = pl.col(names["top"])
        return top.list.eval(pl.element().struct.field("by")) if self.value is None else top

    def _best(self, rows: pl.Expr) -> pl.Expr:
        by, value = rows.struct.field("by"), rows.struct.field("value")
        known = pl.when(by.is_not_null()).then(rows)
        best_first = known.sort_by(by, value, descending=[True, False], nulls_last=[True, False])
        # Not head() before implode(): polars 2.1 then reads foreign memory where the sorted rows came from explode().
        return best_first.implode().list.head(self.n).list.drop_nulls()
