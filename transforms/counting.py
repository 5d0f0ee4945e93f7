"""Counting records on their way, so that what was read can be balanced against what became of it.

They are counted twice: as Beam metrics, which can be looked at while a job runs, and begin at zero in each worker; and
as data, in an output of each step that counts, which travels and is kept as all data of the job are: exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type

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
#: The output of each step that counts.
COUNTED = "counted"
#: What is in that output: a number for each of COUNTS.
Balance = tuple[int, ...]
NOTHING: Balance = (0,) * len(COUNTS)


def count(name: str, amount: int) -> Sequence[TaggedOutput]:
    """Count records, in a bundle; return what the step, which is one of :func:`counting`, has to give."""
    if not amount:
        return ()
    Metrics.counter(NAMESPACE, name).inc(amount)
    board.add(name, amount)
    return (TaggedOutput(COUNTED, tuple(amount if each == name else 0 for each in COUNTS)),)


def count_rows(name: str, batch: Batch, rows: int) -> Sequence[TaggedOutput]:
    """Count so many rows of a batch, unless they were counted before; see :func:`count`."""
    return () if batch.is_counted else count(name, rows)


def counting(pcoll: beam.PCollection, label: str, fn: beam.DoFn, outputs: Mapping[str, Any]) -> DoOutputsTuple:
    """Apply a step that counts, and return its outputs.

    Args:
        pcoll: what it takes.
        label: what it is called.
        fn: the step.
        outputs: the names of what it gives besides, and the types of that; the first is the main one.
    """
    main, *others = outputs
    given = pcoll | label >> beam.ParDo(fn).with_outputs(*others, COUNTED, main=main)
    for name, element_type in {**outputs, COUNTED: Balance}.items():
        given[name].element_type = convert_to_beam_type(element_type)
    return given


def find_counted(pipeline: beam.Pipeline) -> list[beam.PCollection]:
    """Return what all steps of a pipeline count."""
    found = _CountedOutputs()
    pipeline.visit(found)
    return found.outputs


class _CountedOutputs(PipelineVisitor):
    def __init__(self) -> None:
        self.outputs: list[beam.PCollection] = []

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        if COUNTED in transform_node.outputs:
            self.outputs.append(transform_node.outputs[COUNTED])


class Tally(NamedTuple):
    """How many records of a block were read, and how many of them a filter did not want."""

    read: int
    filtered: int


register_row(Tally)


def count_rejected(records: Sequence[Rejected], block: Block) -> Sequence[TaggedOutput]:
    """Count records of a block as rejected, and show the first ones of the run; see :func:`count`."""
    board.show_rejected(records, block.data[:HEAD_BYTES])
    return count(REJECTED, len(records))


@beam.typehints.with_output_types(Batch)
@dataclass
class CountUsed(beam.PTransform):
    """Count rows as used, and hand them on: where several steps use the same rows, so that none counts them again."""

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        check_elements(batches, "CountUsed", Batch)
        counted = counting(batches, "CountUsed", _CountUsedFn(), {"records": Batch})
        return tell_rows(counted["records"], known_rows(batches))


@beam.typehints.with_output_types(Batch)
class _CountUsedFn(beam.DoFn):
    def process(self, batch: Batch) -> Iterator[Any]:
        yield from count_rows(USED, batch, batch.rows.height)
        yield batch._replace(is_counted=True)
