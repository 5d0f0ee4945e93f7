"""Files of delimited records as an unbounded source that ends: read as fast as possible, or replayed at a pace."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from apache_beam.coders import Coder, registry
from apache_beam.io.unbounded_source import UnboundedSource
from apache_beam.utils.timestamp import MIN_TIMESTAMP

from schemas.elements.block import (
    NOTHING_IS_LATE,
    PLAUSIBLE_AHEAD_MICROS,
    Block,
    Span,
    arrival_micros,
    file_origin,
    now_micros,
)
from schemas.record_type import RecordType
from schemas.text.dialect import SAMPLE_BYTES
from schemas.text.lines import Lines, Offsets, event_times, line_times
from schemas.text.records import find_records
from sources import progress as board
from sources.drain import draining
from sources.files.chunks import ByteRange, Chunk, piece_size, read_chunks
from sources.files.opening import is_sequential
from sources.pacing import Pace
from sources.reader import BlockReader, MarkCoder, Reading, TimedBlock, resume

#: Bigger blocks gain no more speed, and cost memory.
BLOCK_BYTES = 4 << 20
#: Below this a file is not worth splitting.
MIN_SPLIT_BYTES = 64 << 20
#: The heads of so many files are looked at for times that can be read.
_MOST_HEADS = 100
#: A paced replay looks so far ahead.
PACED_BYTES = 1 << 20


class FileMark(NamedTuple):
    """Where to go on: piece, offset, records and watermark before it, and the token of the reading that it is of."""

    piece: int = 0
    offset: int = -1
    records: int = 0
    watermark: int = NOTHING_IS_LATE
    token: str = ""

    def finalize_checkpoint(self) -> None:
        """Files need no acknowledgement."""


@dataclass(frozen=True)
class FileReplay(UnboundedSource):
    """Reads files and emits their records in blocks.

    Without a pace it is complete and has no order: it splits by file and byte range, its watermark stands still until
    the end, and so no record in it is late. With a pace, or with a limit to the number of records, it is one ordered
    stream, whose watermark is the greatest event time so far less ``disorder_micros``. Records arrive when they are
    handed out.

    A checkpoint mark is (piece, byte offset, records before it, watermark); a reader made from it gives exactly the
    rest, though for a compressed file it reads over what came before. A pace begins anew there. The dialect
    is found once per file, from its head, whichever part of it is read.

    Attributes:
        pieces: what to read, in order.
        record_type: what the records are.
        pace: when they leave.
        disorder_micros: how far they may be out of order; only a paced replay needs it.
        max_records: end after so many, blank lines not counted.
        block_bytes: the most that a block holds; a longer record is a fault.
        clock: seconds that go on evenly.
        wall_clock: microseconds of UTC, for which event times are believed.
        arrivals: microseconds of UTC that never jump, for when records are read.
    """

    pieces: Sequence[ByteRange]
    record_type: RecordType
    pace: Pace = Pace()
    disorder_micros: int = 0
    max_records: int | None = None
    block_bytes: int = BLOCK_BYTES
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], int] = now_micros
    arrivals: Callable[[], int] = arrival_micros

    @property
    def is_ordered(self) -> bool:
        """Whether the records have to come one file after the other."""
        return self.pace.is_paced or self.max_records is not None

    def split(self, desired_num_splits: int, options: Any = None) -> list[FileReplay]:  # noqa: ARG002
        """Split by file and byte range, into as many parts as there are processors."""
        return self.parts(min(desired_num_splits, os.cpu_count() or 1))

    def parts(self, wanted: int) -> list[FileReplay]:
        """Split by file and byte range, into at most so many parts."""
        if self.is_ordered or wanted == 1:
            return [self]
        shares: list[list[ByteRange]] = [[] for _ in range(wanted)]
        sizes = [0] * wanted
        for piece in self.pieces:
            for part in cut_piece(piece, wanted, self.record_type.wide_encoding):
                least = sizes.index(min(sizes))
                shares[least].append(part)
                sizes[least] += piece_size(part)
        return [replace(self, pieces=tuple(share)) for share in shares if share] or [self]

    def create_reader(self, options: Any, checkpoint_mark: FileMark | None) -> BlockReader:  # noqa: ARG002
        """Return a reader at the first record, or at the first one after the mark."""
        return resume(checkpoint_mark, self._begin)

    def _begin(self, mark: FileMark | None) -> Reading:
        return (_PacedReading if self.is_ordered else _UnpacedReading)(self, mark or FileMark(token=uuid.uuid4().hex))

    def get_checkpoint_mark_coder(self) -> Coder:
        """Return the coder of FileMark."""
        return MarkCoder(FileMark)

    def default_output_coder(self) -> Coder:
        """Return the coder of Block."""
        return registry.get_coder(Block)


def check_times(pieces: Sequence[ByteRange], record_type: RecordType) -> None:
    """See that files can be played by event time: where there are records at the head of one, some have it.

    Raises:
        ValueError: none of them has, or it cannot be read, or is not believed.
        OSError: a file cannot be read.
    """
    time = record_type.event_time
    for piece in pieces[:_MOST_HEADS]:
        head = next(read_chunks((piece,), record_type, SAMPLE_BYTES), None)
        if head is None or head.fault or not head.data.strip():
            continue
        refused = f"cannot play {piece.path!r} by event time: "
        if not time:
            raise ValueError(f"{refused}a {record_type.name} has none")
        lines = find_records(head.data, head.dialect)
        written = line_times(head.data, lines, record_type, head.dialect)
        latest = now_micros() + PLAUSIBLE_AHEAD_MICROS
        times = event_times(head.data, lines, record_type, head.dialect, NOTHING_IS_LATE, latest)
        if (times != NOTHING_IS_LATE).any():
            continue
        shown = next((text for text in written if text), None)
        if shown is None:
            raise ValueError(f"{refused}no record at its head has {time!r}")
        if record_type.times.read_all(written).is_not_null().any():
            raise ValueError(f"{refused}{time} is {shown!r}, and what is more than a day ahead is not believed")
        raise ValueError(f"{refused}{time} is {shown!r}, expected a time such as {record_type.times.example}")


def cut_piece(piece: ByteRange, parts: int, wide: str | None = None) -> list[ByteRange]:
    """Cut a piece into byte ranges of the same size, where it is long enough and can be read from its middle."""
    size = piece_size(piece)
    if size < MIN_SPLIT_BYTES or is_sequential(piece.path, wide):
        return [piece]
    bounds = [piece.start + size * part // parts for part in range(parts)]
    return [ByteRange(piece.path, start, stop) for start, stop in zip(bounds, [*bounds[1:], piece.stop], strict=True)]


class _FileReading(Reading):
    """What both ways of reading share: the mark behind what was handed out."""

    def __init__(self, source: FileReplay, mark: FileMark) -> None:
        self.source = source
        self.token = mark.token
        self.behind = mark

    @property
    def promised(self) -> int | None:
        """See :class:`Reading`."""
        return None if self.behind.watermark == NOTHING_IS_LATE else self.behind.watermark

    def mark(self) -> FileMark:
        """Return the mark behind everything handed out so far."""
        return self.behind

    def _hand_out(
        self, chunk: Chunk, data: bytes, offset: int, after: int, records: int, watermark: int, arrival: int
    ) -> None:
        span = Span(0, file_origin(self.source.pieces[chunk.piece].path), offset)
        block = Block(data, (span,), chunk.dialect, self.behind.watermark, chunk.fault, arrival)
        self.behind = FileMark(chunk.piece, after, self.behind.records + records, watermark, self.token)
        first = self.source.record_type.event_micros(data[: data.find(b"\n") + 1 or len(data)], block.dialect)
        if first is None:
            first = MIN_TIMESTAMP.micros if self.promised is None else self.promised
        self.taken = TimedBlock(block, first)
        board.add("bytes", after - offset)


class _UnpacedReading(_FileReading):
    """Reads whole chunks; the next one is read by a thread while the one before is worked on."""

    def __init__(self, source: FileReplay, mark: FileMark) -> None:
        super().__init__(source, mark)
        self._chunks = read_chunks(source.pieces, source.record_type, source.block_bytes, mark.piece, mark.offset)
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._next: Future[Chunk | None] = self._thread.submit(next, self._chunks, None)

    def advance(self) -> bool:
        """Take the next chunk; waits for the disk where it has to, never for anything else."""
        chunk = None if draining() else self._next.result()
        if chunk is None:
            self.is_ended = True
            return False
        self._next = self._thread.submit(next, self._chunks, None)
        self._hand_out(chunk, chunk.data, chunk.offset, chunk.after, 0, NOTHING_IS_LATE, self.source.arrivals())
        return True

    def close(self) -> None:
        """Wait for the pending read and close the file."""
        self._thread.shutdown()
        self._chunks.close()


class _PacedReading(_FileReading):
    """Hands out the lines of a chunk as they come due.

    What is due counts from the reading's beginning, so a poll that comes late finds all that it has missed.
    """

    def __init__(self, source: FileReplay, mark: FileMark) -> None:
        super().__init__(source, mark)
        size = min(PACED_BYTES, source.block_bytes) if source.pace.is_paced else source.block_bytes
        self._chunks = read_chunks(source.pieces, source.record_type, size, mark.piece, mark.offset)
        self._chunk: Chunk | None = None
        self._lines = Lines(np.zeros(0, np.int64), np.zeros(0, np.int64))
        self._times: Offsets = self._lines.starts
        self._line = 0
        self._schedule = source.pace.schedule(mark.records)
        self._began = source.clock()

    def advance(self) -> bool:
        """Take the records that are due; False where none is, or at the end."""
        if draining() or not self._ensure_lines():
            self.is_ended = True
            return False
        elapsed = self.source.clock() - self._began
        left = self._left()
        times = self._times[self._line : self._line + left]
        if self.source.pace.speed is not None and times[0] == NOTHING_IS_LATE:
            # No record so far has a time, so there is none to wait for.
            count = left
        else:
            count = self._schedule.due(elapsed, times, most=left)
        if count == 0:
            return False
        self._take(count)
        return True

    def _left(self) -> int:
        """How many lines of the chunk may still leave."""
        waiting = len(self._times) - self._line
        most = self.source.max_records
        return waiting if most is None else min(waiting, most - self.behind.records)

    def _ensure_lines(self) -> bool:
        """See that there are lines that may still leave; False where there are no more."""
        most = self.source.max_records
        if most is not None and self.behind.records >= most:
            return False
        while self._line == len(self._times):
            latest = int(self._times[-1]) if len(self._times) else NOTHING_IS_LATE
            self._chunk = next(self._chunks, None)
            if self._chunk is None:
                return False
            data = self._chunk.data
            # A blank line is no record; it leaves with the record before it.
            self._lines = find_records(data, self._chunk.dialect)
            believed = self.source.wall_clock() + PLAUSIBLE_AHEAD_MICROS
            self._times = event_times(data, self._lines, self.source.record_type, self._chunk.dialect, latest, believed)
            self._line = 0
        return True

    def _take(self, count: int) -> None:
        chunk = cast(Chunk, self._chunk)
        first, self._line = self._line, self._line + count
        start = int(self._lines.starts[first])
        is_whole = self._line == len(self._times)
        stop = len(chunk.data) if is_whole else int(self._lines.starts[self._line])
        after = chunk.after if is_whole else chunk.offset + stop
        arrival = self.source.arrivals()
        greatest = int(self._times[first : self._line].max())
        if greatest == NOTHING_IS_LATE:
            last = chunk.data[int(self._lines.starts[self._line - 1]) : int(self._lines.stops[self._line - 1])]
            greatest = self.source.record_type.event_micros(last, chunk.dialect, arrival) or greatest
        watermark = max(self.behind.watermark, greatest - self.source.disorder_micros)
        self._hand_out(chunk, chunk.data[start:stop], chunk.offset + start, after, count, watermark, arrival)

    def close(self) -> None:
        """Close the file."""
        self._chunks.close()
