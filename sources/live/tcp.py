"""TCP as a source of lines: peers that we connect to, and peers that connect to us."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.record_type import RecordType
from sources import progress as board
from sources.address import Address
from sources.backlog import Backlog
from sources.line_cutter import LineCutter
from sources.live.sockets import (
    AddressError,
    SocketAddress,
    allow_many_files,
    bind,
    endpoint_of,
    reason_of,
    resolve,
    unusable,
)
from sources.live.source import PACKET_BYTES, POLL_SECONDS, STOPPED, LineSource, Receiver
from sources.watermark import Stream

_LOGGER = logging.getLogger(__name__)

LOST = "connection lost in mid-record"
#: The pause before a peer that refused, or brought nothing, is tried again: doubled from the first to the last.
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 5.0
#: After so long without a connection one warning is logged.
WARN_AFTER_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 10.0
_LISTEN_BACKLOG = 4_096
_ACCEPTED_AT_ONCE = 1_024


@dataclass(frozen=True)
class TcpLines(LineSource):
    r"""Reads records, each ended by ``\n``, from any number of TCP peers side by side, and emits them in blocks.

    ``tcp://host:port`` is connected to, and again whenever the peer closes: at once if it had brought something, else
    after a pause of 0.1 s that doubles up to 5 s. So a peer that keeps its connection works, and one that serves one
    record a connection. A peer that cannot be reached is tried again for ever; after 5 s a warning is logged, once.
    ``tcp-listen://host:port`` lets peers push, thousands at a time; port 0 is any free one, and ``receiver.bound`` of
    a reader that was started tells which. Where the stream ends by the idle time-out, and an address had no peer from
    beginning to end, that is a failure: see :attr:`TcpReceiver.complaint`.

    A block holds whole records only. The origin of a record is ``host:port#n``, its peer and the number of the
    connection, its position the offset in that connection. The last record of a connection closed in order may lack its
    line end. Other ways to end leave a faulty record: ``connection lost in mid-record`` after a reset, ``record longer
    than N bytes`` (its first 4 KiB; the connection goes on behind it), ``stopped in mid-record`` where we end first.
    What one peer does touches no other.

    While 32 MiB wait to be taken nothing is received, so that TCP makes the peers wait. The fields but the first are
    those of :class:`sources.live.source.LineSource`; the rules of the watermark are those of
    :class:`sources.watermark.Watermark`; start, end, and resuming are told by :class:`sources.live.source.LineReading`.

    >>> from schemas.tape import TAPE
    >>> from sources.address import parse_address
    >>> TcpLines((parse_address("tcp-listen://:0"),), TAPE, max_records=10).check()
    """

    addresses: tuple[Address, ...]
    record_type: RecordType

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: no address, one that is not TCP, or a limit that cannot be.
        """
        super().__post_init__()
        if not self.addresses:
            raise ValueError("expected an address such as tcp://host:port, got none")
        for address in self.addresses:
            if address.scheme not in ("tcp", "tcp-listen"):
                raise ValueError(f"expected tcp://host:port or tcp-listen://host:port, got {address.text!r}")

    def check(self) -> None:
        """Try every address once, without a connection: to be called before a job is submitted.

        Raises:
            AddressError: a port cannot be bound here, or a host has no address.
        """
        with contextlib.ExitStack() as stack:
            for address in self.addresses:
                if address.scheme == "tcp-listen":
                    # Bound, not listening: a peer that waits for the job shall not be accepted and dropped.
                    stack.enter_context(bind(address))
                else:
                    try:
                        resolve(address)
                    except OSError as error:
                        message = f"cannot connect to {address.text}: {reason_of(error)}; check the name of the host"
                        raise AddressError(message) from error

    def receiver(self, backlog: Backlog) -> TcpReceiver:
        """Return the thread that accepts, connects and receives."""
        return TcpReceiver(self, backlog)


class _Listener(NamedTuple):
    sock: socket.socket
    address: Address


@dataclass(eq=False)
class _Dial:
    """One peer that we connect to, again and again; ``places`` are those still to be tried this time."""

    address: Address
    places: list[SocketAddress] = field(default_factory=list)
    sock: socket.socket | None = None
    is_connected: bool = False
    has_lost: bool = False
    due: float = 0.0
    pause: float = 0.0
    failing_since: float | None = None
    failure: str = ""
    has_warned: bool = False


class _Line(NamedTuple):
    """One open connection."""

    sock: socket.socket
    stream: Stream
    dial: _Dial | None = None


