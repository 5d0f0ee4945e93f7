"""Whose a connection on this machine is: every user can connect to a port of 127.0.0.1, and only one has the page."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from uvicorn.protocols.http.h11_impl import H11Protocol

_TABLES = tuple(map(Path, ("/proc/net/tcp", "/proc/net/tcp6")))
_ESTABLISHED = "01"
_ROOT = 0
_BODY = b"This page belongs to another user of this machine.\n"
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_BODY), _BODY)


class OwnConnections(H11Protocol):
    """Hangs up on other users: a connection is looked at once, when it comes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve a connection of ours."""
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if is_own(client[1], server[1]):
            super().connection_made(transport)
        else:
            transport.write(_REFUSAL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, unless it was refused."""
        if self in self.connections:
            super().connection_lost(exc)


def is_own(client_port: int, port: int, tables: tuple[Path, ...] = _TABLES) -> bool:
    """Return whether the other end of a connection is of our own user, or of root; True where no system tells that.

    A connection whose other end has been closed already has no owner any more, and is not ours.

    Args:
        client_port: of the other end.
        port: of this end.
        tables: the connections of this machine, as Linux lists them.
    """
    owners = set[int]()
    for table in tables:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, remote, state, _, _, _, owner, *_ = line.split()
            if state == _ESTABLISHED and (_port(local), _port(remote)) == (client_port, port):
                owners.add(int(owner))
    return not any(map(Path.exists, tables)) or (bool(owners) and owners <= {os.getuid(), _ROOT})


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
