"""Outlets: where a simulator's records go. They know nothing of what the records are.

A file, the standard output, a listener that is pushed to; :mod:`simulators.listeners` and :mod:`simulators.broadcast`
have those that are connected to, :mod:`simulators.datagrams` what UDP needs.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from schemas.kafka import KafkaSecurity
from schemas.units import MICROS_PER_SECOND
from schemas.values import ValueFormat
from simulators.batch import Stream, Streams
from simulators.broadcast import serve_shared
from simulators.datagrams import DEFAULT_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES, datagrams_to, packed
from simulators.files import replaced
from simulators.listeners import serve_pieces, serve_streams
from simulators.metering import Clock, metered
from simulators.topics import to_folder, to_topics
from sources.address import Address
from sources.pacing import Pace

DEFAULT_CONNECT_TIMEOUT = 30 * MICROS_PER_SECOND
FIRST_BACK_OFF_SECONDS = 0.1
LAST_BACK_OFF_SECONDS = 5.0
#: What can be sent to.
SCHEMES = ("file", "-", "tcp", "tcp-listen", "udp", "kafka")


@dataclass(frozen=True)
class Outlet:
    """Where records go and how.

    Attributes:
        address: a file, a folder (its path ends in ``/``), ``-``, ``tcp://host:port``, ``tcp-listen://host:port``,
            ``udp://host:port`` or ``kafka://host:port/topic``.
        pace: how fast.
        per_connection: records for each connection that is accepted; None serves the whole stream to each.
        once: whether a listener ends when the first client has got its full stream.
        shared: whether all clients of a listener get one stream, each from where it is when they come.
        connect_timeout_micros: how long a listener that is pushed to may take to come up.
        datagram_bytes: records are put into one datagram up to this size; None takes a usual size.
        security: how to get in at the brokers of ``kafka``.
        values: how the values of messages are written there.
        announce: is told where we listen, once we do.
        clock: measures the pace; stopping it ends the sending.
    """

    address: Address
    pace: Pace = Pace()
    per_connection: int | None = None
    once: bool = False
    shared: bool = False
    connect_timeout_micros: int = DEFAULT_CONNECT_TIMEOUT
    datagram_bytes: int | None = None
    security: KafkaSecurity = KafkaSecurity()
    values: ValueFormat = ValueFormat()
    announce: Callable[[Address], None] = lambda _: None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Checks that the options fit the address.

        Raises:
            ValueError: they do not.
        """
        if self.per_connection is not None and self.per_connection < 1:
            raise ValueError(f"per-connection must be 1 or more, got {self.per_connection}")
        ways = {"per-connection": self.per_connection is not None, "once": self.once, "shared": self.shared}
        given = [name for name, is_given in ways.items() if is_given]
        if given and self.address.scheme != "tcp-listen":
            raise ValueError(f"{given[0]} is for tcp-listen:// addresses, got {self.address.text!r}")
        if len(given) > 1:
            raise ValueError(f"give one of per-connection, once and shared, got {' and '.join(given)}")
        if self.address.scheme not in SCHEMES:
            known = ", ".join(f"{name}://" for name in SCHEMES[2:])
            raise ValueError(f"expected a file, - or one of {known} to send to, got {self.address.text!r}")
        if self.datagram_bytes is not None:
            if self.address.scheme != "udp":
                raise ValueError(f"datagram is for udp:// addresses, got {self.address.text!r}")
            if not 0 <= self.datagram_bytes <= MAX_DATAGRAM_BYTES:
                raise ValueError(f"datagram must be 0 to {MAX_DATAGRAM_BYTES} bytes, got {self.datagram_bytes}")

    @property
    def has_ways(self) -> bool:
        """Whether records go several ways, so that their stream has to have a route."""
        address = self.address
        return (address.scheme == "kafka" and not address.topics) or is_folder(address)

    def deliver(self, streams: Streams) -> int:
        """Sends streams until there is nothing left to do, and gives the number of records of the last one.

        ``streams`` is called once for each run through the records. A file is whole or not there at all.

        Raises:
            OSError: the file, the address or the peer fails.
        """
        address = self.address
        if address.scheme == "tcp-listen":
            return self._serve(streams)
        ways = {"file": _to_file, "-": _to_stdout, "tcp": _push, "udp": _to_datagrams, "kafka": to_topics}
        return (to_folder if is_folder(address) else ways[address.scheme])(streams(), self)

    def _serve(self, streams: Streams) -> int:
        address, pace, clock = self.address, self.pace, self.clock
        if self.shared:
            return serve_shared(streams(), address, pace, clock, self.announce)
        if self.per_connection is None:
            return serve_streams(streams, address, pace, clock, self.announce, once=self.once)
        return serve_pieces(streams(), address, pace, clock, self.announce, records=self.per_connection)


