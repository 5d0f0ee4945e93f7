"""The block: some whole raw records as bytes, which is what every source here emits.

One Beam element per record costs some 25 microseconds in Python; a block of a thousand costs the same.
"""

from __future__ import annotations

import bisect
import time
from typing import NamedTuple, cast

import numpy as np
import polars as pl
from apache_beam.coders import Coder, RowCoder, registry
from apache_beam.typehints.schemas import typing_to_runner_api

from schemas.elements.coders import register_row
from schemas.object_path import shown
from schemas.paths import real_path
from schemas.record_type import Dialect, Rejected
from schemas.text.lines import NEWLINE, Offsets, find_byte
from schemas.times import MICROS_PER_SECOND

#: The watermark of a source of which no record can be late: a file that is read as fast as possible.
NOTHING_IS_LATE = -(2**63)


#: A record whose event time is so far ahead of the wall clock does not move a watermark: its clock is wrong.
PLAUSIBLE_AHEAD_MICROS = 86_400 * MICROS_PER_SECOND


def now_micros() -> int:
    """Return the wall clock in microseconds of UTC."""
    return time.time_ns() // 1_000


def _steady_ns() -> int:
    """Return nanoseconds that go on evenly, while the machine sleeps, too, where it can tell."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()


#: What the wall clock was ahead of the steady one when this process began.
_WALL_AHEAD_NS = time.time_ns() - _steady_ns()


def arrival_micros() -> int:
    """Return microseconds of UTC that never go back and never jump, whatever becomes of the wall clock.

    It is the wall clock as it was when this process began, and how long ago that is. Where records happen when they
    arrive, a wall clock that jumps ahead and back would make all late that come until it is there again.
    """
    return (_WALL_AHEAD_NS + _steady_ns()) // 1_000


class Span(NamedTuple):
    """From byte ``start`` of the block on, the bytes came from ``origin``, beginning at its byte ``position``.

    Where they are ``numbered``, each line was a message, with the numbers ``position``, ``position + 1`` and so on.
    """

    start: int
    origin: str
    position: int
    numbered: bool = False


class Located(NamedTuple):
    """Where many bytes of a block are from.

    Attributes:
        spans: the numbers of their spans.
        positions: where in the origin they are; of a numbered span, which message they are of.
        within: of a numbered span, the offset in the message; elsewhere 0.
    """

    spans: Offsets
    positions: Offsets
    within: Offsets


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
        scope: within what an origin and a position there are those of one record only: for what can be read but once,
            the name of this reading; for messages of Kafka, the id of their topic. Empty where they are so everywhere,
            as those of files.
        receipt: names the block to those who acknowledge it (see :mod:`sources.positions.delivery`); empty where
        nobody waits.

    Scope, origin and position are the identity of a record. It does not depend on how the input is cut into blocks. A
    record that is read again, by another run, has the same.
    """

    data: bytes
    spans: tuple[Span, ...]
    dialect: Dialect = Dialect()
    watermark: int = NOTHING_IS_LATE
    fault: str = ""
    arrival: int = 0
    scope: str = ""
    receipt: str = ""

    def locate(self, offset: int) -> tuple[str, int]:
        """Return origin and position there of the byte at ``offset`` of the block.

        A numbered message is an origin of its own: ``sales[0]@17`` is that of the offset 17 in a partition of Kafka.
        """
        span = self.spans[bisect.bisect_right(self.spans, offset, key=lambda span: span.start) - 1]
        if span.numbered:
            start = self.data.rfind(b"\n", span.start, offset) + 1 or span.start
            number = span.position + self.data.count(b"\n", span.start, start)
            return f"{span.origin}@{number}", offset - start
        return span.origin, span.position + offset - span.start

    def locate_spans(self, offsets: Offsets) -> Located:
        """Return for each byte at ``offsets`` its span and its position there, all at once."""
        starts = np.array([span.start for span in self.spans], np.int64)
        firsts = np.array([span.position for span in self.spans], np.int64)
        which = np.searchsorted(starts, offsets, side="right") - 1
        positions = firsts[which] + offsets - starts[which]
        within = np.zeros_like(positions)
        is_numbered = np.array([span.numbered for span in self.spans])[which]
        if is_numbered.any():
            ends = find_byte(self.data, NEWLINE)
            before = np.searchsorted(ends, offsets)
            numbers = before - np.searchsorted(ends, starts)[which]
            # The newline before the message; of the first message of a span, the byte before the span.
            heads = np.where(numbers > 0, np.append(ends, -1)[before - 1] + 1, starts[which])
            positions = np.where(is_numbered, firsts[which] + numbers, positions)
            within = np.where(is_numbered, offsets - heads, within)
        return Located(which, positions, within)

    def locate_all(self, offsets: Offsets) -> tuple[pl.Series, Offsets]:
        """Return origin and position of the bytes at ``offsets``: for each what :meth:`locate` returns, all at once."""
        which, positions, within = self.locate_spans(offsets)
        origins = pl.Series([span.origin for span in self.spans], dtype=pl.String).gather(which)
        is_numbered = np.array([span.numbered for span in self.spans])[which]
        if is_numbered.any():
            told = pl.format("{}@{}", origins, pl.Series(positions))
            origins = pl.select(pl.when(pl.Series(is_numbered)).then(told).otherwise(origins)).to_series()
        return origins, np.where(is_numbered, within, positions)

    def rejected(self, start: int, stop: int, reason: str) -> Rejected:
        r"""Return the record at ``data[start:stop]`` as a rejected one; its line end is left out."""
        origin, position = self.locate(start)
        return Rejected(origin, position, reason, self.data[start:stop].rstrip(b"\r\n"), self.receipt)


def file_origin(path: str) -> str:
    """Return the origin of the records of a file: its whole path, whatever it is called from where.

    Bytes of a name that are not UTF-8 are escaped, so that two names do not become one.
    """
    return shown(real_path(path)).encode(errors="surrogateescape").decode(errors="backslashreplace")


class BlockCoder(Coder):
    """Encodes a block as a Beam row; used only where a runner breaks the fusion of source and parser."""

    def __init__(self) -> None:
        self._rows = RowCoder(typing_to_runner_api(Block).row_type.schema)

    def encode(self, value: Block) -> bytes:
        """Return the bytes of the row."""
        return cast(bytes, self._rows.encode(value))

    def decode(self, encoded: bytes) -> Block:
        """Return the block; Beam's rows have lists where blocks have tuples."""
        row = Block(*self._rows.decode(encoded))
        dialect = row.dialect._replace(header=tuple(row.dialect.header))
        return row._replace(spans=tuple(row.spans), dialect=dialect)

    def estimate_size(self, value: Block) -> int:
        """Estimate the size in bytes: Beam asks for that of most elements, and shall not encode them."""
        return len(value.data)

    def is_deterministic(self) -> bool:
        """Equal blocks have equal bytes."""
        return True

    def to_type_hint(self) -> type:
        """Return what it encodes."""
        return Block


for _element in (Rejected, Dialect, Span, Block):
    register_row(_element)
registry.register_coder(Block, BlockCoder)
