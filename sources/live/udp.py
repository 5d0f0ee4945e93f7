"""UDP as a source of lines: peers that send us datagrams, and how many of those were lost."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import time
from dataclasses import dataclass, field

import numpy as np

from schemas.forms.form import SEQUENCE_DIGITS
from schemas.record_type import Dialect, RecordType
from sources import progress as board
from sources.address import Address
from sources.backlog import Backlog
from sources.line_cutter import LineCutter
from sources.live.datagrams import MAX_DATAGRAMS, Datagrams, Received, datagrams_of, dropped, dropped_since, widen
from sources.live.sockets import bind, endpoint_of
from sources.live.source import POLL_SECONDS, LineSource, Receiver
from sources.watermark import Stream

#: The receive buffer that is asked for. A datagram takes some 700 bytes of it beside its own.
RECEIVE_BUFFER_BYTES = 32 << 20
#: A peer that was silent for so long is forgotten; should it come back, it is another one.
FORGET_SECONDS = 60.0
#: After a packet the thread pauses, so that there are many at its next look, not one.
_PAUSE_SECONDS = 0.002
#: A longer sequence number would not fit into 64 bits.


@dataclass(frozen=True)
class UdpLines(LineSource):
    r"""Reads records from the datagrams that any number of peers send to us, and emits them in blocks.

    A datagram, of up to 65,507 bytes, holds one or several whole records, each ended by ``\n``; the last one may lack
    it. The origin of a record is ``host:port/udp#n``, its peer and the number that this has here, its position the
    offset in what came from there.

    UDP loses datagrams. Those that found no room in the receive buffer (it is made as big as the system allows) are
    counted by the kernel, and that count is read; while 32 MiB wait to be taken nothing is received, and what comes
    then finds no room either. Where the records carry a sequence number, of each peer its own, ``sequence`` names the
    column: those missing between the least and the greatest are counted, wherever they were lost, and those that came
    behind a greater one. The counts are on the board (``datagrams``, ``dropped``, ``missing``, ``reordered``), are
    attributes of the receiver, and are told in one line at the end.

    The fields but the first and the last are those of :class:`sources.live.source.LineSource`; the rules of the
    watermark are those of :class:`sources.watermark.Watermark`; start, end, and resuming are told by
    :class:`sources.live.source.LineReading`. What waits in the system when a reader is closed is lost.

    >>> from schemas.tape import TAPE
    >>> from sources.address import parse_address
    >>> UdpLines((parse_address("udp-listen://:0"),), TAPE, max_records=10).check()
    """

    addresses: tuple[Address, ...]
    record_type: RecordType
    sequence: str = ""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: no address, one that cannot be received at, no such column, or a limit that cannot be.
        """
        super().__post_init__()
        if not self.addresses:
            raise ValueError("expected an address such as udp-listen://host:port, got none")
        for address in self.addresses:
            if address.scheme != "udp-listen":
                raise ValueError(f"expected udp-listen://host:port, got {address.text!r}")
        if self.sequence:
            sequence_pattern(self.sequence, self.record_type, None)

    def check(self) -> None:
        """Bind every address once: to be called before a job is submitted.

        Raises:
            AddressError: a port cannot be bound here.
        """
        with contextlib.ExitStack() as stack:
            for address in self.addresses:
                stack.enter_context(bind(address, socket.SOCK_DGRAM))

    def receiver(self, backlog: Backlog) -> UdpReceiver:
        """Return the thread that receives."""
        return UdpReceiver(self, backlog)


