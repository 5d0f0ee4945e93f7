"""Sums: facts of records added up by a key, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from simulators.engine.byte_layout import Ints


def sums_by(key: Ints, *values: Ints) -> Iterator[tuple[int, ...]]:
    """Yield each key, the number of its records, and the sums of their values; keys in their order."""
    keys, place = np.unique(key, return_inverse=True)
    columns = [keys, np.bincount(place, minlength=len(keys))]
    for value in values:
        total = np.zeros(len(keys), np.int64)
        np.add.at(total, place, value)
        columns.append(total)
    yield from zip(*(column.tolist() for column in columns), strict=True)


def exact(units: int, places: int) -> str:
    """Return a whole number of smallest parts as a decimal number: 1250 units of 2 places are ``12.50``."""
    return f"{Decimal(units).scaleb(-places):f}"
