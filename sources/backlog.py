"""What live streams have brought and nobody has taken yet, and the watermark that their liveness allows.

One thread receives and one reader takes; the :class:`Backlog` stands between them. It never looks at single records:
it keeps pieces of whole records as they were cut, and reads the event time of the first and the last record of a run.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from schemas.elements.block import NOTHING_IS_LATE, Block, Span, arrival_micros, now_micros
from schemas.record_type import Dialect, RecordType
from schemas.text.text_encoding import find_wide_encoding
from sources.reader import TimedBlock
from sources.watermark import Stream, Watermark, plausible_micros

if TYPE_CHECKING:
    from sources.line_cutter import Piece

_LOGGER = logging.getLogger(__name__)

Sniff = Callable[[bytes, RecordType], Dialect]

#: What a waiting piece costs beside its bytes, so that the bound holds for a flood of tiny packets too.
PIECE_OVERHEAD_BYTES = 512
#: In how many records at the head of a new stream an event time is looked for.
_HEAD_RECORDS = 8
#: Enough that no two readings of one table have the same.
_SCOPE_DIGITS = 16


class Backlog:
    """The pieces that wait, between one receiving thread and one reader.

    The thread calls :meth:`open`, :meth:`listened`, :meth:`receive`, :meth:`close` and :meth:`wait_for_room`; the
    reader calls :meth:`take`. Memory: ``max_waiting_bytes`` hold all that waits, whole and unfinished records of all
    streams together; on top of those comes one packet. The thread is asked to stop receiving there. Unfinished records
    may have half of it: beyond, that of the stream with the longest one is given up, and becomes a faulty one.

    Attributes:
        scope: the scope of its blocks (see :class:`schemas.elements.block.Block`): what was received here cannot be
        read again. records: how many were taken; a torn or overlong one counts as one.
        blocks: how many were taken.
        connections: how many streams have ever brought something.
        met: the addresses at which somebody was, whether or not that brought something; None where nobody knows, for
            an earlier reader was in another process.
    """

    def __init__(
        self,
        record_type: RecordType,
        watermark: Watermark,
        *,
        dialect: Dialect | None = None,
        sniff: Sniff | None = None,
        max_waiting_bytes: int = 32 << 20,
        wall_clock: Callable[[], int] = now_micros,
        arrivals: Callable[[], int] = arrival_micros,
        scope: str | None = None,
    ) -> None:
        """Take ``dialect`` for every stream, or else asks ``sniff`` once a stream, with its first line.

        Without a ``scope`` it makes one up.
        """
        self.scope = uuid.uuid4().hex[:_SCOPE_DIGITS] if scope is None else scope
        self.watermark = watermark
        self.records = self.blocks = self.connections = 0
        self.met: set[str] | None = set()
        self._record_type = record_type
        self._dialect = dialect
        self._sniff = sniff
        self._plain = dialect or Dialect(separator=record_type.separator)
        self._max_waiting_bytes = max_waiting_bytes
        self._wall_clock = wall_clock
        self._arrivals = arrivals
        self._waiting_bytes = 0
        #: The streams that have begun a record, by their identity, with its bytes so far; and all of these.
        self._unfinished: dict[int, tuple[Stream, int]] = {}
        self._unfinished_bytes = 0
        self._room = threading.Condition()
        self._streams: dict[int, Stream] = {}
        self._queue: deque[Stream] = deque()
        self._listened = -math.inf

    @property
    def waiting_bytes(self) -> int:
        """What waits, with its overhead."""
        return self._waiting_bytes

    @property
    def is_full(self) -> bool:
        """Whether receiving has to stop for now."""
        unfinished = min(self._unfinished_bytes, self._max_waiting_bytes // 2)
        return self._waiting_bytes >= self._max_waiting_bytes - unfinished

    def meet(self, address: str) -> None:
        """Note that somebody is at an address."""
        if self.met is not None:
            self.met.add(address)

    def missed(self, addresses: Iterable[str]) -> list[str]:
        """Return those addresses at which nobody ever was, each once; none where that is not known."""
        return [] if self.met is None else [each for each in dict.fromkeys(addresses) if each not in self.met]

    def open_streams(self) -> list[Stream]:
        """Return the streams of which more can come."""
        with self._room:
            return [stream for stream in self._streams.values() if stream.is_open]

    def open(self, stream: Stream) -> None:
        """Add a stream."""
        with self._room:
            self._streams[id(stream)] = stream

    def listened(self, heard: Iterable[Stream], now: float) -> None:
        """Note that all streams were looked at, and those in ``heard`` had something to read."""
        with self._room:
            self._listened = now
            for stream in heard:
                stream.heard = now

    def receive(self, stream: Stream, packet: bytes) -> None:
        """Add bytes of one stream, just as they came."""
        self._add(stream, stream.cutter.feed(packet))
        self._note_unfinished(stream)
        most = self._max_waiting_bytes // 2
        while self._unfinished_bytes > most and len(self._unfinished) > 1:
            longest, size = max(self._unfinished.values(), key=_size_of)
            _LOGGER.warning("%s has sent %d bytes without a line end: given up", longest.origin, size)
            fault = f"record without an end given up, as those of all peers have more than {most} bytes"
            self._add(longest, longest.cutter.give_up(fault))
            self._note_unfinished(longest)

    def _note_unfinished(self, stream: Stream) -> None:
        """Take down how much of a record a stream has that is not whole."""
        self._unfinished_bytes -= self._unfinished.pop(id(stream), (stream, 0))[1]
        if size := stream.cutter.unfinished_bytes:
            self._unfinished[id(stream)] = (stream, size)
            self._unfinished_bytes += size

    def close(self, stream: Stream, torn: str = "") -> None:
        """End a stream. Its unfinished record is a whole one, or a faulty one where ``torn`` says why."""
        self._add(stream, stream.cutter.end(torn))
        self._note_unfinished(stream)
        with self._room:
            stream.is_open = False

    def wait_for_room(self, seconds: float) -> bool:
        """Return whether there is room to receive more, after waiting for it for at most ``seconds``."""
        with self._room:
            return self._room.wait_for(lambda: not self.is_full, seconds)

    def take(self, max_bytes: int, max_records: int | None = None) -> TimedBlock | None:
        """Return what waits as one block, up to the limits but at least one record, or None; never blocks.

        The streams come in turn. A faulty record is a block of its own; streams of different dialects never share
        one.
        """
        with self._room:
            promised = self.watermark.value
            runs = self._pick(max_bytes, sys.maxsize if max_records is None else max_records)
            taken = None
            if runs:
                taken = self._block(runs, promised)
                self.blocks += 1
            self.watermark.move(self._streams.values(), self._listened)
            for key in [key for key, stream in self._streams.items() if not (stream.is_open or stream.pieces)]:
                del self._streams[key]
            self._room.notify_all()
        return taken

    def _add(self, stream: Stream, pieces: list[Piece]) -> None:
        """Queue new pieces of a stream, less its header row."""
        first = next((piece for piece in pieces if not piece.fault), None)
        if first is not None and stream.dialect is None:
            # Of a line end in UTF-16, which has a low byte first, the high one comes with the next line.
            is_cut = b"\0" in first.data and len(first.data) % 2 == 1
            if encoding := find_wide_encoding(first.data + b"\0" * is_cut):
                stream.fault = f"text in {encoding.upper()}, which has no lines of bytes: send UTF-8"
            stream.dialect = self._find_dialect(first.data[: first.data.find(b"\n") + 1])
            # What stands before the first record is at the beginning of the stream: it is told by its position.
            before = stream.dialect.skip
            pieces = [
                piece._replace(data=piece.data[max(0, before - piece.position) :], position=max(before, piece.position))
                for piece in pieces
                if piece.position + len(piece.data) > before
            ]
            stream.dialect = stream.dialect._replace(skip=0)
        if stream.fault:
            pieces = [line for piece in pieces for line in _reject(piece, stream.fault)]
        if not pieces:
            return
        arrival = self._arrivals()
        pieces = [piece._replace(arrival=arrival) for piece in pieces]
        promise = self._first_time(stream, pieces) if stream.promised is None else None
        with self._room:
            if not stream.has_brought:
                self.connections += 1
                if stream.is_connection:
                    stream.origin += f"#{self.connections}"
            stream.has_brought = True
            if stream.promised is None:
                stream.promised = promise
            if not stream.pieces:
                self._queue.append(stream)
            stream.pieces.extend(pieces)
            self._waiting_bytes += sum(len(piece.data) + PIECE_OVERHEAD_BYTES for piece in pieces)

    def _find_dialect(self, line: bytes) -> Dialect:
        """Return the dialect of a stream that begins with ``line``; the plain one where nobody can tell."""
        if self._dialect is None and self._sniff is not None:
            try:
                return self._sniff(line, self._record_type)
            except ValueError:
                return self._plain
        return self._plain

    def _first_time(self, stream: Stream, pieces: list[Piece]) -> int | None:
        """Return the event time of the first record that has one, among a few."""
        for piece in pieces:
            for record in () if piece.fault else piece.data.split(b"\n", _HEAD_RECORDS)[:_HEAD_RECORDS]:
                micros = self._event_time(record, stream.dialect, piece.arrival) if record else None
                if micros is not None:
                    return micros
        return None

    def _event_time(self, record: bytes, dialect: Dialect | None, arrival: int) -> int | None:
        """Return the event time of one record if it can be read and is plausible."""
        now = max(self._wall_clock(), self._arrivals())
        return plausible_micros(self._record_type, record, dialect or self._plain, arrival, now)

    def _pick(self, max_bytes: int, max_records: int) -> list[tuple[Stream, list[Piece]]]:
        """Take runs of pieces out of the queue: of one dialect, or a single faulty one."""
        runs: list[tuple[Stream, list[Piece]]] = []
        passed_over: list[Stream] = []
        while self._queue and max_bytes > 0 and max_records > 0:
            stream = self._queue.popleft()
            if runs and (stream.pieces[0].fault or stream.dialect != runs[0][0].dialect):
                passed_over.append(stream)
                continue
            run: list[Piece] = []
            while stream.pieces and max_bytes > 0 and max_records > 0:
                piece = stream.pieces[0]
                if piece.fault:
                    if not runs and not run:
                        run.append(stream.pieces.popleft())
                        self._waiting_bytes -= len(piece.data) + PIECE_OVERHEAD_BYTES
                        self.records += 1
                        max_bytes = 0
                    break
                end, count = _cut(piece.data, max_bytes, max_records, at_least_one=not (runs or run))
                max_bytes -= end
                max_records -= count
                self.records += count
                self._waiting_bytes -= end
                if end < len(piece.data):
                    stream.pieces[0] = piece._replace(data=piece.data[end:], position=piece.position + end)
                    max_bytes = 0
                else:
                    stream.pieces.popleft()
                    self._waiting_bytes -= PIECE_OVERHEAD_BYTES
                if end:
                    run.append(piece._replace(data=piece.data[:end]))
            if run:
                runs.append((stream, run))
            if stream.pieces and stream.pieces[0].fault:
                passed_over.append(stream)
            elif stream.pieces:
                self._queue.append(stream)
        self._queue.extendleft(reversed(passed_over))
        return runs

    def _block(self, runs: list[tuple[Stream, list[Piece]]], promised: int | None) -> TimedBlock:
        """Make a block of the runs, and tell the watermark of the event times in them."""
        spans = []
        parts = []
        start = 0
        first_time: int | None = None
        # A block has one arrival; the earliest, for the watermark is behind that of every record that waited.
        arrival = min(piece.arrival for _, run in runs for piece in run)
        for stream, run in runs:
            spans.append(Span(start, stream.origin, run[0].position))
            data = run[0].data if len(run) == 1 else b"".join([piece.data for piece in run])
            parts.append(data)
            start += len(data)
            if run[0].fault:
                continue
            last_line = data.rfind(b"\n", 0, len(data) - 1) + 1
            ends = [data[: data.find(b"\n")], data[last_line:]] if last_line else [data]
            times = [self._event_time(record, stream.dialect, arrival) for record in ends]
            if first_time is None and not parts[1:]:
                first_time = times[0]
            for micros in times:
                if micros is not None:
                    self.watermark.take(stream, micros)
        block = Block(
            data=parts[0] if len(parts) == 1 else b"".join(parts),
            spans=tuple(spans),
            dialect=runs[0][0].dialect or self._plain,
            watermark=NOTHING_IS_LATE if promised is None else promised,
            fault=runs[0][1][0].fault,
            arrival=arrival,
            scope=self.scope,
        )
        return TimedBlock(block, first_time)


def _size_of(unfinished: tuple[Stream, int]) -> int:
    return unfinished[1]


def _reject(piece: Piece, fault: str) -> Iterator[Piece]:
    """Yield a piece's lines, each with a fault, so that they count one by one."""
    if piece.fault:
        yield piece
        return
    start = 0
    while start < len(piece.data):
        stop = piece.data.find(b"\n", start) + 1
        yield piece._replace(data=piece.data[start:stop], position=piece.position + start, fault=fault)
        start = stop


def _cut(data: bytes, max_bytes: int, max_records: int, *, at_least_one: bool) -> tuple[int, int]:
    """Return how many bytes of ``data`` are the whole records within the limits, and how many records those are."""
    end = len(data)
    if end > max_bytes:
        end = data.rfind(b"\n", 0, max_bytes) + 1
        if not end and at_least_one:
            end = data.find(b"\n") + 1
    count = data.count(b"\n", 0, end)
    if count > max_records:
        end = 0
        for _ in range(max_records):
            end = data.find(b"\n", end) + 1
        count = max_records
    return end, count
