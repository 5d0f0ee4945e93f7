"""Sockets: finding, binding and naming their addresses, with errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from typing import NamedTuple

from sources.address import Address

_WANTED_FILES = 65_536
_HINTS = {
    errno.EADDRINUSE: "stop what listens there already, or give another port",
    errno.EACCES: "give a port above 1023",
    errno.EADDRNOTAVAIL: "give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
}


class AddressError(OSError):
    """An address that cannot be used: one line that names it and says what to do."""


class SocketAddress(NamedTuple):
    """Where a host can be reached: what ``socket.socket`` takes, and what ``connect`` takes."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def resolve(address: Address, flags: int = 0, kind: int = socket.SOCK_STREAM) -> list[SocketAddress]:
    """Return the places of an address. A name may take the resolver some time; a number takes none."""
    found = socket.getaddrinfo(address.host, address.port, type=kind, flags=flags)
    return [SocketAddress(family, sockaddr) for family, _, _, _, sockaddr in found]


def bind(address: Address, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """Return a socket that is bound to the address: of TCP, or with ``socket.SOCK_DGRAM`` of UDP.

    Raises:
        AddressError: it cannot be.
    """
    try:
        place = resolve(address, socket.AI_PASSIVE, kind)[0]
        sock = socket.socket(place.family, kind)
        try:
            # A port that was just used may be used again. With UDP the same would take it from whoever has it now.
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(place.sockaddr)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise unusable(address, error) from error
    return sock


def unusable(address: Address, error: OSError) -> AddressError:
    """Return the error to raise where an address cannot be listened on."""
    hint = "check the name of the host" if isinstance(error, socket.gaierror) else _HINTS.get(error.errno or 0, "")
    return AddressError(f"cannot listen on {address.text}: {reason_of(error)}{hint and '; '}{hint}")


def reason_of(error: OSError) -> str:
    """Return the system's words for an error, without its number."""
    return error.strerror or str(error)


def endpoint_of(peer: tuple[str, int]) -> str:
    """Return ``host:port`` of a socket's name, as records show where they came from."""
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allow_many_files() -> None:
    """Raise the limit of open files where it stands in the way of thousands of connections."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none elsewhere

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
