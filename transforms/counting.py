"""Counting records on their way, as Beam metrics, so that what was read can be balanced against what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics

from schemas.elements.block import Block
from schemas.elements.coders import register_row
from schemas.elements.frames import Batch
from schemas.elements.wiring import check_elements, known_rows, tell_rows
from schemas.record_type import Rejected
from sources import progress as board

#: So much of a block is kept to tell what an input is of which no record can be used.
HEAD_BYTES = 4_096

#: The namespace of the metrics, and their names: read = used + filtered + duplicate + rejected + late.
NAMESPACE = "records"
READ, USED, FILTERED, DUPLICATE, REJECTED, LATE = "read", "used", "filtered", "duplicate", "rejected", "late"
COUNTS = (READ, USED, FILTERED, DUPLICATE, REJECTED, LATE)


def count(name: str, amount: int) -> None:
    """Count records; to be called inside a bundle."""
    if amount:
        Metrics.counter(NAMESPACE, name).inc(amount)
        board.add(name, amount)


def count_rows(name: str, batch: Batch, rows: int) -> None:
    """Count so many rows of a batch, unless they were counted before; to be called inside a bundle."""
    if not batch.is_counted:
        count(name, rows)


class Tally(NamedTuple):
    """How many records of a block were read, and how many of them a filter did not want."""

    read: int
    filtered: int


register_row(Tally)


def count_rejected(records: Sequence[Rejected], block: Block) -> None:
    """Count records of a block as rejected, and show the first ones of the run; to be called inside a bundle."""
    count(REJECTED, len(records))
    board.show_rejected(records, block.data[:HEAD_BYTES])


@beam.typehints.with_output_types(Batch)
@dataclass
class CountUsed(beam.PTransform):
    """Count rows as used, and hand them on: where several steps use the same rows, so that none counts them again."""

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        check_elements(batches, "CountUsed", Batch)
        return tell_rows(batches | "CountUsed" >> beam.ParDo(_CountUsedFn()), known_rows(batches))


@beam.typehints.with_output_types(Batch)
class _CountUsedFn(beam.DoFn):
    def process(self, batch: Batch) -> Iterator[Batch]:
        count_rows(USED, batch, batch.rows.height)
        yield batch._replace(is_counted=True)
