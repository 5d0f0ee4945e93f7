"""Live streams of lines: what their sources and readers share, whatever they receive from."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.record_type import Dialect
from sources import progress as board
from sources.backlog import Backlog
from sources.drain import draining
from sources.reader import MarkCoder, Reading
from sources.source import BlockSource
from sources.watermark import Watermark

_LOGGER = logging.getLogger(__name__)

#: The most that is received at once. Large, because after each packet the thread may have to wait for the interpreter.
PACKET_BYTES = 1 << 20
#: How often a receiving thread looks whether it shall stop, and how long it listens at most before it looks again.
POLL_SECONDS = 0.05
#: Why a record is torn that was cut off by our own end.
STOPPED = "stopped in mid-record"
_MAX_PARKED = 16


class LineMark(NamedTuple):
    """Where a reader stood. A live stream cannot be rewound: this tells whose waiting records to go on with.

    Attributes:
        token: names the reader, and those that were resumed from it.
        records: how many it had handed out.
        blocks: in how many blocks.
        watermark: what it had promised, in microseconds, None for nothing.
        connections: how many had brought it something.
    """

    token: str
    records: int = 0
    blocks: int = 0
    watermark: int | None = None
    connections: int = 0

    def finalize_checkpoint(self) -> None:
        """There is nothing to acknowledge."""


class Receiver(threading.Thread):
    """The thread that receives for one reader. A subclass says how to open, to listen once, and to hang up.

    It ends by itself after ``idle_timeout_seconds`` without a byte (time in which the backlog was full does not
    count), when a drain was asked for, and when its input is exhausted.

    Attributes:
        failure: what went wrong in its thread.
        is_exhausted: whether its input has come to an end of its own.
        is_timed_out: whether it has ended because nothing came.
    """

    def __init__(self, backlog: Backlog, clock: Callable[[], float], idle_timeout_seconds: float | None) -> None:
        """Receive into ``backlog``."""
        super().__init__(name=type(self).__name__, daemon=True)
        self.backlog = backlog
        self.clock = clock
        self.failure: Exception | None = None
        self.is_exhausted = self.is_timed_out = False
        self._idle_timeout_seconds = idle_timeout_seconds
        self._stopping = threading.Event()
        self._finished = threading.Event()

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will be added to the backlog."""
        return self._finished.is_set()

    @property
    def complaint(self) -> str:
        """Why the input is a failure although it has ended without an error, in one line; empty if it is none."""
        return ""

    def open(self) -> None:
        """Open what has to be there from the start, in the thread of the reader, so that it can be refused."""

    def listen(self) -> bool:
        """Receive what is there, waiting for it for at most POLL_SECONDS; return whether anything came."""
        raise NotImplementedError

    def hang_up(self, *, is_interrupted: bool) -> None:
        """Close everything; ``is_interrupted`` where a later reader may go on with the backlog."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def run(self) -> None:
        """Receive until the end."""
        try:
            try:
                self._receive()
            finally:
                self.hang_up(is_interrupted=self._stopping.is_set())
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread: the reader raises it
            self.failure = error
        finally:
            self._finished.set()

    def _receive(self) -> None:
        heard = self.clock()
        while not (self._stopping.is_set() or self.is_exhausted or draining()):
            if not self.backlog.wait_for_room(POLL_SECONDS) or self.listen():
                heard = self.clock()
            elif self._idle_timeout_seconds is not None and self.clock() - heard >= self._idle_timeout_seconds:
                self.is_timed_out = True
                return


@dataclass(frozen=True, kw_only=True)
class LineSource(BlockSource):
    """What sources of lines share. A subclass is a frozen dataclass, and says how to receive.

    Attributes:
        max_record_bytes: a longer record is a fault.
        dialect: how every stream is written; None asks ``sniff``.
    """

    max_record_bytes: int = 1 << 20
    dialect: Dialect | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a limit is not positive, or the disorder is negative.
        """
        super().__post_init__()
        self.check_positive("max_record_bytes")

    def receiver(self, backlog: Backlog) -> Receiver:
        """Return the thread that receives for a new reader; it is not started."""
        raise NotImplementedError

    def begin(self, mark: LineMark | None) -> LineReading:
        """Return a reading that has opened nothing yet; with a mark, it goes on with what waited at the earlier one."""
        return LineReading(self, mark)

    def get_checkpoint_mark_coder(self) -> MarkCoder:
        """Return the coder of :class:`LineMark`."""
        return MarkCoder(LineMark)


