"""What live streams have brought and nobody has taken yet, and the watermark that their liveness allows.

One thread receives and one reader takes; the :class:`Backlog` stands between them. It never looks at single records:
it keeps pieces of whole records as they were cut, and reads the event time of the first and the last record of a run.
"""

from __future__ import annotations

import math
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

from schemas.records import Dialect, RecordType
from schemas.units import MICROS_PER_SECOND
from sources.block import BELIEVED_AHEAD_MICROS, NOTHING_IS_LATE, Block, Span, now_micros

if TYPE_CHECKING:
    from sources.lines import LineCutter, Piece

Sniff = Callable[[bytes, RecordType], Dialect]

#: A stream that brought nothing for so long is silent, and no longer holds the watermark of the others.
SILENCE_SECONDS = 0.25
#: What a waiting piece costs beside its bytes, so that the bound holds for a flood of tiny packets too.
PIECE_OVERHEAD_BYTES = 512
#: In how many records at the head of a new stream an event time is looked for.
_HEAD_RECORDS = 8
#: Enough that no two readings of one table have the same.
_SCOPE_DIGITS = 16
_DAY_MICROS = 86_400 * MICROS_PER_SECOND
# The last day before Beam's end of time closes its global window, and the end itself means "finished".
_EARLIEST_MICROS = MIN_TIMESTAMP.micros + _DAY_MICROS
_LATEST_MICROS = MAX_TIMESTAMP.micros - 2 * _DAY_MICROS


def believed_micros(record_type: RecordType, record: bytes, dialect: Dialect, arrival: int, now: int) -> int | None:
    """Gives the event time of one record, or None where it cannot be read, or not be believed at the time ``now``."""
    try:
        micros = record_type.event_micros(record, dialect, arrival)
    except ValueError:  # a header row without the event time
        return None
    latest = min(_LATEST_MICROS, now + BELIEVED_AHEAD_MICROS)
    return micros if micros is not None and _EARLIEST_MICROS <= micros <= latest else None


@dataclass(eq=False)
class Stream:
    """One stream of bytes: a connection, or the standard input.

    Attributes:
        origin: what records from here say of where they came from; of a connection, its number among those that have
            brought something is added to it, for a peer may come again.
        cutter: cuts the bytes into pieces; only the receiving thread may use it.
        dialect: how its records are written, None until its first whole record is there.
        pieces: what was received and not taken.
        heard: when it last had bytes to read.
        is_open: whether more can come.
        has_brought: whether a piece of it was ever there.
        promised: the greatest event time taken from it; before the first take, that of its first record.
        is_connection: whether it is one of many of its kind, that may have the same name.
    """

    origin: str
    cutter: LineCutter
    dialect: Dialect | None = None
    pieces: deque[Piece] = field(default_factory=deque)
    heard: float = -math.inf
    is_open: bool = True
    has_brought: bool = False
    promised: int | None = None
    is_connection: bool = False


class Watermark:
    """The event time that a source of many streams may promise. Pure: times are given to it, nothing is locked.

    It is the least event time reached by the streams that count, less ``disorder_micros``, and never goes back. A
    stream counts while records of it wait, and while it is open and was heard within :data:`SILENCE_SECONDS`: one
    silent register does not hold the others. Where none counts, it is the greatest event time taken from any. Only
    records that were taken move it, so it cannot overtake one that still waits inside the program.

    What that gives: as long as each stream is in order within ``disorder_micros``, no record of a stream that keeps
    talking is behind the watermark. A stream that was silent, or is new, may come behind the others; how far is for
    the pipeline's allowed lateness to say, and later ones are counted as late there, never dropped here. Silence is
    measured from look to look at the sockets, not by the wall clock alone: time in which nobody looked (back-pressure,
    a busy machine) does not make a stream silent.

    A wrong time in the future is believed, if it is the first or last of a run: then the right ones after it are late.
    To doubt every leap would be no more exact, since a stream that leaps over a closed weekend looks the same. Times
    that Beam cannot represent, or that would mean its end of time, are never believed.

    Where the record type allows records without a time, the time of one is its arrival, here too.

    >>> watermark = Watermark(disorder_micros=5)
    >>> watermark.take(Stream("a", cutter=None), 100)
    >>> watermark.move([], listened=0.0)
    95
    """

    def __init__(self, disorder_micros: int = 0, value: int | None = None) -> None:
        """Starts at ``value``, where an earlier reader had promised that; None has promised nothing."""
        self.value = value
        self._disorder_micros = disorder_micros
        self._greatest: int | None = None

    def take(self, stream: Stream, micros: int) -> None:
        """Notes the event time of a record that was taken from ``stream``."""
        stream.promised = micros if stream.promised is None else max(stream.promised, micros)
        self._greatest = micros if self._greatest is None else max(self._greatest, micros)

    def move(self, streams: Iterable[Stream], listened: float) -> int | None:
        """Moves on as far as the streams allow and gives the value; ``listened`` is when they were last looked at."""
        holding = [
            stream.promised
            for stream in streams
            if stream.promised is not None
            and (stream.pieces or (stream.is_open and listened - stream.heard < SILENCE_SECONDS))
        ]
        reached = min(holding) if holding else self._greatest
        if reached is not None:
            reached -= self._disorder_micros
            self.value = reached if self.value is None else max(self.value, reached)
        return self.value


