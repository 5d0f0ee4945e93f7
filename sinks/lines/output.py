"""Peers that take lines as outputs."""

# ruff: noqa: ARG002 - kinds of outputs are asked the same things, and not all matter to each
from __future__ import annotations

from dataclasses import dataclass

from sinks.lines.peers import TcpPeer, UdpPeer
from sinks.lines.render import Layout
from sinks.output import Output, OutputSettings
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

    def check_records(self) -> None:
        """See that datagrams can be sent; a peer over TCP may come later."""
        if isinstance(self._peer, UdpPeer):
            self._peer.open().close()

    def destination(self, layout: Layout, settings: OutputSettings) -> TcpPeer | UdpPeer:
        """Return whom lines are sent to."""
        return self._peer

    @property
    def _peer(self) -> TcpPeer | UdpPeer:
        address = parse_address(self.path)
        return TcpPeer(address) if address.scheme == "tcp" else UdpPeer(address)
