"""Datagrams: an outlet that sends whole records over UDP, to whoever is there; nobody says whether they arrive."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from simulators.engine.batch import Batch
from sources.address import Address

#: Fits an Ethernet frame, with room for a tunnel or two.
DEFAULT_DATAGRAM_BYTES = 1_400
#: The most that UDP over IPv4 carries.
MAX_DATAGRAM_BYTES = 65_507


@contextmanager
def datagrams_to(address: Address) -> Iterator[Callable[[bytes | memoryview], None]]:
    """Open a socket and return what sends one datagram.

    It is not connected, so that a receiver that is not there (yet, or any more) is no error: UDP does not tell.

    Raises:
        OSError: there is no such host, or a datagram cannot be sent.
    """
    try:
        family, _, _, _, to = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise OSError(f"cannot send to {address.endpoint}: {error.strerror or error}") from error
    with socket.socket(family, socket.SOCK_DGRAM) as sender:

        def send(data: bytes | memoryview) -> None:
            try:
                sender.sendto(data, to)
            except OSError as error:
                said = f"cannot send {len(data)} bytes to {address.endpoint}: {error.strerror or error}"
                raise OSError(said) from error

        yield send


def packed(batch: Batch, most_bytes: int) -> Iterator[bytes | memoryview]:
    """Yield the records of a batch in their order, several in one datagram up to that size, and one at least."""
    data = memoryview(batch.data)
    ends = batch.ends
    first = start = 0
    while first < len(ends):
        last = max(int(np.searchsorted(ends, start + most_bytes, side="right")) - 1, first)
        stop = int(ends[last])
        yield data[start:stop]
        first, start = last + 1, stop