class TcpReceiver(Receiver):
    """One thread for all connections of one reader.

    Attributes:
        bound: where it listens, once it is open: host and port in the order of the ``tcp-listen`` addresses.
    """

    def __init__(self, source: TcpLines, backlog: Backlog) -> None:
        """Open nothing yet."""
        super().__init__(backlog, source.clock, source.idle_timeout_seconds)
        self.bound: list[tuple[str, int]] = []
        self._source = source
        self._selector: selectors.BaseSelector | None = None
        self._packet = bytearray(min(PACKET_BYTES, max(source.max_block_bytes, 1 << 16)))
        self._dials = [_Dial(address) for address in source.addresses if address.scheme == "tcp"]
        self._deaf: list[_Listener] = []
        self._unended = 0

    @property
    def complaint(self) -> str:
        """Which addresses had no peer from beginning to end; empty where the end was not that of the idle time-out."""
        if not self.is_timed_out:
            return ""
        why = {dial.address.text: f" ({dial.failure})" for dial in self._dials if dial.failure}
        return "; ".join(
            f"{text} has not answered{why.get(text, '')}"
            if text.startswith("tcp:")
            else f"no peer has connected to {text}"
            for text in self.backlog.missed(address.text for address in self._source.addresses)
        )

    def open(self) -> None:
        """Bind and listens.

        Raises:
            AddressError: an address cannot be bound; nothing stays open.
        """
        allow_many_files()
        selector = self._selector = selectors.DefaultSelector()
        try:
            for address in self._source.addresses:
                if address.scheme != "tcp-listen":
                    continue
                sock = bind(address)
                selector.register(sock, selectors.EVENT_READ, _Listener(sock, address))
                sock.setblocking(False)
                try:
                    sock.listen(_LISTEN_BACKLOG)
                except OSError as error:
                    raise unusable(address, error) from error
                self.bound.append(sock.getsockname()[:2])
                _LOGGER.info("listening on %s:%d", *self.bound[-1])
                if not address.port:  # nobody could know it otherwise
                    board.note(f"listening on {endpoint_of(self.bound[-1])}")
        except OSError:
            self.hang_up(is_interrupted=True)
            raise

    def listen(self) -> bool:
        """Look once at every socket."""
        assert self._selector is not None  # noqa: S101 - opened before the thread was started
        before = self.clock()
        for listener in self._deaf:
            self._selector.register(listener.sock, selectors.EVENT_READ, listener)
        self._deaf.clear()
        for dial in self._dials:
            self._attend(dial, before)
        ready = self._selector.select(self._patience(before))
        now = self.clock()
        lines = [key.data for key, _ in ready if isinstance(key.data, _Line)]
        self.backlog.listened([line.stream for line in lines], now)
        for key, _ in ready:
            if isinstance(key.data, _Listener):
                self._accept(key.data)
            elif isinstance(key.data, _Dial):
                self._finish_dialling(key.data, now)
        has_brought = False
        for line in lines:
            if self.backlog.is_full:
                return True
            has_brought |= self._receive_from(line, now)
        return has_brought

    def hang_up(self, *, is_interrupted: bool) -> None:  # noqa: ARG002
        """Close every socket. The unfinished records are torn: a peer cannot be asked for the rest."""
        if self._selector is None:
            return
        for listener in self._deaf:
            listener.sock.close()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Line):
                self.backlog.close(key.data.stream, STOPPED)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._selector = None
        if self._unended:
            which = "1 connection" if self._unended == 1 else f"{self._unended:,} connections"
            board.note(f"{which} ended without a line end: what stood there was taken for a whole record")

    def _patience(self, now: float) -> float:
        """Return how long to wait for something to happen."""
        due = [dial.due for dial in self._dials if dial.sock is None]
        return max(0.0, min(POLL_SECONDS, min(due, default=now + POLL_SECONDS) - now))

    def _accept(self, listener: _Listener) -> None:
        """Accept the peers that wait."""
        assert self._selector is not None  # noqa: S101
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                sock, peer = listener.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # Most likely no files are left. The peer waits in the queue; to try again at once would spin.
                _LOGGER.warning("cannot accept at %s for now: %s", listener.address.text, reason_of(error))
                self._selector.unregister(listener.sock)
                self._deaf.append(listener)
                return
            sock.setblocking(False)
            self._connect(sock, endpoint_of(peer), listener.address, None)

    def _connect(self, sock: socket.socket, origin: str, address: Address, dial: _Dial | None) -> None:
        """Begin to receive from a connection."""
        assert self._selector is not None  # noqa: S101
        self.backlog.meet(address.text)
        board.add("connections", 1)
        with contextlib.suppress(OSError):  # it may be gone already, which the first read tells
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream = Stream(origin, LineCutter(self._source.max_record_bytes), is_connection=True)
        self.backlog.open(stream)
        self._selector.register(sock, selectors.EVENT_READ, _Line(sock, stream, dial))

    def _receive_from(self, line: _Line, now: float) -> bool:
        """Receive one packet of a connection, or its end."""
        try:
            count = line.sock.recv_into(self._packet)
        except BlockingIOError:
            return False
        except OSError:
            self._disconnect(line, now, LOST)
            return False
        if not count:
            self._disconnect(line, now)
            return False
        self.backlog.receive(line.stream, bytes(memoryview(self._packet)[:count]))
        return True

    def _disconnect(self, line: _Line, now: float, torn: str = "") -> None:
        """End a connection, and see to it that a peer of ours is connected to again."""
        assert self._selector is not None  # noqa: S101
        self._selector.unregister(line.sock)
        line.sock.close()
        self._unended += not torn and line.stream.cutter.is_in_record
        self.backlog.close(line.stream, torn)
        if line.dial is not None:
            line.dial.sock = None
            line.dial.is_connected = False
            line.dial.has_lost = True
            if line.stream.cutter.received:
                line.dial.pause, line.dial.due = 0.0, now
            else:
                _back_off(line.dial, now)

    def _attend(self, dial: _Dial, now: float) -> None:
        """Dial when it is time, give up when it takes too long, and warn when nobody answers."""
        waited = 0.0 if dial.failing_since is None else now - dial.failing_since
        if waited >= WARN_AFTER_SECONDS and not dial.has_warned:
            dial.has_warned = True
            _LOGGER.warning(
                "no connection to %s yet (%s); trying again until it answers", dial.address.text, dial.failure
            )
        if dial.sock is None:
            if now >= dial.due:
                self._dial(dial, now)
        elif not dial.is_connected and now >= dial.due:
            self._fail(dial, now, os.strerror(errno.ETIMEDOUT))

    def _dial(self, dial: _Dial, now: float) -> None:
        """Begin to connect to the next place of a peer."""
        assert self._selector is not None  # noqa: S101
        sock: socket.socket | None = None
        try:
            if not dial.places:
                dial.places = resolve(dial.address)
            place = dial.places.pop(0)
            sock = socket.socket(place.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(place.sockaddr)
        except OSError as error:
            if sock is not None:
                sock.close()
            self._fail(dial, now, reason_of(error))
            return
        dial.sock = sock
        dial.due = now + CONNECT_TIMEOUT_SECONDS
        self._selector.register(sock, selectors.EVENT_WRITE, dial)

    def _finish_dialling(self, dial: _Dial, now: float) -> None:
        """Find out whether the connection came about."""
        assert self._selector is not None  # noqa: S101
        assert dial.sock is not None  # noqa: S101
        code = dial.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            # Where nobody listens, a port of the range that connections begin from can be connected to itself.
            if not code and dial.sock.getsockname() == dial.sock.getpeername():
                code = errno.ECONNREFUSED
        except OSError as error:
            code = error.errno or errno.ENOTCONN
        if code:
            self._fail(dial, now, os.strerror(code))
            return
        self._selector.unregister(dial.sock)
        dial.is_connected, dial.failing_since, dial.has_warned = True, None, False
        dial.places.clear()
        if dial.has_lost:
            board.add("reconnects", 1)
        self._connect(dial.sock, dial.address.endpoint, dial.address, dial)

    def _fail(self, dial: _Dial, now: float, reason: str) -> None:
        """Let the next place of the peer be tried at once, or all of them after a pause."""
        if dial.sock is not None:
            assert self._selector is not None  # noqa: S101
            self._selector.unregister(dial.sock)
            dial.sock.close()
            dial.sock = None
        if dial.places:
            dial.due = now
            return
        _back_off(dial, now)
        dial.failing_since = now if dial.failing_since is None else dial.failing_since
        dial.failure = reason


def _back_off(dial: _Dial, now: float) -> None:
    dial.pause = min(LAST_PAUSE_SECONDS, dial.pause * 2 or FIRST_PAUSE_SECONDS)
    dial.due = now + dial.pause
