"""Where the page listens, and who is let in."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field

_PORTS = 1 << 16


class DoorError(Exception):
    """The page cannot listen there; the message is one line."""


@dataclass(frozen=True)
class Door:
    """A socket that listens.

    Attributes:
        listener: the socket.
        host: the address that was asked for.
        port: that it listens on.
        token: what who comes in from beyond this machine must know; empty where only this machine can reach it.
    """

    listener: socket.socket = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """The address for a browser on this machine, with the token."""
        host = "127.0.0.1" if is_any(self.host) else self.host
        place = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        return f"{place}?token={self.token}" if self.token else place

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()


def open_door(host: str, port: int) -> Door:
    """Listen.

    Raises:
        DoorError: somebody else does, or the address is none of this machine.
    """
    if port not in range(_PORTS):
        raise DoorError(f"cannot listen on {host}:{port}: expected a port from 0 to {_PORTS - 1}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DoorError(
                f"something listens on {host}:{port} already, perhaps another page; --port N takes another port"
            ) from None
        raise DoorError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    is_beyond = not ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    return Door(listener, host, listener.getsockname()[1], secrets.token_urlsafe(24) if is_beyond else "")


def is_any(host: str) -> bool:
    """Return whether this stands for all addresses of a machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
