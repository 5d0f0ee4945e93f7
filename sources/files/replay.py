"""Files of delimited records as an unbounded source that ends: read as fast as possible, or replayed at a pace."""

from __future__ import annotations

import os
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from apache_beam.coders import Coder, registry
from apache_beam.io.unbounded_source import UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from schemas.elements.block import NOTHING_IS_LATE, PLAUSIBLE_AHEAD_MICROS, Block, Span, file_origin, now_micros
from schemas.elements.coders import register_row
from schemas.record_type import RecordType
from schemas.text.lines import Lines, Offsets, event_times, find_lines
from sources import progress as board
from sources.drain import draining
from sources.files.chunks import ByteRange, Chunk, is_compressed, piece_size, read_chunks
from sources.pacing import Pace

#: Bigger blocks gain no more speed, and cost memory.
BLOCK_BYTES = 4 << 20
#: Below this a file is not worth splitting.
MIN_SPLIT_BYTES = 64 << 20
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


register_row(FileMark)


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
        wall_clock: microseconds of UTC, for when records are read.
    """

    pieces: Sequence[ByteRange]
    record_type: RecordType
    pace: Pace = Pace()
    disorder_micros: int = 0
    max_records: int | None = None
    block_bytes: int = BLOCK_BYTES
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], int] = now_micros

    @property
    def is_ordered(self) -> bool:
        """Whether the records have to come one file after the other."""
        return self.pace.is_paced or self.max_records is not None

    def split(self, desired_num_splits: int, options: Any = None) -> list[FileReplay]:  # noqa: ARG002
        """Splits by file and byte range, into as many parts as there are processors."""
        wanted = min(desired_num_splits, os.cpu_count() or 1)
        if self.is_ordered or wanted == 1:
            return [self]
        shares: list[list[ByteRange]] = [[] for _ in range(wanted)]
        sizes = [0] * wanted
        for piece in self.pieces:
            for part in cut_piece(piece, wanted):
                least = sizes.index(min(sizes))
                shares[least].append(part)
                sizes[least] += piece_size(part)
        return [replace(self, pieces=tuple(share)) for share in shares if share] or [self]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> UnboundedReader:  # noqa: ARG002
        """Gives a reader at the first record, or at the first one after the mark."""
        mark = checkpoint_mark or FileMark(token=uuid.uuid4().hex)
        reading = _OPEN.get(mark.token)
        if reading is None or reading.mark != mark:
            reading = _PacedReading(self, mark) if self.is_ordered else _UnpacedReading(self, mark)
        return FileReader(reading)

    def get_checkpoint_mark_coder(self) -> Coder:
        """Gives the coder of FileMark."""
        return registry.get_coder(FileMark)

    def default_output_coder(self) -> Coder:
        """Gives the coder of Block."""
        return registry.get_coder(Block)


def cut_piece(piece: ByteRange, parts: int) -> list[ByteRange]:
    """Cuts a piece into byte ranges of the same size, where it is long enough and can be read from its middle."""
    size = piece_size(piece)
    if is_compressed(piece.path) or size < MIN_SPLIT_BYTES:
        return [piece]
    bounds = [piece.start + size * part // parts for part in range(parts)]
    return [ByteRange(piece.path, start, stop) for start, stop in zip(bounds, [*bounds[1:], piece.stop], strict=True)]


class FileReader(UnboundedReader):
    """Hands out the blocks of a reading of files; ``start`` and ``advance`` are False where none is due, or at the end.

    A reader that is made from a mark while the reading that gave it is still open takes that over, its pace too. That
    happens often: a runner may begin the next bundle in another instance of the reading DoFn before it has let go of
    the first, whose cache keeps the earlier reader. Closing that one does nothing then.
    """

    def __init__(self, reading: _Reading) -> None:
        """Takes the reading over."""
        self._reading = reading
        reading.reader = self
        _OPEN[reading.mark.token] = reading

    def start(self) -> bool:
        """Takes the first block."""
        return self._reading.advance()

    def advance(self) -> bool:
        """Takes the next block."""
        return self._reading.advance()

    def get_current(self) -> Block:
        """Gives the block of the last call that was True."""
        if self._reading.block is None:
            raise ValueError("no block: start or advance has to have been True")
        return self._reading.block

    def get_current_timestamp(self) -> Timestamp:
        """Gives the event time of the block's first record, or the watermark."""
        block = self.get_current()
        first = block.data[: block.data.find(b"\n") + 1 or len(block.data)]
        micros = self._reading.source.record_type.event_micros(first, block.dialect)
        return Timestamp(micros=micros) if micros is not None else _bound(self._reading.mark.watermark)

    def get_watermark(self) -> Timestamp:
        """Gives the promise; MAX_TIMESTAMP at the end."""
        return MAX_TIMESTAMP if self._reading.is_done else _bound(self._reading.mark.watermark)

    def get_checkpoint_mark(self) -> FileMark:
        """Gives the mark behind everything handed out so far."""
        return self._reading.mark

    def close(self) -> None:
        """Closes the file, unless a later reader goes on with it."""
        if self._reading.reader is self:
            _OPEN.pop(self._reading.mark.token, None)
            self._reading.close()


