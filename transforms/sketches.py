"""Counting different values about: by a sketch that stays small, however many there are."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from types import ModuleType

import polars as pl

from transforms.aggregations import Aggregation, Value, expression

__all__ = ["DEFAULT_LG_K", "CountDistinctAbout", "require_sketches", "standard_error"]

#: Keeps 16,384 hashes at most.
DEFAULT_LG_K = 14
_LEAST_LG_K, _MOST_LG_K = 5, 26


def require_sketches() -> ModuleType:
    """Gives the library of sketches.

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
    """Gives the standard error of the number of more than ``2**lg_k`` values, as a part of it."""
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
        """Checks the size, and that the library is there."""
        if not _LEAST_LG_K <= self.lg_k <= _MOST_LG_K:
            raise ValueError(f"lg_k must be {_LEAST_LG_K} to {_MOST_LG_K}, got {self.lg_k}")
        require_sketches()

    def reduce(self) -> dict[str, pl.Expr]:
        """Makes a sketch of the values."""
        values = expression(self.value).drop_nulls().cast(pl.String).unique()
        return {"sketch": values.map_batches(self._sketch, pl.Binary, returns_scalar=True)}

    def merge(self, names: dict[str, str]) -> dict[str, pl.Expr]:
        """Unites the sketches."""
        return {"sketch": pl.col(names["sketch"]).map_batches(self._unite, pl.Binary, returns_scalar=True)}

    def result(self, names: dict[str, str]) -> pl.Expr:
        """Gives the number."""
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