def is_folder(address: Address) -> bool:
    """Whether an address is that of a folder, to be."""
    return address.scheme == "file" and address.path.endswith("/")


def _send_all(stream: Stream, outlet: Outlet, write: Callable[[bytes | memoryview], object]) -> int:
    rows = 0
    if stream.preamble:
        write(stream.preamble)
    for piece in metered(stream.batches, outlet.pace, outlet.clock):
        write(piece.data)
        stream.on_sent(piece)
        rows += piece.rows
    return rows


def _to_file(stream: Stream, outlet: Outlet) -> int:
    with replaced(Path(outlet.address.path)) as file:
        rows = _send_all(stream, outlet, file.write)
    stream.on_end()
    return rows


def _to_stdout(stream: Stream, outlet: Outlet) -> int:
    """Writes to the standard output; that the reader has gone away is a way to end, not an error."""
    out = sys.stdout.buffer

    def write(data: bytes | memoryview) -> None:
        out.write(data)
        out.flush()

    try:
        return _send_all(stream, outlet, write)
    except BrokenPipeError:
        # What is left in the buffer must not fail once more when the interpreter closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        stream.on_end()


def _push(stream: Stream, outlet: Outlet) -> int:
    with _connect(outlet) as peer:
        try:
            rows = _send_all(stream, outlet, peer.sendall)
            peer.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise OSError(f"lost the connection to {outlet.address.endpoint}: {error.strerror or error}") from error
        finally:
            stream.on_end()
    return rows


def _to_datagrams(stream: Stream, outlet: Outlet) -> int:
    most_bytes = DEFAULT_DATAGRAM_BYTES if outlet.datagram_bytes is None else outlet.datagram_bytes
    rows = 0
    with datagrams_to(outlet.address) as send:
        try:
            if stream.preamble:
                send(stream.preamble)
            for piece in metered(stream.batches, outlet.pace, outlet.clock):
                for datagram in packed(piece, most_bytes):
                    send(datagram)
                stream.on_sent(piece)
                rows += piece.rows
        finally:
            stream.on_end()
    return rows


def _connect(outlet: Outlet) -> socket.socket:
    """Connects, and tries again for as long as the outlet allows."""
    address, clock = outlet.address, outlet.clock
    began = clock.now()
    back_off = FIRST_BACK_OFF_SECONDS
    while True:
        left = outlet.connect_timeout_micros / MICROS_PER_SECOND - (clock.now() - began)
        try:
            peer = socket.create_connection((address.host, address.port), timeout=max(left, FIRST_BACK_OFF_SECONDS))
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            # On loopback a socket can meet itself where nobody listens.
            if peer.getsockname() != peer.getpeername():
                peer.settimeout(None)
                return peer
            peer.close()
            reason = "nobody listens"
        if left <= back_off or clock.is_stopped:
            raise OSError(f"cannot connect to {address.endpoint}: {reason}")
        clock.rest(back_off)
        back_off = min(2 * back_off, LAST_BACK_OFF_SECONDS)