class LineReading(Reading):
    """Hands out what a receiver has put into the backlog, one block at a time.

    ``open`` opens and starts the receiver, and raises an :class:`OSError` where that cannot be; of
    ``advance``, False means that nothing waits now. Neither ever waits. The end (False, and a watermark of
    MAX_TIMESTAMP) comes when everything was handed out after an idle time-out, a drain or an end of the input, or when
    ``max_records`` were handed out; the rest is then not read. Where the receiver has a complaint, that is noted at the
    end, by :func:`sources.progress.fail`, or raised where nobody looks. The watermark (see
    :class:`sources.watermark.Watermark`) moves in these two calls only.

    ``close`` may be called at any time and again; it ends the thread and frees its ports. If the stream had not ended,
    what waited is kept in this process for a reader that is created with a mark of this one, and goes on with exactly
    that; in another process nothing waits and a warning says so. What peers sent into sockets that were closed is lost,
    as TCP has it, and a block handed out after the last mark is the runner's.
    """

    #: What a complaint of the receiver is raised as.
    complaint_error: type[OSError] = OSError

    def __init__(self, source: LineSource, mark: LineMark | None = None) -> None:
        """Resume after ``mark``, if there is one."""
        self.token = uuid.uuid4().hex if mark is None else mark.token
        self._source = source
        self._is_closed = False
        backlog = None if mark is None else _take_parked(mark.token)
        if backlog is None:
            backlog = Backlog(
                # A copy: a record type that has cached something pickles otherwise, and Beam looks readers up by that.
                replace(source.record_type),
                Watermark(source.disorder_micros, mark and mark.watermark),
                dialect=source.dialect,
                sniff=source.sniff,
                wall_clock=source.wall_clock,
                arrivals=source.arrivals,
            )
            if mark is not None:
                backlog.records, backlog.blocks, backlog.connections = mark.records, mark.blocks, mark.connections
                backlog.met = None
                _LOGGER.warning(
                    "a reader goes on after %d records; what may have waited in the earlier one is not here and lost",
                    mark.records,
                )
        self.receiver = source.receiver(backlog)
        self._backlog = backlog

    @property
    def promised(self) -> int | None:
        """See :class:`BlockReader`."""
        return self._backlog.watermark.value

    def open(self) -> None:
        """Open the source and start to receive, if no earlier reader did."""
        if self.receiver.ident is None:
            self.receiver.open()
            self.receiver.start()

    def advance(self) -> bool:
        """Take what waits, if anything does."""
        limit = self._source.max_records
        left = None if limit is None else limit - self._backlog.records
        if left is not None and left <= 0:
            self._end(has_enough=True)
            return False
        is_last = self.receiver.is_finished  # asked before the backlog, which may still grow until then
        taken = self._backlog.take(self._source.max_block_bytes, left)
        if taken is not None:
            self.taken = taken
            board.add("bytes", len(taken.block.data))
            return True
        if is_last:
            if self.receiver.failure is not None:
                raise self.receiver.failure
            self._end()
        return False

    def mark(self) -> LineMark:
        """Return the mark of everything handed out so far. There is nothing to acknowledge."""
        log = self._backlog
        return LineMark(self.token, log.records, log.blocks, log.watermark.value, log.connections)

    def close(self) -> None:
        """End the thread, close what it had open, and keep what waits."""
        if self._is_closed:
            return
        self._is_closed = True
        self.receiver.stop()
        if self.receiver.ident is not None:
            self.receiver.join()
        else:
            self.receiver.hang_up(is_interrupted=True)
        log = self._backlog
        if not self.is_ended and (log.connections or log.met or log.open_streams()):
            _park(self.token, self._backlog)

    def waiting(self) -> board.Waiting:
        """Return what was received and not taken."""
        return board.Waiting(self._backlog.waiting_bytes)

    def is_at(self, mark: LineMark) -> bool:  # noqa: ARG002
        """Return True: what waits is the next reader's, wherever the mark was taken."""
        return True

    def _end(self, *, has_enough: bool = False) -> None:
        complaint = "" if has_enough else self.receiver.complaint
        if complaint and not board.fail(complaint):
            raise self.complaint_error(complaint)
        self.is_ended = True
        self.receiver.stop()


# What waited in readings that were closed before their end, by token.
_PARKED: dict[str, Backlog] = {}
_PARKING = threading.Lock()


def _park(token: str, backlog: Backlog) -> None:
    with _PARKING:
        _PARKED[token] = backlog
        dropped = [_PARKED.pop(oldest) for oldest in list(_PARKED)[:-_MAX_PARKED]]
    for lost in dropped:
        if lost.waiting_bytes:
            _LOGGER.warning("nobody came back for a closed reader: %d waiting bytes are lost", lost.waiting_bytes)


def _take_parked(token: str) -> Backlog | None:
    """Return what waited in the reader of that token when it was closed."""
    with _PARKING:
        return _PARKED.pop(token, None)
