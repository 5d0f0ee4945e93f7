"""Addresses: one way to say where a stream comes from or goes to, the same for pipelines and simulators.

``data/*.txt`` · ``tcp://host:port`` (connect) · ``tcp-listen://host:port`` (be connected to) ·
``-`` (the standard stream)
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Schemes that have a host and a port, and whether their stream is live.
NETWORK_SCHEMES = ("tcp", "tcp-listen")
_MAX_PORT = 65_535
#: A name, an address of IPv4 or IPv6, the latter in brackets or not, or nothing.
_HOST = re.compile(r"\[[^\s/@\[\]]+\]|[^\s/@\[\]]*")


class Address(NamedTuple):
    """A parsed address: ``scheme`` is ``file``, ``-`` or one of the network schemes; ``path`` is for files."""

    text: str
    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_live(self) -> bool:
        """Whether the stream has no end of its own."""
        return self.scheme != "file"

    @property
    def endpoint(self) -> str:
        """``host:port``, as messages and origins show it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parses an address.

    A network address without a host means loopback: ``tcp-listen://:12000`` listens on 127.0.0.1 only, and to listen
    elsewhere one has to say so (``tcp-listen://0.0.0.0:12000``).

    Raises:
        ValueError: an unknown scheme, or a host or port that cannot be.
    """
    if not text.strip():
        raise ValueError("expected an address, got an empty text")
    if text == "-":
        return Address(text, "-")
    scheme, found, rest = text.partition("://")
    if not found:
        return Address(text, "file", path=text)
    if scheme == "file":
        if not rest:
            raise ValueError(f"expected file://path, got {text!r}")
        return Address(text, "file", path=rest)
    if scheme not in NETWORK_SCHEMES:
        known = ", ".join(f"{name}://" for name in NETWORK_SCHEMES)
        raise ValueError(f"unknown scheme in {text!r}: expected a path, - or one of {known}")
    host, found, port = rest.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= len(str(_MAX_PORT)) and int(port) <= _MAX_PORT
    if not found or not is_port or not _HOST.fullmatch(host):
        raise ValueError(f"expected {scheme}://host:port with a port up to {_MAX_PORT}, got {text!r}")
    host = host.strip("[]") or "127.0.0.1"
    if scheme == "tcp" and int(port) == 0:
        raise ValueError(f"port 0 cannot be connected to, got {text!r}")
    return Address(text, scheme, host=host, port=int(port))
