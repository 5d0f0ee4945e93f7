"""Files of delimited records as an unbounded source that ends: read as fast as possible, or replayed at a pace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from apache_beam.coders import Coder, registry
from apache_beam.io.unbounded_source import UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from schemas.records import RecordType
from sources import board
from sources.block import NOTHING_IS_LATE, Block, Span
from sources.chunks import Chunk, Piece, is_compressed, piece_size, read_chunks
from sources.drain import draining
from sources.pacing import Pace
from sources.scan import Lines, Offsets, event_times, find_lines

#: 16 MB are read, parsed and reduced in some 40 ms; smaller blocks cost more each, bigger ones only memory.
BLOCK_BYTES = 16 << 20
#: Below this a file is not worth splitting.
MIN_SPLIT_BYTES = 64 << 20
#: A paced replay looks so far ahead.
PACED_BYTES = 1 << 20


class FileMark(NamedTuple):
    """Where to go on: in which piece, at which offset, after how many records, with which watermark."""

    piece: int = 0
    offset: int = -1
    records: int = 0
    watermark: int = NOTHING_IS_LATE

    def finalize_checkpoint(self) -> None:
        """Files need no acknowledgement."""


registry.register_row(FileMark)


@dataclass(frozen=True)
class FileReplay(UnboundedSource):
    """Reads files and emits their records in blocks.

    Without a pace it is complete and has no order: it splits by file and byte range, its watermark stands still until
    the end, and so no record in it is late. With a pace, or with a limit to the number of records, it is one ordered
    stream, whose watermark is the greatest event time so far less ``disorder_micros``.

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
    """

    pieces: tuple[Piece, ...]
    record_type: RecordType
    pace: Pace = Pace()
    disorder_micros: int = 0
    max_records: int | None = None
    block_bytes: int = BLOCK_BYTES
    clock: Callable[[], float] = time.monotonic

    @property
    def is_ordered(self) -> bool:
        """Whether the records have to come one file after the other."""
        return self.pace.is_paced or self.max_records is not None

    def split(self, desired_num_splits: int, options: Any = None) -> list[FileReplay]:  # noqa: ARG002
        """Splits by file and byte range, into as many parts as there are processors."""
        wanted = min(desired_num_splits, os.cpu_count() or 1)
        if self.is_ordered or wanted == 1:
            return [self]
        shares: list[list[Piece]] = [[] for _ in range(wanted)]
        sizes = [0] * wanted
        for piece in self.pieces:
            for part in cut_piece(piece, wanted):
                least = sizes.index(min(sizes))
                shares[least].append(part)
                sizes[least] += piece_size(part)
        return [replace(self, pieces=tuple(share)) for share in shares if share]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> UnboundedReader:  # noqa: ARG002
        """Gives a reader at the first record, or at the first one after the mark."""
        mark = checkpoint_mark or FileMark()
        return _PacedReader(self, mark) if self.is_ordered else _FastReader(self, mark)

    def get_checkpoint_mark_coder(self) -> Coder:
        """Gives the coder of FileMark."""
        return registry.get_coder(FileMark)

    def default_output_coder(self) -> Coder:
        """Gives the coder of Block."""
        return registry.get_coder(Block)


def cut_piece(piece: Piece, parts: int) -> list[Piece]:
    """Cuts a piece into byte ranges of the same size, where it is long enough and can be read from its middle."""
    size = piece_size(piece)
    if is_compressed(piece.path) or size < MIN_SPLIT_BYTES:
        return [piece]
    bounds = [piece.start + size * part // parts for part in range(parts)]
    return [Piece(piece.path, start, stop) for start, stop in zip(bounds, [*bounds[1:], piece.stop], strict=True)]


class _Reader(UnboundedReader):
    """What both readers share: the block that is handed out, and the mark behind it."""

    def __init__(self, source: FileReplay, mark: FileMark) -> None:
        self._source = source
        self._mark = mark
        self._block: Block | None = None
        self._is_done = False

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        raise NotImplementedError

    def get_current(self) -> Block:
        if self._block is None:
            raise ValueError("no block: start or advance has to have been True")
        return self._block

    def get_current_timestamp(self) -> Timestamp:
        """The event time of the block's first record."""
        block = self.get_current()
        first = block.data[: block.data.find(b"\n") + 1 or len(block.data)]
        micros = self._source.record_type.event_micros(first, block.dialect)
        return Timestamp(micros=micros) if micros is not None else self._bound(self._mark.watermark)

    def get_watermark(self) -> Timestamp:
        return MAX_TIMESTAMP if self._is_done else self._bound(self._mark.watermark)

    def get_checkpoint_mark(self) -> FileMark:
        return self._mark

    @staticmethod
    def _bound(micros: int) -> Timestamp:
        return MIN_TIMESTAMP if micros == NOTHING_IS_LATE else Timestamp(micros=micros)

    def _hand_out(self, chunk: Chunk, data: bytes, offset: int, after: int, records: int, watermark: int) -> None:
        span = Span(0, self._source.pieces[chunk.piece].path, offset)
        self._block = Block(data, (span,), chunk.dialect, self._mark.watermark, fault=chunk.fault)
        self._mark = FileMark(chunk.piece, after, self._mark.records + records, watermark)
        board.add("bytes", after - offset)


class _FastReader(_Reader):
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
            self._is_done = True
            return False
        self._next = self._thread.submit(next, self._chunks, None)
        self._hand_out(chunk, chunk.data, chunk.offset, chunk.after, 0, NOTHING_IS_LATE)
        return True

    def close(self) -> None:
        """Waits for the read that is under way and closes the file."""
        self._thread.shutdown()
        self._chunks.close()


class _PacedReader(_Reader):
    """Hands out the lines of a chunk as they come due."""

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
            self._is_done = True
            return False
        elapsed = self._source.clock() - self._began
        count = self._schedule.due(elapsed, self._times[self._line :], most=self._left())
        if count == 0:
            return False
        self._take(count)
        return True

    def _left(self) -> int:
        waiting = len(self._times) - self._line
        most = self._source.max_records
        return waiting if most is None else min(waiting, most - self._mark.records)

    def _ensure_lines(self) -> bool:
        """Sees that there are lines that may still leave; False where there are no more."""
        while self._line == len(self._times):
            self._chunk = next(self._chunks, None)
            if self._chunk is None:
                return False
            data = self._chunk.data
            # A blank line is no record; it leaves with the record before it.
            self._lines = find_lines(data)
            self._times = event_times(data, self._lines, self._source.record_type, self._chunk.dialect)
            self._line = 0
        return self._left() > 0

    def _take(self, count: int) -> None:
        chunk = cast(Chunk, self._chunk)
        first, self._line = self._line, self._line + count
        start = int(self._lines.starts[first])
        is_whole = self._line == len(self._times)
        stop = len(chunk.data) if is_whole else int(self._lines.starts[self._line])
        after = chunk.after if is_whole else chunk.offset + stop
        greatest = int(self._times[first : self._line].max()) - self._source.disorder_micros
        self._hand_out(
            chunk, chunk.data[start:stop], chunk.offset + start, after, count, max(self._mark.watermark, greatest)
        )

    def close(self) -> None:
        """Closes the file."""
        self._chunks.close()