class Taken(NamedTuple):
    """A block that was taken, and the event time of its first record where that could be read."""

    block: Block
    micros: int | None


class Backlog:
    """The pieces that wait, between one receiving thread and one reader.

    The thread calls :meth:`open`, :meth:`listened`, :meth:`receive`, :meth:`close` and :meth:`wait_for_room`; the
    reader calls :meth:`take`. Memory: the thread is asked to stop receiving at ``max_waiting_bytes``; on top of those
    come one packet, and up to a record's limit for each open stream, as unfinished records have to be waited for.

    Attributes:
        scope: the scope of its blocks (see :class:`sources.block.Block`): what was received here cannot be read again.
        records: how many were taken; a torn or overlong one counts as one.
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
        scope: str | None = None,
    ) -> None:
        """Takes ``dialect`` for every stream, or else asks ``sniff`` once a stream, with its first line.

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
        self._waiting_bytes = 0
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
        return self._waiting_bytes >= self._max_waiting_bytes

    def meet(self, address: str) -> None:
        """Notes that somebody is at an address."""
        if self.met is not None:
            self.met.add(address)

    def missed(self, addresses: Iterable[str]) -> list[str]:
        """Return those addresses at which nobody ever was, each once; none where that is not known."""
        return [] if self.met is None else [each for each in dict.fromkeys(addresses) if each not in self.met]

    def open_streams(self) -> list[Stream]:
        """Gives the streams of which more can come."""
        with self._room:
            return [stream for stream in self._streams.values() if stream.is_open]

    def open(self, stream: Stream) -> None:
        """Adds a stream."""
        with self._room:
            self._streams[id(stream)] = stream

    def listened(self, heard: Iterable[Stream], now: float) -> None:
        """Notes that all streams were looked at, and those in ``heard`` had something to read."""
        with self._room:
            self._listened = now
            for stream in heard:
                stream.heard = now

    def receive(self, stream: Stream, packet: bytes) -> None:
        """Adds bytes of one stream, just as they came."""
        self._add(stream, stream.cutter.feed(packet))

    def close(self, stream: Stream, torn: str = "") -> None:
        """Ends a stream. Its unfinished record is a whole one, or a faulty one where ``torn`` says why."""
        self._add(stream, stream.cutter.end(torn))
        with self._room:
            stream.is_open = False

    def wait_for_room(self, seconds: float) -> bool:
        """Tells whether there is room to receive more, after waiting for it for at most ``seconds``."""
        with self._room:
            return self._room.wait_for(lambda: not self.is_full, seconds)

    def take(self, max_bytes: int, max_records: int | None = None) -> Taken | None:
        """Gives what waits as one block, up to the limits but at least one record, or None; never blocks.

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
        """Queues new pieces of a stream, less its header row."""
        first = next((piece for piece in pieces if not piece.fault), None)
        if first is not None and stream.dialect is None:
            stream.dialect = self._find_dialect(first.data[: first.data.find(b"\n") + 1])
            # What stands before the first record is at the beginning of the stream: it is told by its position.
            before = stream.dialect.skip
            pieces = [
                piece._replace(data=piece.data[max(0, before - piece.position) :], position=max(before, piece.position))
                for piece in pieces
                if piece.position + len(piece.data) > before
            ]
            stream.dialect = stream.dialect._replace(skip=0)
        if not pieces:
            return
        arrival = self._wall_clock()
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
        """Gives the dialect of a stream that begins with ``line``; the plain one where nobody can tell."""
        if self._dialect is None and self._sniff is not None:
            try:
                return self._sniff(line, self._record_type)
            except ValueError:
                return self._plain
        return self._plain

    def _first_time(self, stream: Stream, pieces: list[Piece]) -> int | None:
        """Gives the event time of the first record that has one, among a few."""
        for piece in pieces:
            for record in () if piece.fault else piece.data.split(b"\n", _HEAD_RECORDS)[:_HEAD_RECORDS]:
                micros = self._event_time(record, stream.dialect, piece.arrival) if record else None
                if micros is not None:
                    return micros
        return None

    def _event_time(self, record: bytes, dialect: Dialect | None, arrival: int) -> int | None:
        """Gives the event time of one record if it can be read and believed."""
        return believed_micros(self._record_type, record, dialect or self._plain, arrival, self._wall_clock())

    def _pick(self, max_bytes: int, max_records: int) -> list[tuple[Stream, list[Piece]]]:
        """Takes runs of pieces out of the queue: of one dialect, or a single faulty one."""
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

    def _block(self, runs: list[tuple[Stream, list[Piece]]], promised: int | None) -> Taken:
        """Makes a block of the runs and tells the watermark of the event times in them."""
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
        return Taken(block, first_time)


def _cut(data: bytes, max_bytes: int, max_records: int, *, at_least_one: bool) -> tuple[int, int]:
    """Gives how many bytes of ``data`` are the whole records within the limits, and how many records those are."""
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
