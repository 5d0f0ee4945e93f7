"""Counting different IP addresses exactly, in little memory."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from transforms.aggregations import Aggregation, Value, expression

_OCTETS = 4


@dataclass(frozen=True)
class CountDistinctAddresses(Aggregation):
    """The number of different IP addresses, exactly: of IPv4 four bytes each are kept, of others their text.

    Two addresses are equal if their canonical texts are, in which records have them (see read_value). Missing ones do
    not count.

    Attributes:
        value: the address as text.
    """

    value: Value

    def reduce(self) -> dict[str, pl.Expr]:
        """Keeps the different addresses."""
        text = expression(self.value)
        parts = text.str.split_exact(".", _OCTETS - 1).struct
        number = pl.lit(0, pl.UInt32)
        for place in range(_OCTETS):
            # What is not an octet is null, and so is the sum.
            number = number * 256 + parts.field(f"field_{place}").cast(pl.UInt8, strict=False).cast(pl.UInt32)
        other = pl.when(number.is_null()).then(text)
        return {"ipv4": _different(number), "other": _different(other)}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Unites the sets."""
        return {part: _different(pl.col(column).explode()) for part, column in names.items()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Counts them."""
        return pl.sum_horizontal(pl.col(column).list.len().cast(pl.Int64) for column in names.values())


def _different(values: pl.Expr) -> pl.Expr:
    return values.drop_nulls().unique().implode()
