"""Telling late records from the others, before they are reduced, so that none is dropped without being counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.pvalue import TaggedOutput

from schemas.elements.block import NOTHING_IS_LATE, Block
from schemas.elements.frames import EVENT_TIME, RECORD, Batch
from schemas.elements.wiring import check_elements, known_rows, tell_rows
from schemas.record_type import Rejected
from schemas.text.records import find_records
from schemas.times import to_datetime
from transforms.counting import LATE, count_rows, counting
from transforms.windows import Windows


@dataclass
class SplitLate(beam.PTransform):
    """Split off the rows whose every window had ended, and its lateness passed, when their source let go of them.

    The source's own watermark decides, the one that it had promised before it handed out the block. The runner's
    is never ahead of that, so the runner drops nothing that is kept here. Late rows are counted as such, but for those
    that were counted before, as :class:`transforms.counting.CountUsed` does where other steps use them all the same.

    Gives a dict of two PCollections: ``records``, of :class:`Batch`, and ``late``, of :class:`Rejected` with the raw
    records.

    Attributes:
        windows: the windows that the rows are going to be put in.
        lateness_micros: how long after its end a window still takes rows.
    """

    windows: Windows
    lateness_micros: int = 0

    def __post_init__(self) -> None:
        """Check the lateness.

        Raises:
            ValueError: it is negative.
            TypeError: the windows are none.
        """
        super().__init__()
        if not isinstance(self.windows, Windows):
            raise TypeError(f"expected windows such as Windows.parse('1h'), got {self.windows!r}")
        if self.lateness_micros < 0:
            raise ValueError(f"lateness must not be negative, got {self.lateness_micros} us")

    def expand(self, batches: beam.PCollection) -> dict[str, beam.PCollection]:
        """Wire the one step."""
        check_elements(batches, "SplitLate", Batch)
        split = _SplitLateFn(self.windows, self.lateness_micros)
        outputs = counting(batches, "SplitLate", split, {"records": Batch, "late": Rejected})
        tell_rows(outputs.records, known_rows(batches))
        return {"records": outputs.records, "late": outputs.late}


class _SplitLateFn(beam.DoFn):
    def __init__(self, windows: Windows, lateness_micros: int) -> None:
        self._windows = windows
        self._lateness = lateness_micros

    def process(self, batch: Batch) -> Iterator[Any]:
        watermark = batch.block.watermark
        if watermark == NOTHING_IS_LATE or not self._windows.length:
            yield batch
            return
        is_late = self._windows.last_end(pl.col(EVENT_TIME)) + self._lateness <= watermark
        late = batch.rows.filter(is_late)
        yield from count_rows(LATE, batch, late.height)
        if late.height < batch.rows.height:
            yield batch._replace(rows=batch.rows.filter(~is_late)) if late.height else batch
        for rejected in _raw_records(batch.block, late):
            yield TaggedOutput("late", rejected)


def _raw_records(block: Block, rows: pl.DataFrame) -> Iterator[Rejected]:
    """Yield the raw records of some rows of a block."""
    if not rows.height:
        return
    starts, stops = find_records(block.data, block.dialect)
    promised = to_datetime(block.watermark)
    for number in rows[RECORD].to_list():
        reason = f"late: its last window had closed when the watermark was {promised:%Y-%m-%dT%H:%M:%S.%fZ}"
        yield block.rejected(int(starts[number]), int(stops[number]), reason)
