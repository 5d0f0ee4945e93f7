"""Leaving the world of frames: rows as NamedTuples, for ordinary Beam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

import apache_beam as beam
import polars as pl
from apache_beam.utils.timestamp import Timestamp

from schemas.elements.coders import register_row


@dataclass
class ToRows(beam.PTransform):
    """Give a NamedTuple per row of each Batch or Result, its fields being the columns of the same names.

    The type is registered for Beam's row coder. A field hinted as Timestamp (or optional Timestamp) gets one from a
    column of times.

    Attributes:
        row_type: a NamedTuple type.
    """

    row_type: type

    def __post_init__(self) -> None:
        """Registers the type."""
        super().__init__()
        register_row(self.row_type)

    def expand(self, frames: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return frames | "ToRows" >> beam.ParDo(_ToRowsFn(self.row_type)).with_output_types(self.row_type)


class _ToRowsFn(beam.DoFn):
    def __init__(self, row_type: Any) -> None:
        self._row_type = row_type

    def setup(self) -> None:
        hints = get_type_hints(self._row_type)
        self._times = [name for name, hint in hints.items() if Timestamp in (hint, *getattr(hint, "__args__", ()))]

    def process(self, element: Any) -> Iterator[Any]:
        rows: pl.DataFrame = element.rows.select(self._row_type._fields)
        for row in rows.with_columns(pl.col(self._times).dt.epoch("us")).iter_rows(named=True):
            for name in self._times:
                row[name] = None if row[name] is None else Timestamp(micros=row[name])
            yield self._row_type(**row)
