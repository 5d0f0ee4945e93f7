"""Ranks: which keys of a result are the first by this column or that, ties always in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
import polars as pl

from schemas.elements.frames import EDGES, Result
from schemas.record_type import DECIMAL_DIGITS, DECIMAL_PLACES

_VALUE = pl.Decimal(DECIMAL_DIGITS, DECIMAL_PLACES)


class Ranking(NamedTuple):
    """What is ranked: ``name`` says it in the result, ``by`` is the column, and ``top`` how many ranks there are."""

    name: str
    by: str
    top: int = 1


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass
class Rank(beam.PTransform):
    """Give, for each result, one of its ranks: a row of ``ranking``, ``rank`` (1, 2, ...), the key and the ``value``.

    The greatest value is the first. Of equal ones that with the least key is, so the ranks do not depend on how the
    rows came. Rows without a value have no rank. Values are decimals with 9 places, whatever they were.

    Attributes:
        key: the column that tells the rows apart.
        rankings: what is ranked.
    """

    key: str
    rankings: tuple[Ranking, ...]

    def __post_init__(self) -> None:
        """Check the rankings.

        Raises:
            ValueError: there are none, two have one name, or one has no rank.
        """
        super().__init__()
        self.rankings = tuple(Ranking(*ranking) for ranking in self.rankings)
        names = [ranking.name for ranking in self.rankings]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"expected rankings of different names, got {names}")
        for ranking in self.rankings:
            if ranking.top < 1:
                raise ValueError(f"top must be positive, got {ranking.top} for {ranking.name!r}")

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return results | "RankRows" >> beam.Map(_ranked, self.key, self.rankings).with_output_types(Result)


def _ranked(result: Result, key: str, rankings: Sequence[Ranking]) -> Result:
    return result._replace(rows=ranked(result.rows, key, rankings))


def ranked(rows: pl.DataFrame, key: str, rankings: Sequence[Ranking]) -> pl.DataFrame:
    """Return the ranks of rows, in the order of the rankings; the columns of the window stay.

    >>> rows = pl.DataFrame({"region": ["b", "a", "c"], "sum": [2, 2, 1]})
    >>> ranked(rows, "region", [Ranking("volume", "sum", 2)])["region"].to_list()
    ['a', 'b']
    """
    edges = [name for name in EDGES if name in rows.columns]
    return pl.concat(
        best(rows, key, ranking).select(
            *edges,
            pl.lit(ranking.name).alias("ranking"),
            pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("rank"),
            key,
            pl.col(ranking.by).cast(_VALUE).alias("value"),
        )
        for ranking in rankings
    )


def best(rows: pl.DataFrame, key: str, ranking: Ranking) -> pl.DataFrame:
    """Return the first rows of a ranking, as they are."""
    known = rows.filter(pl.col(ranking.by).is_not_null())
    return known.sort(ranking.by, key, descending=[True, False]).head(ranking.top)
