"""Broadcast: a listener whose clients all get the one stream, each from where it is when they come.

The stream begins with the first client. From then on it goes on at its pace, whoever comes and goes, but nothing leaves
while nobody is there: what has become due meanwhile goes to the next client. The slowest client sets the pace of all,
and one that takes nothing for ten seconds is let go.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from simulators.engine.batch import Stream
from simulators.engine.listeners import (
    FAREWELL_SECONDS,
    POLL_SECONDS,
    SEND_TIMEOUT_SECONDS,
    accept_one,
    deliver,
    hang_up,
    listening,
)
from simulators.engine.metering import Clock, metered
from sources.address import Address
from sources.pacing import Pace

_CHUNK_BYTES = 65_536


def serve_shared(
    stream: Stream, address: Address, pace: Pace, clock: Clock, announce: Callable[[Address], None]
) -> int:
    """Send each record to every client that is there, until the stream ends, and return the number of records sent.

    Raises:
        OSError: the address cannot be listened on, or making the records fails.
    """
    audience = _Audience(stream.preamble)
    sent = 0
    try:
        with listening(address, announce) as server, _welcoming(audience, server):
            audience.wait(clock)
            for piece in metered(stream.batches, pace, clock):
                while not audience.tell(piece.data):
                    if not audience.wait(clock):
                        return sent
                stream.on_sent(piece)
                sent += piece.rows
    finally:
        audience.leave()
        stream.on_end()
    return sent


class _Audience:
    """The clients that are there. One thread lets them in, another one tells them."""

    def __init__(self, preamble: bytes) -> None:
        self._preamble = preamble
        self._clients: list[socket.socket] = []
        self._come = threading.Condition()

    def welcome(self, client: socket.socket) -> None:
        """Let a client in, from the next record on."""
        client.settimeout(SEND_TIMEOUT_SECONDS)
        with self._come:
            # Under the lock, so that who has been greeted gets the next record.
            if deliver(client, self._preamble):
                self._clients.append(client)
                self._come.notify()
            else:
                client.close()

    def wait(self, clock: Clock) -> bool:
        """Wait until a client is there; return False if the clock was stopped before."""
        with self._come:
            while not self._clients:
                if clock.is_stopped:
                    return False
                self._come.wait(POLL_SECONDS)
        return True

    def tell(self, data: bytes | memoryview) -> bool:
        """Send whole records to all, let those go that are gone, and return whether anybody has got them."""
        with self._come:
            present = list(self._clients)
        view = memoryview(data)
        chunks = [view[start : start + _CHUNK_BYTES] for start in range(0, len(view), _CHUNK_BYTES)]
        gone = [client for client in present if not all(deliver(client, chunk) for chunk in chunks)]
        with self._come:
            for client in gone:
                self._clients.remove(client)
                client.close()
        return len(gone) < len(present)

    def leave(self) -> None:
        """Say to all that nothing more comes."""
        with self._come:
            clients, self._clients = self._clients, []
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_WR)
        until = time.monotonic() + FAREWELL_SECONDS
        for client in clients:
            with client:
                hang_up(client, max(0, until - time.monotonic()))


@contextmanager
def _welcoming(audience: _Audience, server: socket.socket) -> Iterator[None]:
    """Let clients in while it is entered."""
    done = threading.Event()

    def welcome_all() -> None:
        while not done.is_set():
            client = accept_one(server)
            if client is not None:
                audience.welcome(client)

    thread = threading.Thread(target=welcome_all, name="welcome", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
