"""Keeping some of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl

from schemas.elements.frames import Batch
from schemas.elements.wiring import check_elements, tell_rows, try_on
from transforms.counting import FILTERED, count_rows, counting


@beam.typehints.with_output_types(Batch)
@dataclass
class KeepRows(beam.PTransform):
    """Keep the rows for which a polars expression over their columns is true: ``KeepRows(pl.col("total") > 0)``.

    The others are counted as filtered. What can be decided by the record alone is decided faster while
    parsing: see ``where`` of ParseDelimited.
    """

    where: pl.Expr

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        check_elements(batches, "KeepRows", Batch)
        rows = try_on(batches, "KeepRows", lambda rows: rows.filter(self.where))
        kept = counting(batches, "KeepRows", _KeepFn(self.where), {"records": Batch})
        return tell_rows(kept["records"], rows)


@beam.typehints.with_output_types(Batch)
class _KeepFn(beam.DoFn):
    def __init__(self, where: pl.Expr) -> None:
        self._where = where

    def process(self, batch: Batch) -> Iterator[Any]:
        kept = batch.rows.filter(self._where)
        yield from count_rows(FILTERED, batch, batch.rows.height - kept.height)
        if kept.height:
            yield batch._replace(rows=kept)
