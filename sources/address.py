"""Addresses: one way to say where a stream comes from or goes to, the same for pipelines and simulators.

``data/*.txt`` · ``s3://bucket/key`` and others of :mod:`schemas.object_path` ·
``tcp://host:port`` (connect) · ``tcp-listen://host:port`` (be connected to) ·
``udp://host:port`` (send) · ``udp-listen://host:port`` (receive) · ``exec:COMMAND`` (what a command prints) ·
``kafka://host:port/topic`` · ``-`` (the standard stream)
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from schemas.object_path import REMOTE, file_path, is_remote, scheme_of

#: Schemes that have a host and a port.
NETWORK_SCHEMES = ("tcp", "tcp-listen", "udp", "udp-listen")
#: Those of them that go to somebody, who has to have a port.
_CALLING_SCHEMES = ("tcp", "udp")
_EXEC = "exec:"
_KAFKA = "kafka"
_KAFKA_PORT = 9_092
_MAX_PORT = 65_535
#: What Kafka allows for the name of a topic, besides "." and "..".
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
#: A name, an address of IPv4 or IPv6, the latter in brackets or not, or nothing.
_HOST = re.compile(r"\[[^\s/@\[\]]+\]|[^\s/@\[\]]*")


class Address(NamedTuple):
    """A parsed address: ``scheme`` is ``file``, ``-``, ``exec``, ``kafka`` or one of the network schemes.

    ``path`` is that of a file, here or in an object store (``s3://bucket/key``), the command of ``exec``, or the topics
    of ``kafka`` with commas between them. The ``host`` of ``kafka`` is its brokers, each with its port, with commas
    between them.
    """

    text: str
    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_live(self) -> bool:
        """Whether the stream has no end of its own; a file has one, unless it is followed."""
        return self.scheme != "file"

    @property
    def endpoint(self) -> str:
        """``host:port``, as messages and origins show it; of ``kafka`` all brokers."""
        if self.scheme == _KAFKA:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of ``kafka``; none where the address names none, and of other schemes."""
        return tuple(self.path.split(",")) if self.scheme == _KAFKA and self.path else ()

    @property
    def command(self) -> list[str]:
        """The program of ``exec`` and its arguments, split as a shell would, without a shell; else nothing."""
        return shlex.split(self.path) if self.scheme == "exec" else []


def parse_address(text: str) -> Address:
    """Parse an address.

    A network address without a host means loopback: ``tcp-listen://:12000`` listens on 127.0.0.1 only, and to listen
    elsewhere one has to say so (``tcp-listen://0.0.0.0:12000``). A Kafka broker without a port has 9092.

    Raises:
        ValueError: an unknown scheme, a host, port or topic that cannot be, or a command without a program.
    """
    if not text.strip():
        raise ValueError("expected an address, got an empty text")
    if text == "-":
        return Address(text, "-")
    if text.startswith(_EXEC):
        return _parse_command(text)
    known = (*REMOTE, *NETWORK_SCHEMES, _KAFKA)
    expected = f"a path, -, {_EXEC}COMMAND or one of {', '.join(f'{name}://' for name in known)}"
    scheme = scheme_of(text, ("file", *known), expected)
    if not scheme or scheme in ("file", *REMOTE):
        path = file_path(text)
        # What may be a signature is shown nowhere.
        return Address(path if is_remote(path) else text, "file", path=path)
    rest = text.removeprefix(f"{scheme}://")
    if scheme == _KAFKA:
        return _parse_kafka(text, rest)
    host, found, port = rest.rpartition(":")
    if not found or not _is_port(port) or not _HOST.fullmatch(host):
        raise ValueError(f"expected {scheme}://host:port with a port up to {_MAX_PORT}, got {text!r}")
    host = host.strip("[]") or "127.0.0.1"
    if scheme in _CALLING_SCHEMES and int(port) == 0:
        what = "connected" if scheme == "tcp" else "sent"
        raise ValueError(f"port 0 cannot be {what} to, got {text!r}")
    return Address(text, scheme, host=host, port=int(port))


def parse_listener(text: str) -> Address:
    """Parse ``PORT`` or ``HOST:PORT``, where a server of ours is to listen; without a host that is loopback.

    Raises:
        ValueError: a host or port that cannot be.

    >>> parse_listener("9100").endpoint
    '127.0.0.1:9100'
    """
    host, _, port = text.rpartition(":")
    if not _is_port(port) or not _HOST.fullmatch(host):
        raise ValueError(f"expected PORT or HOST:PORT with a port up to {_MAX_PORT}, got {text!r}")
    return Address(text, "tcp-listen", host=host.strip("[]") or "127.0.0.1", port=int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_PORT)) and int(text) <= _MAX_PORT


def _parse_kafka(text: str, rest: str) -> Address:
    if "@" in rest:
        # Not shown: it may be a password.
        raise ValueError(
            "expected kafka://host:port/topic without a user or password: they belong into a file or the "
            "environment, see --kafka-security"
        )
    brokers, _, path = rest.partition("/")
    endpoints = []
    for broker in brokers.split(","):
        host, found, port = (broker, "", "") if broker.endswith("]") else broker.rpartition(":")
        if not found:
            host, port = host or port, str(_KAFKA_PORT)
        if not _is_port(port) or int(port) == 0 or not _HOST.fullmatch(host):
            raise ValueError(f"expected kafka://host:port/topic with a port up to {_MAX_PORT}, got {text!r}")
        endpoints.append(f"{host or '127.0.0.1'}:{port}")
    for topic in path.split(",") if path else ():
        if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
            raise ValueError(f"expected topics of letters, digits, '.', '_' and '-', got {topic!r} in {text!r}")
    return Address(text, _KAFKA, path=path, host=",".join(endpoints))


def _parse_command(text: str) -> Address:
    command = text[len(_EXEC) :].strip()
    try:
        program = shlex.split(command)[:1]
    except ValueError as error:
        raise ValueError(f"cannot split the command of {text!r}: {str(error).lower()}") from None
    if not any(program) or "\0" in command:
        raise ValueError(f"expected {_EXEC}COMMAND, got {text!r}")
    return Address(text, "exec", path=command)
