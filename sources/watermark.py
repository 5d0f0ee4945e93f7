"""Streams of one source, and the watermark that is behind all of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

from schemas.elements.block import PLAUSIBLE_AHEAD_MICROS
from schemas.record_type import Dialect, RecordType
from schemas.times import MICROS_PER_SECOND
from sources.line_cutter import LineCutter, Piece

#: A stream that brought nothing for so long is silent, and no longer holds the watermark of the others.
SILENCE_SECONDS = 0.25
_DAY_MICROS = 86_400 * MICROS_PER_SECOND
# The last day before Beam's end of time closes its global window, and the end itself means "finished".
_EARLIEST_MICROS = MIN_TIMESTAMP.micros + _DAY_MICROS
_LATEST_MICROS = MAX_TIMESTAMP.micros - 2 * _DAY_MICROS


def plausible_micros(record_type: RecordType, record: bytes, dialect: Dialect, arrival: int, now: int) -> int | None:
    """Return the event time of one record, or None where it cannot be read, or not be believed at the time ``now``."""
    try:
        micros = record_type.event_micros(record, dialect, arrival)
    except ValueError:  # a header row without the event time
        return None
    latest = min(_LATEST_MICROS, now + PLAUSIBLE_AHEAD_MICROS)
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
        fault: why no record of it can be used; empty where they can.
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
    fault: str = ""


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
        """Start at ``value``, where an earlier reader had promised that; None has promised nothing."""
        self.value = value
        self._disorder_micros = disorder_micros
        self._greatest: int | None = None

    def take(self, stream: Stream, micros: int) -> None:
        """Note the event time of a record that was taken from ``stream``."""
        stream.promised = micros if stream.promised is None else max(stream.promised, micros)
        self._greatest = micros if self._greatest is None else max(self._greatest, micros)

    def move(self, streams: Iterable[Stream], listened: float) -> int | None:
        """Move on as far as the streams allow and return the value; ``listened`` is when they were last looked at."""
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
