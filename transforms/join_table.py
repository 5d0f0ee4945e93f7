"""Enriching records by a small table that every worker has whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import apache_beam as beam
import polars as pl

from schemas.elements.frames import Batch
from schemas.elements.wiring import check_elements, tell_rows, try_on
from schemas.record_type import Column
from transforms.counting import FILTERED, count_rows, counting
from transforms.parse.values import POLARS_TYPES
from transforms.untyped.column_counts import UNMATCHED, count_columns

How = Literal["left", "inner"]
_KEY, _MATCHED = "_join_key", "_is_matched"


@beam.typehints.with_output_types(Batch)
@dataclass(eq=False)
class JoinTable(beam.PTransform):
    """Add columns of a table to the rows whose key it has: ``JoinTable(customers, "customer_id", (Column("city"),))``.

    Keys are compared as texts. Rows without a match are counted; they have nulls in the new columns, or with
    ``how="inner"`` are left out, and counted as filtered.

    Attributes:
        table: the table; it travels to the workers with the pipeline.
        on: the key, a column of the records and of the table.
        columns: the columns to add, and their kinds.
        how: what becomes of rows without a match.

    Raises:
        ValueError: a column is missing, has a value that is not of its kind, or a key is there twice.
    """

    table: pl.DataFrame
    on: str
    columns: Sequence[Column] = ()
    how: How = "left"

    def __post_init__(self) -> None:
        """Check the table and type its columns."""
        super().__init__()
        if self.how not in get_args(How):
            raise ValueError(f"expected how to join, {' or '.join(get_args(How))}, got {self.how!r}")
        for name in (self.on, *(column.name for column in self.columns)):
            if name not in self.table.columns:
                raise ValueError(f"the table to join has no column {name!r}, only {', '.join(self.table.columns)}")
        known = self.table.filter(pl.col(self.on).is_not_null())
        key = known[self.on].cast(pl.String)
        if key.is_duplicated().any():
            again = key.filter(key.is_duplicated())[0]
            raise ValueError(f"the table to join has {again!r} twice in {self.on!r}: each record would count twice")
        added = [_typed(known[column.name], column) for column in self.columns]
        matched = pl.repeat(value=True, n=known.height, eager=True)
        self._table = pl.DataFrame([key.alias(_KEY), *added, matched.alias(_MATCHED)])

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        check_elements(batches, "JoinTable", Batch)
        columns = self._table.clear().drop(_KEY, _MATCHED)
        rows = try_on(batches, "JoinTable", lambda rows: rows.with_columns(pl.col(self.on)).hstack(columns))
        join = _JoinFn(self._table, self.on, self.how)
        return tell_rows(counting(batches, "JoinTable", join, {"records": Batch})["records"], rows)


@beam.typehints.with_output_types(Batch)
class _JoinFn(beam.DoFn):
    def __init__(self, table: pl.DataFrame, on: str, how: How) -> None:
        self._table = table
        self._on = on
        self._how = how

    def process(self, batch: Batch) -> Iterator[Any]:
        keyed = batch.rows.with_columns(pl.col(self._on).cast(pl.String).alias(_KEY))
        rows = keyed.join(self._table, _KEY, how="left", maintain_order="left")
        unmatched = rows[_MATCHED].null_count()
        if unmatched:
            count_columns({UNMATCHED + self._on: unmatched})
        if self._how == "inner":
            rows = rows.filter(_MATCHED)
            yield from count_rows(FILTERED, batch, unmatched)
        if rows.height:
            yield batch._replace(rows=rows.drop(_KEY, _MATCHED))


def _typed(values: pl.Series, column: Column) -> pl.Series:
    """Return the values as those of a record of this kind are.

    Raises:
        ValueError: one cannot be.
    """
    dtype: Any = POLARS_TYPES[column.kind]
    try:
        return values.cast(dtype).alias(column.name)
    except pl.exceptions.PolarsError:
        known = values.drop_nulls()
        wrong = known.filter(known.cast(dtype, strict=False).is_null())[0]
        raise ValueError(f"{column.name!r} of the table to join is no {column.kind}: {wrong!r}") from None