class Gaps:
    """Counts what is missing in numbers that should go up by one. Pure.

    >>> gaps = Gaps()
    >>> gaps.take(np.array([5, 6, 9, 8]))
    >>> gaps.missing, gaps.reordered
    (1, 1)

    Attributes:
        missing: between the least and the greatest so far, as RFC 3550 counts (A.3): a number that comes twice makes
            up for one that is missing.
        reordered: that came behind a greater one.
    """

    def __init__(self) -> None:
        """Have seen nothing."""
        self.missing = self.reordered = 0
        self._least: int | None = None
        self._greatest = -1
        self._count = 0

    def take(self, numbers: np.ndarray) -> None:
        """Note the numbers in the order in which they came."""
        if not len(numbers):
            return
        greatest = np.maximum.accumulate(numbers)
        self.reordered += int((numbers < np.maximum(greatest, self._greatest)).sum())
        self._greatest = max(self._greatest, int(greatest[-1]))
        least = int(numbers.min())
        self._least = least if self._least is None else min(self._least, least)
        self._count += len(numbers)
        self.missing = max(0, self._greatest - self._least + 1 - self._count)


@dataclass(eq=False)
class _Mailbox:
    """One socket."""

    sock: socket.socket
    datagrams: Datagrams
    address: str
    dropped: int | None = 0


@dataclass(eq=False)
class _Peer:
    """One peer at one socket."""

    stream: Stream
    gaps: Gaps = field(default_factory=Gaps)


