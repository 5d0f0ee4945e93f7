"""The share of the whole: what part of the total of all rows each row of a result has."""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import apache_beam as beam
import polars as pl

from schemas.elements.frames import Result
from schemas.record_type import DECIMAL_DIGITS, DECIMAL_PLACES

#: Places of a share, if nothing is said: 0.333333333.
PLACES = DECIMAL_PLACES
#: The quotient of two numbers of 38 digits that is not just half-way between two shares is farther from that than a
#: hundred digits can tell, so that rounding it once more changes nothing.
_EXACTLY = decimal.Context(prec=100, rounding=ROUND_HALF_EVEN)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass
class AddShare(beam.PTransform):
    """Add to each result a column with the share that each row has in the whole of a column.

    A share is the exact quotient, rounded once, halves to the even neighbour: so the shares of a result add up to 1
    only as far as their places allow. Where the whole is 0, shares are missing; where there are negative values, they
    may be below 0 and above 1.

    Attributes:
        of: the column, of decimals or whole numbers.
        name: what the column of shares is called.
        places: digits after the point.
    """

    of: str
    name: str = "share"
    places: int = PLACES

    def __post_init__(self) -> None:
        """Check the places.

        Raises:
            ValueError: they are negative, or more than a decimal has.
        """
        super().__init__()
        if not 0 <= self.places < DECIMAL_DIGITS:
            raise ValueError(f"places must be from 0 to {DECIMAL_DIGITS - 1}, got {self.places}")

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        share = beam.Map(_with_share, self.of, self.name, self.places).with_output_types(Result)
        return results | "AddShare" >> share


def _with_share(result: Result, of: str, name: str, places: int) -> Result:
    return result._replace(rows=with_share(result.rows, of, name, places))


def with_share(rows: pl.DataFrame, of: str, name: str = "share", places: int = PLACES) -> pl.DataFrame:
    """Return the rows with a column of shares: ``of`` over the sum of all of them.

    >>> with_share(pl.DataFrame({"sum": [1, 2]}), "sum", places=2)["share"].to_list()
    [Decimal('0.33'), Decimal('0.67')]
    """
    values = [None if value is None else Decimal(value) for value in rows[of].to_list()]
    whole = Decimal(0)
    for value in values:
        whole = _EXACTLY.add(whole, value or 0)
    unit = Decimal(1).scaleb(-places)
    shares = [
        None if value is None or not whole else _EXACTLY.quantize(_EXACTLY.divide(value, whole), unit)
        for value in values
    ]
    return rows.with_columns(pl.Series(name, shares, pl.Decimal(DECIMAL_DIGITS, places)))
