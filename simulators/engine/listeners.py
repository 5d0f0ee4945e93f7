"""Listeners: outlets that clients connect to, to get the whole stream or a few records each."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress

from simulators.engine.batch import Stream, Streams
from simulators.engine.metering import Clock, Supply, metered
from sources.address import Address
from sources.pacing import Pace

#: Clients of whole streams that are served side by side; more wait until one has gone.
MAX_CLIENTS = 64
_BACKLOG = 128
#: How often a listener looks up from waiting for clients.
POLL_SECONDS = 0.1
#: How long a client of a few records may keep all others waiting.
SEND_TIMEOUT_SECONDS = 10.0
#: How long to wait for a client to close after the end: one that went away with records unread says so here.
FAREWELL_SECONDS = 2.0
_DRAIN_BYTES = 65_536


def serve_streams(
    streams: Streams, address: Address, pace: Pace, clock: Clock, announce: Callable[[Address], None], *, once: bool
) -> int:
    """Send each client a full stream of its own; with ``once`` end after the first that got all of it.

    With ``once`` they are served one after the other, for a client that has got all may be back at once for more.
    Without, it ends when the clock is stopped. A client that goes away ends its own stream only.

    Raises:
        OSError: the address cannot be listened on, or making the records fails.
    """
    clients: dict[Future[int | None], socket.socket] = {}
    with listening(address, announce) as server, ThreadPoolExecutor(MAX_CLIENTS) as pool:
        try:
            while not clock.is_stopped:
                if once and clients:
                    wait(clients, POLL_SECONDS)
                elif (client := accept_one(server)) is not None:
                    clients[pool.submit(_serve_one, streams, client, pace, clock)] = client
                for done in [future for future in clients if future.done()]:
                    clients.pop(done).close()
                    rows = done.result()
                    if once and rows is not None:
                        return rows
        finally:
            clock.stop()
            for client in clients.values():
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
            pool.shutdown(cancel_futures=True)
            for client in clients.values():
                client.close()
    return 0


def serve_pieces(
    stream: Stream, address: Address, pace: Pace, clock: Clock, announce: Callable[[Address], None], *, records: int
) -> int:
    """Send so many records over each connection, close it and go on with the next, until the stream ends.

    Connections are served in the order in which they came. Records that a client did not take go to the next one.

    Raises:
        OSError: the address cannot be listened on, or making the records fails.
    """
    supply = Supply(metered(stream.batches, pace, clock))
    preamble = stream.preamble
    sent = 0
    try:
        with listening(address, announce) as server:
            while not clock.is_stopped:
                client = accept_one(server)
                if client is None:
                    continue
                with client:
                    client.settimeout(SEND_TIMEOUT_SECONDS)
                    if deliver(client, preamble):
                        preamble = b""
                        sent += _serve_few(client, stream, supply, records)
                        hang_up(client, 0)
                if not supply.has_more():
                    break
    finally:
        stream.on_end()
    return sent


def _serve_one(streams: Streams, client: socket.socket, pace: Pace, clock: Clock) -> int | None:
    """Return the number of records sent, or None if the client went away before the end."""
    stream = streams()
    rows = 0
    try:
        if not deliver(client, stream.preamble):
            return None
        for piece in metered(stream.batches, pace, clock):
            if not deliver(client, piece.data):
                return None
            stream.on_sent(piece)
            rows += piece.rows
        is_there = hang_up(client, FAREWELL_SECONDS)
    finally:
        stream.on_end()
    return rows if is_there and not clock.is_stopped else None


def _serve_few(client: socket.socket, stream: Stream, supply: Supply, records: int) -> int:
    sent = 0
    while sent < records:
        piece = supply.take(records - sent)
        if piece is None:
            break
        if not deliver(client, piece.data):
            supply.put_back(piece)
            break
        stream.on_sent(piece)
        sent += piece.rows
    return sent


def deliver(client: socket.socket, data: bytes | memoryview) -> bool:
    """Send, and say whether the client is still there."""
    try:
        client.sendall(data)
    except OSError:
        return False
    return True


def hang_up(client: socket.socket, patience_seconds: float) -> bool:
    """Say that nothing more comes, wait for the client to close, and return False if it left too early.

    What the client said meanwhile is taken: closing with that unread would cut off the end of what we sent.
    """
    try:
        client.shutdown(socket.SHUT_WR)
        client.settimeout(patience_seconds)
        while client.recv(_DRAIN_BYTES):
            pass
    except (TimeoutError, BlockingIOError):
        return True
    except OSError:
        return False
    return True


def accept_one(server: socket.socket) -> socket.socket | None:
    """Wait a moment for a client."""
    try:
        client, _ = server.accept()
    except (TimeoutError, ConnectionError):
        return None
    client.settimeout(None)
    return client


@contextmanager
def listening(address: Address, announce: Callable[[Address], None]) -> Iterator[socket.socket]:
    """Listen, and say where.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        server = socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(f"cannot listen on {address.endpoint}: {error.strerror or error}") from error
    with server:
        server.settimeout(POLL_SECONDS)
        announce(address._replace(port=server.getsockname()[1]))
        yield server
