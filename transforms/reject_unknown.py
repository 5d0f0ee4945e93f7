"""Rejecting records whose value in a column is not among those that are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.pvalue import TaggedOutput

from schemas.elements.frames import RECORD, Batch
from schemas.elements.wiring import check_elements, tell_rows, try_on
from schemas.record_type import Rejected
from schemas.text.records import find_records
from transforms.counting import count_rejected, counting

#: So many characters of a value stand in the reason.
_SHOWN = 60


@dataclass
class RejectUnknown(beam.PTransform):
    """Split off the rows whose value is not known.

    Gives a dict of two PCollections: ``records``, of :class:`Batch`, and ``rejected``, of :class:`Rejected` with the
    raw records.

    Attributes:
        column: a column of texts.
        known: the values that are known.
    """

    column: str
    known: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: there are none.
        """
        super().__init__()
        self.known = tuple(self.known)
        if not self.known:
            raise ValueError(f"expected the known values of {self.column!r}, got none")

    def expand(self, batches: beam.PCollection) -> dict[str, beam.PCollection]:
        """Wire the one step."""
        check_elements(batches, "RejectUnknown", Batch)
        rows = try_on(batches, "RejectUnknown", lambda rows: rows.filter(pl.col(self.column).is_in(self.known)))
        reject = _RejectUnknownFn(self.column, self.known)
        outputs = counting(batches, "RejectUnknown", reject, {"records": Batch, "rejected": Rejected})
        tell_rows(outputs.records, rows)
        return {"records": outputs.records, "rejected": outputs.rejected}


class _RejectUnknownFn(beam.DoFn):
    def __init__(self, column: str, known: tuple[str, ...]) -> None:
        self._column = column
        self._known = known

    def process(self, batch: Batch) -> Iterator[Any]:
        is_known = pl.col(self._column).is_in(self._known)
        known = batch.rows.filter(is_known)
        if known.height == batch.rows.height:
            yield batch
            return
        if known.height:
            yield batch._replace(rows=known)
        unknown = batch.rows.filter(is_known.not_().fill_null(value=True))
        starts, stops = find_records(batch.block.data, batch.block.dialect)
        rejected = []
        for number, value in unknown.select(RECORD, self._column).iter_rows():
            shown = repr(value if value is None or len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
            reason = f"{self._column} {shown} is not among the {len(self._known)} that are known"
            rejected.append(batch.block.rejected(int(starts[number]), int(stops[number]), reason))
        yield from count_rejected(rejected, batch.block)
        for record in rejected:
            yield TaggedOutput("rejected", record)