class UdpReceiver(Receiver):
    """One thread for all datagrams of one reader.

    Attributes:
        bound: where it receives, once it is open: host and port in the order of the addresses.
        buffer_bytes: the receive buffers that were granted, in that order.
        datagrams: how many came, empty ones not counted.
        dropped: how many found no room in a receive buffer.
        missing: how many records did not come, by their sequence numbers.
        reordered: how many came behind a later one.
    """

    def __init__(self, source: UdpLines, backlog: Backlog) -> None:
        """Open nothing yet."""
        super().__init__(backlog, source.clock, source.idle_timeout_seconds)
        self.bound: list[tuple[str, int]] = []
        self.buffer_bytes: list[int] = []
        self.datagrams = self.dropped = self.missing = self.reordered = 0
        self._source = source
        self._selector: selectors.BaseSelector | None = None
        self._peers: dict[tuple[int, bytes], _Peer] = {}
        self._patterns: dict[Dialect | None, re.Pattern[bytes]] = {}
        self._swept = source.clock()

    @property
    def complaint(self) -> str:
        """Which addresses never got a datagram; empty where the end was not that of the idle time-out."""
        if not self.is_timed_out:
            return ""
        missed = self.backlog.missed(address.text for address in self._source.addresses)
        return "; ".join(f"no datagram has come to {text}" for text in missed)

    def open(self) -> None:
        """Bind the sockets.

        Raises:
            AddressError: an address cannot be bound; nothing stays open.
        """
        self._selector = selectors.DefaultSelector()
        try:
            for address in self._source.addresses:
                sock = bind(address, socket.SOCK_DGRAM)
                self._selector.register(sock, selectors.EVENT_READ, _Mailbox(sock, datagrams_of(sock), address.text))
                self.buffer_bytes.append(widen(sock, RECEIVE_BUFFER_BYTES))
                self.bound.append(sock.getsockname()[:2])
                where = endpoint_of(self.bound[-1])
                board.note(f"listening on {where} (UDP), with a receive buffer of {self.buffer_bytes[-1]:,} bytes")
        except OSError:
            self.hang_up(is_interrupted=True)
            raise

    def listen(self) -> bool:
        """Take what waits at every socket."""
        assert self._selector is not None  # noqa: S101 - opened before the thread was started
        ready: list[_Mailbox] = [key.data for key, _ in self._selector.select(POLL_SECONDS)]
        now = self.clock()
        self._forget(now)
        if not ready:
            self.backlog.listened([], now)
        before, is_behind = self.datagrams, False
        for mailbox in ready:
            if not self.backlog.is_full:
                received = mailbox.datagrams.receive()
                if received:
                    self.backlog.meet(mailbox.address)
                self._take(mailbox, received, now)
                is_behind |= sum(each.datagrams for each in received) == MAX_DATAGRAMS
            self._count_dropped(mailbox)
        if ready and not is_behind:
            time.sleep(_PAUSE_SECONDS)
        return self.datagrams > before

    def hang_up(self, *, is_interrupted: bool) -> None:  # noqa: ARG002
        """Close the sockets and tell what was lost. No record is torn: a datagram has whole ones."""
        if self._selector is None:
            return
        for peer in self._peers.values():
            self.backlog.close(peer.stream)
        for key in list(self._selector.get_map().values()):
            self._count_dropped(key.data)
            key.data.sock.close()
        self._selector.close()
        self._selector = None
        if self.bound:
            where = ", ".join(map(endpoint_of, self.bound))
            told = f"{where}: {self.datagrams:,} datagrams received, {self.dropped:,} dropped by the kernel"
            if self._source.sequence:
                told += (
                    f"; by {self._source.sequence!r}, {self.missing:,} records missing, {self.reordered:,} reordered"
                )
            board.note(told)

    def _take(self, mailbox: _Mailbox, received: list[Received], now: float) -> None:
        """Add what peers sent to the backlog."""
        peers = [self._peer(mailbox, each.peer) for each in received]
        self.backlog.listened([peer.stream for peer in peers], now)
        count = 0
        for peer, each in zip(peers, received, strict=True):
            self.backlog.receive(peer.stream, each.data)
            count += each.datagrams
            if self._source.sequence:
                self._count_missing(peer, each.data)
        self.datagrams += count
        board.add("datagrams", count)

    def _peer(self, mailbox: _Mailbox, name: bytes) -> _Peer:
        """Return the stream of a peer, a new one if it is not known."""
        key = (mailbox.sock.fileno(), name)
        peer = self._peers.get(key)
        if peer is None:
            # A TCP peer of the same run may have the same host and port.
            origin = f"{endpoint_of(mailbox.datagrams.name(name))}/udp"
            stream = Stream(origin, LineCutter(self._source.max_record_bytes), is_connection=True)
            peer = self._peers[key] = _Peer(stream)
            self.backlog.open(peer.stream)
        return peer

    def _forget(self, now: float) -> None:
        """Close the streams of peers that have been silent for long, now and then."""
        if now - self._swept < FORGET_SECONDS:
            return
        self._swept = now
        for key, peer in list(self._peers.items()):
            if now - peer.stream.heard >= FORGET_SECONDS:
                self.backlog.close(peer.stream)
                del self._peers[key]

    def _count_dropped(self, mailbox: _Mailbox) -> None:
        """Note what the kernel has dropped since the last look."""
        now = dropped(mailbox.sock)
        if now is not None and mailbox.dropped is not None:
            more = dropped_since(mailbox.dropped, now)
            self.dropped += more
            board.add("dropped", more)
        mailbox.dropped = now

    def _count_missing(self, peer: _Peer, data: bytes) -> None:
        """Note the sequence numbers of records that have just come."""
        missing, reordered = peer.gaps.missing, peer.gaps.reordered
        dialect = peer.stream.dialect
        pattern = self._patterns.get(dialect)
        if pattern is None:
            pattern = self._patterns[dialect] = sequence_pattern(
                self._source.sequence, self._source.record_type, dialect
            )
        peer.gaps.take(np.array(pattern.findall(data), dtype=f"S{SEQUENCE_DIGITS}").astype(np.int64))
        missing, reordered = peer.gaps.missing - missing, peer.gaps.reordered - reordered
        self.missing += missing
        self.reordered += reordered
        board.add("missing", missing)
        board.add("reordered", reordered)


def sequence_pattern(name: str, record_type: RecordType, dialect: Dialect | None) -> re.Pattern[bytes]:
    """Return what finds the sequence number of each record; one record has at most one.

    Raises:
        ValueError: records have none.
    """
    dialect = dialect or Dialect(record_type.separator)
    return record_type.form.sequence_pattern(record_type.field(name, dialect))
