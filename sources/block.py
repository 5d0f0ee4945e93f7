"""The block: some whole raw records as bytes, which is what every source here emits.

One Beam element per record costs some 25 microseconds in Python; a block of a thousand costs the same.
"""

from __future__ import annotations

import bisect
import time
from typing import NamedTuple, cast

from apache_beam.coders import Coder, RowCoder, registry
from apache_beam.typehints.schemas import typing_to_runner_api

from schemas.coders import register_row
from schemas.records import Dialect, Rejected
from schemas.units import MICROS_PER_SECOND
from sources import mending  # noqa: F401 - every worker that reads or parses needs it

#: The watermark of a source of which no record can be late: a file that is read as fast as possible.
NOTHING_IS_LATE = -(2**63)


#: A record whose event time is so far ahead of the wall clock does not move a watermark: its clock is wrong.
BELIEVED_AHEAD_MICROS = 86_400 * MICROS_PER_SECOND


def now_micros() -> int:
    """Gives the wall clock in microseconds of UTC."""
    return time.time_ns() // 1_000


class Span(NamedTuple):
    """From byte ``start`` of the block on, the bytes came from ``origin``, beginning at its byte ``position``.

    Where they are ``numbered``, each line was a message, with the numbers ``position``, ``position + 1`` and so on.
    """

    start: int
    origin: str
    position: int
    numbered: bool = False


class Block(NamedTuple):
    r"""Whole raw records, each ended by ``\n`` (the last one may lack it).

    Attributes:
        data: the bytes of the records.
        spans: where they came from, by ascending start; the first starts at 0.
        dialect: how the records are written.
        watermark: event time in microseconds that the source had promised before these records: one whose every
            window ended before it is late. NOTHING_IS_LATE where the source is complete.
        fault: empty, or why these bytes are one record that cannot be used (too long, torn off).
        arrival: when the first of the bytes were received, in microseconds of UTC; 0 where nobody knows.
    """

    data: bytes
    spans: tuple[Span, ...]
    dialect: Dialect = Dialect()
    watermark: int = NOTHING_IS_LATE
    fault: str = ""
    arrival: int = 0

    def locate(self, offset: int) -> tuple[str, int]:
        """Gives origin and position there of the byte at ``offset`` of the block.

        A numbered message is an origin of its own: ``sales[0]@17`` is that of the offset 17 in a partition of Kafka.
        """
        span = self.spans[bisect.bisect_right(self.spans, offset, key=lambda span: span.start) - 1]
        if span.numbered:
            start = self.data.rfind(b"\n", span.start, offset) + 1 or span.start
            number = span.position + self.data.count(b"\n", span.start, start)
            return f"{span.origin}@{number}", offset - start
        return span.origin, span.position + offset - span.start

    def rejected(self, start: int, stop: int, reason: str) -> Rejected:
        r"""Gives the record at ``data[start:stop]`` as a rejected one; its line end is left out."""
        origin, position = self.locate(start)
        return Rejected(origin, position, reason, self.data[start:stop].rstrip(b"\r\n"))


class BlockCoder(Coder):
    """Encodes a block as a Beam row; used only where a runner breaks the fusion of source and parser."""

    def __init__(self) -> None:
        self._rows = RowCoder(typing_to_runner_api(Block).row_type.schema)

    def encode(self, value: Block) -> bytes:
        """Gives the bytes of the row."""
        return cast(bytes, self._rows.encode(value))

    def decode(self, encoded: bytes) -> Block:
        """Gives the block; Beam's rows have lists where blocks have tuples."""
        row = Block(*self._rows.decode(encoded))
        dialect = row.dialect._replace(header=tuple(row.dialect.header))
        return row._replace(spans=tuple(row.spans), dialect=dialect)

    def estimate_size(self, value: Block) -> int:
        """Gives about the bytes of the encoded block: Beam asks that of most elements, and shall not encode them."""
        return len(value.data)

    def is_deterministic(self) -> bool:
        """Equal blocks have equal bytes."""
        return True

    def to_type_hint(self) -> type:
        """What it encodes."""
        return Block


for _element in (Rejected, Dialect, Span, Block):
    register_row(_element)
registry.register_coder(Block, BlockCoder)
