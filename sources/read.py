"""Reading addresses: each kind of address has its source, and all of them give blocks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource, UnboundedSource
from apache_beam.runners import DirectRunner
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.runners.runner import PipelineRunner

from schemas.elements.beam_patches import patch_beam
from schemas.elements.block import Block
from schemas.object_path import is_remote
from schemas.record_type import RecordType
from schemas.text.sniff import sniff_dialect
from sources.address import Address, parse_address
from sources.files.chunks import ByteRange, check_texts, find_files, piece_size
from sources.files.follow import FollowLines
from sources.files.opening import seems_sequential
from sources.files.repeat import Repeat
from sources.files.replay import FileReplay, check_times
from sources.kafka.settings import DEFAULT_READERS
from sources.kafka.source import KafkaInput, KafkaTopics
from sources.live.command import ProcessLines
from sources.live.stdin import StdinLines
from sources.live.tcp import TcpLines
from sources.live.udp import UdpLines
from sources.pacing import Pace
from sources.parts import ReadParts, Spread
from sources.positions.source import PositionedSource

#: How long an idle source is left alone; 0.1 s costs a tenth of a processor and delays a window by as much.
POLL_SECONDS = 0.1
#: A bundle ends after so long, and only then is its output seen: short for live input, long where nobody waits.
LIVE_BUNDLE_SECONDS = 0.25
REPLAY_BUNDLE_SECONDS = 5.0
_NO_CAP = 1 << 30


#: What may be given for an address.
Given = str | os.PathLike[str] | Address


@dataclass
class Read(beam.PTransform):
    """Read everything that is given, side by side, as a PCollection of Block.

    Files are one source, or followed as they grow; TCP peers are another, UDP peers, each command, each address of
    Kafka, standard input.

    Attributes:
        addresses: at least one, such as ``data/*.txt``, ``tcp://host:port`` or ``kafka://host:port/topic`` (see
            :mod:`sources.address`); a single one need not be in a tuple.
        record_type: what the records are.
        pace: when the records of files leave.
        disorder_micros: how far records of files may be out of order.
        live_disorder_micros: how far those of live input may be.
        idle_timeout_seconds: after how much silence live input is at its end; None for never.
        max_records: how many records to read, of each source; None for all.
        follow: whether files are followed as they grow.
        sequence: the column with the sequence number of records that come by UDP, to count those that are missing.
        in_order: whether the records of files come in their order, file after file, read by one reader.
        loop: whether files begin again at their end, in order.
        kafka: how topics of Kafka are read.
        spread: how sources are spread over the workers of a cluster; None where the runner splits them.
    """

    addresses: Given | Sequence[Given]
    record_type: RecordType
    pace: Pace = Pace()
    disorder_micros: int = 0
    live_disorder_micros: int = 0
    idle_timeout_seconds: float | None = None
    max_records: int | None = None
    follow: bool = False
    sequence: str = ""
    in_order: bool = False
    loop: bool = False
    kafka: KafkaInput = KafkaInput()
    spread: Spread | None = None

    def __post_init__(self) -> None:
        """Find the files and commands, and check that ports are free and brokers grant access.

        Raises:
            ValueError: no address is given, one cannot be read from, or files cannot be followed.
            OSError: a file, a command, a port or a broker is not to be had; the message says which and why.
        """
        super().__init__()
        patch_beam()  # before it is applied
        if not isinstance(self.record_type, RecordType):
            raise ValueError(f"expected a record type such as schemas.tape.TAPE, got {self.record_type!r}")  # noqa: TRY004
        is_one = isinstance(self.addresses, str | os.PathLike | Address)
        given: Any = (self.addresses,) if is_one else self.addresses
        if not isinstance(given, Sequence) or not given:
            raise ValueError(f"expected at least one input address, got {self.addresses!r}")
        self.addresses = self._addresses = tuple(map(_address, given))
        for address in self._addresses:
            if address.scheme == "udp":
                raise ValueError(
                    f"cannot read from {address.text!r}, which sends; udp-listen://{address.endpoint} receives"
                )
        if self.follow and self.pace.is_paced:
            raise ValueError("a file that is followed has its own pace: leave out the speed, rate or interval")
        if self.follow and not self._of("file"):
            raise ValueError("expected a file to follow, got none")
        self._sources = tuple(self._make_sources())

    @property
    def total_bytes(self) -> int | None:
        """The bytes that will be read, or None where nobody can tell."""
        total = 0
        for source in self._sources:
            if not isinstance(source, FileReplay) or source.max_records is not None:
                return None
            wide = self.record_type.wide_encoding
            if any(seems_sequential(piece.path, wide) for piece in source.pieces):
                return None
            total += sum(map(piece_size, source.pieces))
        return total

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Read each source."""
        blocks: list[beam.PCollection] = []
        readers = most_readers(pipeline.pipeline.runner, self.kafka.max_readers)
        for number, found in enumerate(self._sources):
            source = found
            if isinstance(found, KafkaTopics):
                # Beside other input the runners of this process call a bundle done before it is written.
                is_exact = len(self._sources) == 1 or not is_in_process(pipeline.pipeline.runner)
                source = replace(found, max_readers=readers, commits=is_exact)
            kind = source.source if isinstance(source, PositionedSource) else source
            # With positions a bundle is short: what is under way when the run is killed is written once more.
            is_replay = isinstance(source, FileReplay) and not source.pace.is_paced
            seconds = REPLAY_BUNDLE_SECONDS if is_replay else LIVE_BUNDLE_SECONDS
            if self.spread is None:
                read: beam.PTransform = ReadFromUnboundedSource(source, POLL_SECONDS, _NO_CAP, seconds)
            else:
                read = ReadParts(source, self.spread, POLL_SECONDS, seconds, _NO_CAP)
            # There may be several of these; the others are the only ones of their kind.
            is_one_of_many = isinstance(kind, ProcessLines | KafkaTopics)
            label = f"Read{type(kind).__name__}{number if is_one_of_many and number else ''}"
            found_blocks = pipeline | label >> read
            found_blocks.element_type = Block
            if isinstance(kind, FileReplay) and not (kind.pace.is_paced or self.loop):
                found_blocks = found_blocks | "KnowTheEnd" >> _KnowTheEnd()
            blocks.append(found_blocks)
        return blocks[0] if len(blocks) == 1 else blocks | "ReadAll" >> beam.Flatten()

    def wrap_sources(self, wrap: Callable[[Any], UnboundedSource]) -> None:
        """Have each source replaced by what ``wrap`` makes of it; to be called before this is applied."""
        self._sources = tuple(map(wrap, self._sources))

    def _of(self, *schemes: str) -> tuple[Address, ...]:
        return tuple(address for address in self._addresses if address.scheme in schemes)

    def _clusters(self) -> list[Address]:
        """Return the addresses of topics, one for each cluster: so one source reads all that it has.

        With a limit to the records each address is read by itself, since that is for each of them.
        """
        found: dict[tuple[str, ...], Address] = {}
        for at, address in enumerate(self._of("kafka")):
            key = tuple(sorted(address.host.split(","))) if self.max_records is None else (str(at),)
            known = found.get(key)
            found[key] = address if known is None else known._replace(path=f"{known.path},{address.path}")
        return list(found.values())

    def _make_sources(self) -> Iterator[UnboundedSource]:
        live: dict[str, Any] = {
            "record_type": self.record_type,
            "disorder_micros": self.live_disorder_micros,
            "idle_timeout_seconds": self.idle_timeout_seconds,
            "sniff": sniff_dialect,
            "max_records": self.max_records,
        }
        paths = [address.path for address in self._of("file")]
        if self.follow and any(map(is_remote, paths)):
            raise ValueError("an object does not grow, it is replaced: only files of this machine can be followed")
        if paths and self.follow:
            yield FollowLines(tuple(find_files(paths)), **live)
        elif paths:
            found = find_files(paths)
            check_texts(found, self.record_type)
            pieces = tuple(map(ByteRange, found))
            # With a limit, however high, a replay is one ordered stream.
            most = self.max_records or (sys.maxsize if self.in_order or self.loop else None)
            replay = FileReplay(pieces, self.record_type, self.pace, self.disorder_micros, most)
            if self.loop:
                laps = Repeat(pieces)
                laps.check(self.record_type)
                replay = replace(replay, pieces=laps)
            if self.pace.speed is not None:
                check_times(pieces, self.record_type)
            yield replay
        checked: list[TcpLines | UdpLines | ProcessLines | KafkaTopics] = []
        if peers := self._of("tcp", "tcp-listen"):
            checked.append(TcpLines(peers, **live))
        if peers := self._of("udp-listen"):
            checked.append(UdpLines(peers, **live, sequence=self.sequence))
        commands = self._of("exec")
        checked += [
            ProcessLines(command, **live, number=commands[: at + 1].count(command))
            for at, command in enumerate(commands)
        ]
        checked += [self.kafka.source(address, **live) for address in self._clusters()]
        for source in checked:
            source.check()
            yield source
        if self._of("-"):
            yield StdinLines(**live)


class _KnowTheEnd(beam.PTransform):
    """Hand on the blocks of files as a bounded PCollection; for Beam no source of this kind has an end."""

    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        bounded = blocks | "AsTheyAre" >> beam.Map(_same).with_output_types(Block)
        bounded.is_bounded = True
        return bounded


def _same(block: Block) -> Block:
    return block


def _address(given: object) -> Address:
    """Return the address that a text, a path or an address means.

    Raises:
        ValueError: it is none of them, or cannot be.
    """
    if isinstance(given, Address):
        return given
    if not isinstance(given, str | os.PathLike):
        raise ValueError(f"expected an address or a path, got {given!r}")  # noqa: TRY004
    if isinstance(given, str):
        return parse_address(given)
    path = os.fspath(given)  # whatever its name looks like
    return Address(path, "file", path=path)


def is_in_process(runner: PipelineRunner) -> bool:
    """Return whether a runner works in this process, with nothing kept of it after the end."""
    return isinstance(runner, DirectRunner | BundleBasedDirectRunner | FnApiRunner | PrismRunner)


def most_readers(runner: PipelineRunner, asked: int | None) -> int:
    """Return into how many parts a runner may be given a source of which every part has a watermark.

    Prism (2.77) takes what one part promises for all of them, so that what another one still has is late. The runners
    of this process get a single one, therefore. So does a portable runner, which may be Prism, unless more are asked.
    """
    if is_in_process(runner):
        return 1
    if asked is not None:
        return asked
    return 1 if type(runner) is PortableRunner else DEFAULT_READERS