#: The readings that are open in this process, by the token of their marks.
_OPEN: dict[str, _Reading] = {}


def _bound(micros: int) -> Timestamp:
    return MIN_TIMESTAMP if micros == NOTHING_IS_LATE else Timestamp(micros=micros)


class _Reading(ABC):
    """What both ways of reading share: the block that is handed out, and the mark behind it."""

    def __init__(self, source: FileReplay, mark: FileMark) -> None:
        self.source = source
        self.mark = mark
        self.block: Block | None = None
        self.is_done = False
        self.reader: FileReader | None = None

    @abstractmethod
    def advance(self) -> bool:
        """Takes the next block; False where none is due, or at the end."""

    @abstractmethod
    def close(self) -> None:
        """Closes what is open; may be called again."""

    def _hand_out(
        self, chunk: Chunk, data: bytes, offset: int, after: int, records: int, watermark: int, arrival: int
    ) -> None:
        span = Span(0, file_origin(self.source.pieces[chunk.piece].path), offset)
        self.block = Block(data, (span,), chunk.dialect, self.mark.watermark, chunk.fault, arrival)
        self.mark = FileMark(chunk.piece, after, self.mark.records + records, watermark, self.mark.token)
        board.add("bytes", after - offset)


class _UnpacedReading(_Reading):
    """Reads whole chunks; the next one is read by a thread while the one before is worked on."""

    def __init__(self, source: FileReplay, mark: FileMark) -> None:
        super().__init__(source, mark)
        self._chunks = read_chunks(source.pieces, source.record_type, source.block_bytes, mark.piece, mark.offset)
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._next: Future[Chunk | None] = self._thread.submit(next, self._chunks, None)

    def advance(self) -> bool:
        """Takes the next chunk; waits for the disk where it has to, never for anything else."""
        chunk = None if draining() else self._next.result()
        if chunk is None:
            self.is_done = True
            return False
        self._next = self._thread.submit(next, self._chunks, None)
        self._hand_out(chunk, chunk.data, chunk.offset, chunk.after, 0, NOTHING_IS_LATE, self.source.wall_clock())
        return True

    def close(self) -> None:
        """Waits for the read that is under way and closes the file."""
        self._thread.shutdown()
        self._chunks.close()


class _PacedReading(_Reading):
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
        """Takes the records that are due; False where none is, or at the end."""
        if draining() or not self._ensure_lines():
            self.is_done = True
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
        return waiting if most is None else min(waiting, most - self.mark.records)

    def _ensure_lines(self) -> bool:
        """Sees that there are lines that may still leave; False where there are no more."""
        most = self.source.max_records
        if most is not None and self.mark.records >= most:
            return False
        while self._line == len(self._times):
            latest = int(self._times[-1]) if len(self._times) else NOTHING_IS_LATE
            self._chunk = next(self._chunks, None)
            if self._chunk is None:
                return False
            data = self._chunk.data
            # A blank line is no record; it leaves with the record before it.
            self._lines = find_lines(data)
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
        arrival = self.source.wall_clock()
        greatest = int(self._times[first : self._line].max())
        if greatest == NOTHING_IS_LATE:
            last = chunk.data[int(self._lines.starts[self._line - 1]) : int(self._lines.stops[self._line - 1])]
            greatest = self.source.record_type.event_micros(last, chunk.dialect, arrival) or greatest
        watermark = max(self.mark.watermark, greatest - self.source.disorder_micros)
        self._hand_out(chunk, chunk.data[start:stop], chunk.offset + start, after, count, watermark, arrival)

    def close(self) -> None:
        """Closes the file."""
        self._chunks.close()
