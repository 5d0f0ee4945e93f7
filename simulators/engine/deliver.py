"""Sending a simulator's records: to a file, the standard output, a listener that is pushed to.

:mod:`simulators.engine.listeners` and :mod:`simulators.engine.broadcast` serve those that connect,
:mod:`simulators.engine.datagrams` has what UDP needs, :mod:`simulators.engine.topics` what Kafka does.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import Stream, Streams
from simulators.engine.broadcast import serve_shared
from simulators.engine.datagrams import DEFAULT_DATAGRAM_BYTES, datagrams_to, packed
from simulators.engine.files import replaced
from simulators.engine.listeners import serve_pieces, serve_streams
from simulators.engine.metering import metered
from simulators.engine.outlet import Outlet, is_folder
from simulators.engine.topics import to_folder, to_topics

FIRST_BACK_OFF_SECONDS = 0.1
LAST_BACK_OFF_SECONDS = 5.0


def deliver(streams: Streams, outlet: Outlet) -> int:
    """Send streams until there is nothing left to do, and return the number of records of the last one.

    ``streams`` is called once for each run through the records. A file is whole or not there at all.

    Raises:
        OSError: the file, the address or the peer fails.
    """
    address = outlet.address
    if address.scheme == "tcp-listen":
        return _serve(streams, outlet)
    ways = {"file": _to_file, "-": _to_stdout, "tcp": _push, "udp": _to_datagrams, "kafka": to_topics}
    return (to_folder if is_folder(address) else ways[address.scheme])(streams(), outlet)


def _serve(streams: Streams, outlet: Outlet) -> int:
    address, pace, clock = outlet.address, outlet.pace, outlet.clock
    if outlet.shared:
        return serve_shared(streams(), address, pace, clock, outlet.announce)
    if outlet.per_connection is None:
        return serve_streams(streams, address, pace, clock, outlet.announce, once=outlet.once)
    return serve_pieces(streams(), address, pace, clock, outlet.announce, records=outlet.per_connection)


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
    """Write to the standard output; that the reader has gone away is a way to end, not an error."""
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
    """Connect, and try again for as long as the outlet allows."""
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
