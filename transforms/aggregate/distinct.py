"""Counting different IP addresses exactly, in little memory."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from types import ModuleType

import polars as pl

from transforms.aggregate.aggregations import Aggregation, Value, expression

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
        """Keep the different addresses."""
        text = expression(self.value)
        parts = text.str.split_exact(".", _OCTETS - 1).struct
        number = pl.lit(0, pl.UInt32)
        for place in range(_OCTETS):
            # What is not an octet is null, and so is the sum.
            number = number * 256 + parts.field(f"field_{place}").cast(pl.UInt8, strict=False).cast(pl.UInt32)
        other = pl.when(number.is_null()).then(text)
        return {"ipv4": _different(number), "other": _different(other)}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Unite the sets."""
        return {part: _different(pl.col(column).explode()) for part, column in names.items()}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Count them."""
        return pl.sum_horizontal(pl.col(column).list.len().cast(pl.Int64) for column in names.values())


def _different(values: pl.Expr) -> pl.Expr:
    return values.drop_nulls().unique().implode()


__all__ = ["DEFAULT_LG_K", "CountDistinctAbout", "require_sketches", "standard_error"]

#: Keeps 16,384 hashes at most.
DEFAULT_LG_K = 14
_LEAST_LG_K, _MOST_LG_K = 5, 26


def require_sketches() -> ModuleType:
    """Return the library of sketches.

    Raises:
        ValueError: it is not installed; in one line, with how to get it.
    """
    try:
        import datasketches  # type: ignore[import-untyped]  # noqa: PLC0415 (an extra)
    except ImportError:
        message = "sketches need the datasketches library: pip install 'transaction-streams[sketches]'"
        raise ValueError(message) from None
    library: ModuleType = datasketches
    return library


def standard_error(lg_k: int) -> float:
    """Return the standard error of the number of more than ``2**lg_k`` values, as a part of it."""
    return 1 / math.sqrt(2**lg_k - 1)


@dataclass(frozen=True)
class CountDistinctAbout(Aggregation):
    """About how many different values there are, from a theta sketch of Apache DataSketches.

    It keeps the ``2**lg_k`` values with the least hashes, in 8 bytes each. As long as there are no more, the number is
    exact (but for two values with the same hash of 63 bits); beyond, its standard error is ``1 / sqrt(2**lg_k - 1)``
    of it: 0.8 % with the default, so that it is off by more than 1.6 % once in 20 times.

    The sketch is the same however the rows were cut, ordered and merged, and its number never gets smaller when rows
    are added. See https://datasketches.apache.org/docs/Theta/ThetaErrorTable.html.

    Attributes:
        value: what is counted; missing values are not. Everything is compared as text.
        lg_k: the logarithm to the base 2 of how many hashes are kept, 5 to 26.

    Raises:
        ValueError: ``lg_k`` is out of range, or the library is not installed.
    """

    value: Value
    lg_k: int = DEFAULT_LG_K

    def __post_init__(self) -> None:
        """Check the size, and that the library is there."""
        if not _LEAST_LG_K <= self.lg_k <= _MOST_LG_K:
            raise ValueError(f"lg_k must be {_LEAST_LG_K} to {_MOST_LG_K}, got {self.lg_k}")
        require_sketches()

    def reduce(self) -> dict[str, pl.Expr]:
        """Make a sketch of the values."""
        values = expression(self.value).drop_nulls().cast(pl.String).unique()
        return {"sketch": values.map_batches(self._sketch, pl.Binary, returns_scalar=True)}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Unite the sketches."""
        return {"sketch": pl.col(names["sketch"]).map_batches(self._unite, pl.Binary, returns_scalar=True)}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Return the number."""
        return pl.col(names["sketch"]).map_batches(_estimates, pl.Int64, is_elementwise=True)

    def _sketch(self, values: pl.Series) -> pl.Series:
        sketch = require_sketches().update_theta_sketch(self.lg_k)
        deque(map(sketch.update, values.to_list()), maxlen=0)
        sketch.trim()  # or what is kept would depend on the order
        return pl.Series([sketch.compact().serialize()], dtype=pl.Binary)

    def _unite(self, sketches: pl.Series) -> pl.Series:
        library = require_sketches()
        union = library.theta_union(self.lg_k)
        for sketch in sketches.to_list():
            union.update(library.compact_theta_sketch.deserialize(sketch))
        return pl.Series([union.get_result().serialize()], dtype=pl.Binary)


def _estimates(sketches: pl.Series) -> pl.Series:
    read = require_sketches().compact_theta_sketch.deserialize
    return pl.Series([round(read(sketch).get_estimate()) for sketch in sketches.to_list()], dtype=pl.Int64)
