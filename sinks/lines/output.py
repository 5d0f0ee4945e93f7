"""Peers that take lines as outputs."""

# ruff: noqa: ARG002 - kinds of outputs are asked the same things, and not all matter to each
from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from sinks.lines.peers import TcpPeer, UdpPeer
from sinks.lines.render import Layout, renderer
from sinks.lines.write import WriteLines
from sinks.output import Output, OutputSettings, Table
from sources.address import parse_address


@dataclass(frozen=True)
class PeerOutput(Output):
    """Somebody who takes lines over TCP or UDP."""

    @classmethod
    def parse(cls, text: str) -> PeerOutput:
        """Return the output of an address.

        Raises:
            ValueError: it is none.
        """
        return cls(parse_address(text).text)

    @property
    def peer(self) -> TcpPeer | UdpPeer:
        """Whom lines are sent to."""
        address = parse_address(self.path)
        return TcpPeer(address) if address.scheme == "tcp" else UdpPeer(address)

    def check_records(self) -> None:
        """See that datagrams can be sent; a peer over TCP may come later."""
        if isinstance(self.peer, UdpPeer):
            self.peer.open().close()

    def result_writer(self, table: Table, settings: OutputSettings) -> beam.PTransform:
        """Refuse."""
        raise self.takes_no_results()

    def record_writer(self, layout: Layout | None, settings: OutputSettings, key: str = "") -> beam.PTransform:
        """Return the transform that sends lines."""
        return WriteLines(self.peer, renderer(layout))
