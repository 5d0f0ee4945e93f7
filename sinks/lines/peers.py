"""Lines to peers: over TCP, connecting again whenever the peer went away, and in datagrams over UDP."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sinks.files.atomic import SinkError
from sinks.lines.write import Destination, Outlet
from sinks.patience import Patience
from sources import progress as board
from sources.address import Address
from sources.drain import draining
from sources.live.sockets import SocketAddress as SocketPlace
from sources.live.sockets import reason_of, resolve

_log = logging.getLogger(__name__)

#: How long a peer may be away before its lines are given up, and the job with them.
RETRY_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
#: A peer that takes nothing for so long is as good as gone only if we are asked to end.
_LOOK_SECONDS = 0.2
#: Lines share a datagram up to this: it fits an Ethernet frame, with room for a tunnel or two.
DATAGRAM_BYTES = 1_400
#: The most that UDP over IPv4 carries.
MAX_DATAGRAM_BYTES = 65_507
_FULL_PAUSE_SECONDS = 0.001


@dataclass(frozen=True)
class TcpPeer(Destination):
    """A peer that listens. It is connected to when the first line is there, and again whenever it went away.

    A line that was not handed to the system whole when the connection broke is sent again, whole, over the next one.
    Lines that were handed over, and that the peer had not read by then, are lost: TCP does not tell which. So around a
    reconnect lines may be lost, and one may arrive twice, once torn and once whole; without one, neither.

    Attributes:
        address: ``tcp://host:port``.
        retry_seconds: for how long to try to connect.
    """

    address: Address
    retry_seconds: float = RETRY_SECONDS

    @property
    def name(self) -> str:
        """The address."""
        return self.address.text

    def open(self) -> Outlet:
        """Return the outlet; it connects for the first lines."""
        return _TcpOutlet(self)


class _TcpOutlet(Outlet):
    def __init__(self, peer: TcpPeer) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._connections = 0

    def write(self, lines: bytes) -> None:
        with self._lock:
            done = 0
            while done < len(lines):
                if self._socket is None or _has_gone(self._socket):
                    self._hang_up()
                    self._socket = self._connect()
                sent = self._send(self._socket, memoryview(lines)[done:])
                done += sent
                if done < len(lines):
                    # Broken: the line that was cut off is sent again from its beginning.
                    done = lines.rfind(b"\n", 0, done) + 1
                    self._hang_up()

    def close(self) -> None:
        with self._lock:
            self._hang_up()

    def _send(self, sock: socket.socket, data: memoryview) -> int:
        """Send as much as can be; return how many bytes the system took."""
        sent = 0
        while sent < len(data):
            try:
                sent += sock.send(data[sent:])
            except TimeoutError:
                if draining():
                    raise self._failure("it takes nothing, and we were asked to end") from None
            except OSError as error:
                _log.warning("lost the connection to %s: %s", self._peer.name, reason_of(error))
                return sent
        return sent

    def _connect(self) -> socket.socket:
        address, patience = self._peer.address, Patience(self._peer.name, self._peer.retry_seconds)
        while True:
            try:
                sock = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
            except OSError as error:
                reason = reason_of(error)
            else:
                # On loopback a socket can meet itself where nobody listens.
                if sock.getsockname() != sock.getpeername():
                    sock.settimeout(_LOOK_SECONDS)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._connections += 1
                    board.add("reconnects", int(self._connections > 1))
                    board.note(f"{'connected' if self._connections == 1 else 'connected again'} to {self._peer.name}")
                    return sock
                sock.close()
                reason = "nobody listens"
            if draining() or not patience.wait(reason):
                raise self._failure(f"{reason}; tried for {patience.elapsed_seconds:.1f} s")

    def _failure(self, reason: str) -> SinkError:
        return SinkError(f"cannot send to {self._peer.name}: {reason}")

    def _hang_up(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                _log.debug("%s: %s", self._peer.name, error)  # it is gone already
            self._socket.close()
        self._socket = None


def _has_gone(sock: socket.socket) -> bool:
    """Return whether the peer has closed its side; what it may have sent us is passed over."""
    try:
        sock.setblocking(False)
        while data := sock.recv(1 << 16):
            del data
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.settimeout(_LOOK_SECONDS)
    return True


@dataclass(frozen=True)
class UdpPeer(Destination):
    """A peer that takes datagrams, or nobody: UDP does not tell.

    A datagram has whole lines, one at least, up to ``datagram_bytes``. A line that is too long for any is not sent, and
    counted in a warning.

    Attributes:
        address: ``udp://host:port``.
        datagram_bytes: up to this size lines that are there at the same time share a datagram.
    """

    address: Address
    datagram_bytes: int = DATAGRAM_BYTES

    @property
    def name(self) -> str:
        """The address."""
        return self.address.text

    def open(self) -> Outlet:
        """Open a socket; it is not connected, so that a receiver that is not there yet is no error."""
        try:
            place = resolve(self.address, kind=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise SinkError(f"cannot send to {self.name}: {reason_of(error)}") from error
        return _UdpOutlet(self, place, socket.socket(place.family, socket.SOCK_DGRAM))


class _UdpOutlet(Outlet):
    def __init__(self, peer: UdpPeer, place: SocketPlace, sock: socket.socket) -> None:
        self._peer = peer
        self._place = place
        self._socket = sock
        self._lock = threading.Lock()
        self._too_long = 0

    def write(self, lines: bytes) -> None:
        with self._lock:
            for datagram in datagrams(lines, self._peer.datagram_bytes):
                if len(datagram) <= MAX_DATAGRAM_BYTES:
                    self._send(datagram)
                else:
                    self._too_long += 1
                    if self._too_long == 1:
                        _log.warning("%s: a record of %d bytes fits no datagram", self._peer.name, len(datagram))

    def close(self) -> None:
        with self._lock:
            self._socket.close()
        if self._too_long:
            board.note(f"{self._peer.name}: {self._too_long:,} records fitted no datagram and were not sent")

    def _send(self, datagram: bytes) -> None:
        while True:
            try:
                self._socket.sendto(datagram, self._place.sockaddr)
            except (BlockingIOError, InterruptedError):
                time.sleep(_FULL_PAUSE_SECONDS)
            except OSError as error:
                told = f"cannot send {len(datagram)} bytes to {self._peer.name}: {reason_of(error)}"
                raise SinkError(told) from error
            else:
                return


def datagrams(lines: bytes, most_bytes: int) -> Iterator[bytes]:
    r"""Cut whole lines into datagrams in order: as many lines as fit into so many bytes, one at least.

    >>> list(datagrams(b"a\nb\nlonger\nc\n", 4))
    [b'a\nb\n', b'longer\n', b'c\n']
    """
    start = 0
    while start < len(lines):
        stop = len(lines) if len(lines) - start <= most_bytes else lines.rfind(b"\n", start, start + most_bytes) + 1
        if not stop:
            stop = lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:stop]
        start = stop
