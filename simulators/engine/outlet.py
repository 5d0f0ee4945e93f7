"""Where a simulator's records go, and how; :mod:`simulators.engine.deliver` sends them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.avro.wire_format import ValueFormat
from schemas.object_path import is_remote
from schemas.times import MICROS_PER_SECOND
from simulators.engine.datagrams import MAX_DATAGRAM_BYTES
from simulators.engine.metering import Clock
from sources.address import Address
from sources.kafka.security import KafkaSecurity
from sources.pacing import Pace

DEFAULT_CONNECT_TIMEOUT = 30 * MICROS_PER_SECOND
#: What can be sent to.
SCHEMES = ("file", "-", "tcp", "tcp-listen", "udp", "kafka")


@dataclass(frozen=True)
class Outlet:
    """Where records go and how.

    Attributes:
        address: a file, a folder (its path ends in ``/``), ``-``, ``tcp://host:port``, ``tcp-listen://host:port``,
            ``udp://host:port`` or ``kafka://host:port/topic``.
        pace: how fast.
        per_connection: records for each connection that is accepted; None serves the whole stream to each.
        once: whether a listener ends when the first client has got its full stream.
        shared: whether all clients of a listener get one stream, each from where it is when they come.
        connect_timeout_micros: how long a listener that is pushed to may take to come up.
        datagram_bytes: records are put into one datagram up to this size; None takes a usual size.
        security: how to get in at the brokers of ``kafka``.
        values: how the values of messages are written there.
        announce: is told where we listen, once we do.
        clock: measures the pace; stopping it ends the sending.
    """

    address: Address
    pace: Pace = Pace()
    per_connection: int | None = None
    once: bool = False
    shared: bool = False
    connect_timeout_micros: int = DEFAULT_CONNECT_TIMEOUT
    datagram_bytes: int | None = None
    security: KafkaSecurity = KafkaSecurity()
    values: ValueFormat = ValueFormat()
    announce: Callable[[Address], None] = lambda _: None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Check that the options fit the address.

        Raises:
            ValueError: they do not.
        """
        if self.per_connection is not None and self.per_connection < 1:
            raise ValueError(f"per-connection must be 1 or more, got {self.per_connection}")
        ways = {"per-connection": self.per_connection is not None, "once": self.once, "shared": self.shared}
        given = [name for name, is_given in ways.items() if is_given]
        if given and self.address.scheme != "tcp-listen":
            raise ValueError(f"{given[0]} is for tcp-listen:// addresses, got {self.address.text!r}")
        if len(given) > 1:
            raise ValueError(f"give one of per-connection, once and shared, got {' and '.join(given)}")
        if self.address.scheme not in SCHEMES or is_remote(self.address.path):
            known = ", ".join(f"{name}://" for name in SCHEMES[2:])
            raise ValueError(
                f"expected a file of this machine, - or one of {known} to send to, got {self.address.text!r}"
            )
        if self.datagram_bytes is not None:
            if self.address.scheme != "udp":
                raise ValueError(f"datagram is for udp:// addresses, got {self.address.text!r}")
            if not 0 <= self.datagram_bytes <= MAX_DATAGRAM_BYTES:
                raise ValueError(f"datagram must be 0 to {MAX_DATAGRAM_BYTES} bytes, got {self.datagram_bytes}")

    @property
    def has_ways(self) -> bool:
        """Whether records go several ways, so that their stream has to have a route."""
        address = self.address
        return (address.scheme == "kafka" and not address.topics) or is_folder(address)


def is_folder(address: Address) -> bool:
    """Return whether an address is that of a folder, to be."""
    return address.scheme == "file" and address.path.endswith("/")
