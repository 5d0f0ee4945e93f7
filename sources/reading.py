"""Reading addresses: each kind of address has its source, and all of them give blocks."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource, UnboundedSource

from schemas.records import RecordType
from sources.address import Address
from sources.block import Block
from sources.chunks import Piece, find_files, is_compressed, piece_size
from sources.dialect import sniff_dialect
from sources.files import FileReplay
from sources.lines import StdinLines
from sources.pacing import Pace
from sources.tcp import TcpLines

#: How long an idle source is left alone; 0.1 s costs a tenth of a processor and delays a window by as much.
POLL_SECONDS = 0.1
#: A bundle ends after so long, and only then is its output seen: short for live input, long where nobody waits.
LIVE_BUNDLE_SECONDS = 0.25
REPLAY_BUNDLE_SECONDS = 5.0
_NO_CAP = 1 << 30


@dataclass
class ReadAddresses(beam.PTransform):
    """Reads files, standard input and TCP peers, all that are given, side by side; gives a PCollection of Block.

    Attributes:
        addresses: at least one.
        record_type: what the records are.
        pace: when the records of files leave.
        disorder_micros: how far records of files may be out of order.
        live_disorder_micros: how far those of live input may be.
        idle_timeout_seconds: after how much silence live input is at its end; None for never.
        max_records: how many records to read, of files and of live input each; None for all.
    """

    addresses: tuple[Address, ...]
    record_type: RecordType
    pace: Pace = Pace()
    disorder_micros: int = 0
    live_disorder_micros: int = 0
    idle_timeout_seconds: float | None = None
    max_records: int | None = None

    def __post_init__(self) -> None:
        """Finds the files and looks whether ports are free.

        Raises:
            ValueError: no address is given.
            OSError: a file or a port is not to be had; the message says which and why.
        """
        super().__init__()
        if not self.addresses:
            raise ValueError("expected at least one input address")
        self._sources = tuple(self._make_sources())

    @property
    def total_bytes(self) -> int | None:
        """The bytes that will be read, or None where nobody can tell."""
        total = 0
        for source in self._sources:
            if not isinstance(source, FileReplay) or source.max_records is not None:
                return None
            if any(is_compressed(piece.path) for piece in source.pieces):
                return None
            total += sum(map(piece_size, source.pieces))
        return total

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Reads each source."""
        blocks = []
        for source in self._sources:
            is_replay = isinstance(source, FileReplay) and not source.pace.is_paced
            seconds = REPLAY_BUNDLE_SECONDS if is_replay else LIVE_BUNDLE_SECONDS
            read = ReadFromUnboundedSource(source, POLL_SECONDS, _NO_CAP, seconds)
            blocks.append(pipeline | f"Read{type(source).__name__}" >> read)
            blocks[-1].element_type = Block
        return blocks[0] if len(blocks) == 1 else blocks | "ReadAll" >> beam.Flatten()

    def _make_sources(self) -> list[UnboundedSource]:
        sources: list[UnboundedSource] = []
        paths = [address.path for address in self.addresses if address.scheme == "file"]
        if paths:
            pieces = tuple(Piece(path) for path in find_files(paths))
            sources.append(FileReplay(pieces, self.record_type, self.pace, self.disorder_micros, self.max_records))
        peers = tuple(address for address in self.addresses if address.scheme in ("tcp", "tcp-listen"))
        if peers:
            tcp = TcpLines(
                peers,
                self.record_type,
                self.live_disorder_micros,
                self.idle_timeout_seconds,
                sniff=sniff_dialect,
                max_records=self.max_records,
            )
            tcp.check()
            sources.append(tcp)
        if any(address.scheme == "-" for address in self.addresses):
            sources.append(
                StdinLines(
                    self.record_type,
                    self.live_disorder_micros,
                    self.idle_timeout_seconds,
                    sniff=sniff_dialect,
                    max_records=self.max_records,
                )
            )
        return sources
