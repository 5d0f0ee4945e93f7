"""One world a source: who feeds it, how it is stalled and ended, and what of it can be known from outside.

A feed returns when what was fed is where the source finds it at its next poll, so that nothing depends on how fast the
machine is.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from apache_beam.io.unbounded_source import UnboundedSource
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from schemas.record_type import RecordType
from sources.address import parse_address
from sources.files import replay
from sources.files.chunks import ByteRange
from sources.files.follow import GRACE_SECONDS, FollowLines
from sources.files.repeat import Repeat
from sources.files.replay import FileReplay
from sources.kafka import monitor
from sources.kafka.client import Brokers
from sources.kafka.source import KafkaTopics
from sources.live.command import ProcessLines
from sources.live.stdin import StdinLines
from sources.live.tcp import TcpLines
from sources.live.udp import UdpLines
from sources.pacing import Pace
from tests.fakes import Driver, FakeClock
from tests.sources.test_backlog import tick

#: Only a fault of the source is as slow as this.
PATIENCE_SECONDS = 60.0
#: Longer than a test lets its clock go on before the end.
IDLE_SECONDS = 1e6
STREAMS = 2
NUMBERED = RecordType("numbered", ("number", "time"), (), "time")


def numbered(stream: int, number: int) -> bytes:
    """Return a record that is fed once, of a stream whose times go up."""
    return b"%d.%03d\t%b\n" % (stream, number, tick(number)[: -len("\tx\n")])


def stream_of(record: bytes) -> int:
    """Return the stream that a record was fed to, or the beginning of one."""
    return int(record.partition(b".")[0])


RECORD_BYTES = len(numbered(0, 0))


def wait_until(is_so: Callable[[], Any], go_on: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "what was fed never came"
        go_on()
        time.sleep(0.0005)


class World:
    """What one source reads, and who writes it.

    Attributes:
        streams: how many there are side by side, each with an order of its own.
        can_rewind: whether a mark is a place in the input, so that any of them gives what comes after it again.
        is_growing: whether it can be fed after reading has begun, and while nobody reads.
        has_fragments: whether a record can be begun and ended later.
        can_move: whether another process can go on with it.
        has_one_order: whether all records of a stream come in order, and not only those of each connection.
        has_identities: whether no two of its records have the same identity.
        least: how many records it has to have before it is read.
        source: what is tested; set by :meth:`open`.
    """

    streams = STREAMS
    can_rewind = True
    is_growing = True
    has_fragments = True
    can_move = True
    has_one_order = True
    has_identities = True
    least = 0
    source: UnboundedSource

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        #: What was fed to each stream, and the rest of a record that was begun there.
        self.sent = [b""] * self.streams
        self.rest = [b""] * self.streams
        #: Records that were begun and will never be whole.
        self.torn: list[bytes] = []
        self.is_ending = False
        self.stack = contextlib.ExitStack()

    def open(self, **options: Any) -> None:
        """Make the source; ``options`` are fields of it."""
        raise NotImplementedError

    def attach(self, driver: Driver) -> None:
        """Meet a reader that has just started."""

    def hang_up(self) -> None:
        """Take note that a reader was closed, and nobody has gone on from it."""

    def feed(self, stream: int, data: bytes, driver: Driver | None, cut: int = 0) -> None:
        """Feed records, of the last one all but ``cut`` bytes, which come first at the next feed."""
        data = self.rest[stream] + data
        size = len(data) - cut * self.has_fragments
        data, self.rest[stream] = data[:size], data[size:]
        self.sent[stream] += data
        self.deliver(stream, data, driver)

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        raise NotImplementedError

    def stall(self, stream: int, driver: Driver | None) -> None:
        """Let time pass in which nothing comes, or a peer go and come again."""
        self.clock.pass_seconds(1)

    def wait(self) -> None:
        """Let what is due later become due: called where a poll has given nothing, and something should come."""
        if self.is_ending:
            self.clock.pass_seconds(2 * IDLE_SECONDS)

    def end(self, driver: Driver) -> None:
        """Have the stream end."""
        self.is_ending = True

    @property
    def whole(self) -> list[list[bytes]]:
        """The whole records that were fed to each stream, in order."""
        return [data[: data.rfind(b"\n") + 1].splitlines() for data in self.sent]

    @property
    def available(self) -> list[list[bytes]]:
        """What a reader has to give now."""
        return self.ended if self.is_ending else self.whole

    @property
    def ended(self) -> list[list[bytes]]:
        """The records of each stream once it is at its end: a last one may lack its line end."""
        return [data.splitlines() for data in self.sent]

    def close(self) -> None:
        self.stack.close()


class Files(World):
    """Files of which one is compressed, read as fast as possible: in parts, if it is split."""

    is_growing = False
    pace = Pace()
    endings: Sequence[str] = ("", ".gz")

    def open(self, **options: Any) -> None:
        pieces = self.pieces()
        self.stack.enter_context(mock.patch.object(replay, "MIN_SPLIT_BYTES", 64))
        self.stack.enter_context(mock.patch.object(os, "cpu_count", return_value=8))
        options["block_bytes"] = max(options.pop("max_block_bytes"), RECORD_BYTES)
        self.source = FileReplay(pieces, NUMBERED, self.pace, clock=self.clock, **options)

    def pieces(self) -> Any:
        return tuple(ByteRange(str(path)) for path in self.paths)

    @property
    def paths(self) -> list[Path]:
        return [self.folder / f"{number}{ending}" for number, ending in enumerate(self.endings)]

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        path = self.paths[stream]
        with path.open("ab") as file:  # a .gz may have several parts
            file.write(gzip.compress(data) if path.suffix == ".gz" else data)

    def wait(self) -> None:
        self.clock.pass_seconds(0.25)

    @property
    def available(self) -> list[list[bytes]]:
        return self.ended


class PacedFiles(Files):
    pace = Pace(rate=20)


class RepeatedFiles(Files):
    """Files that begin again at their end, up to some number of records."""

    has_identities = False
    least = 1

    def open(self, **options: Any) -> None:
        options["max_records"] = options["max_records"] or sum(map(len, super().ended)) * 2 + 3
        self.limit = options["max_records"]
        super().open(**options)

    def pieces(self) -> Any:
        return Repeat(super().pieces())

    @property
    def ended(self) -> list[list[bytes]]:
        lap = super().ended
        laps = self.limit // max(1, sum(map(len, lap))) + 1
        return [records * laps for records in lap]


class FollowedFiles(World):
    """Files that are appended to; to be stalled is to be rotated."""

    def open(self, **options: Any) -> None:
        self.paths = [self.folder / f"log-{number}" for number in range(self.streams)]
        for path in self.paths:
            path.touch()
        paths = tuple(map(str, self.paths))
        self.source = FollowLines(paths, NUMBERED, idle_timeout_seconds=IDLE_SECONDS, clock=self.clock, **options)

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        with self.paths[stream].open("ab") as file:
            file.write(data)

    def stall(self, stream: int, driver: Driver | None) -> None:
        super().stall(stream, driver)
        # A second rotation between two looks is not seen, and a line that is not whole is given up.
        if driver is not None and self.sent[stream].endswith(b"\n"):
            self.paths[stream].rename(self.folder / f"old-{uuid.uuid4().hex}")
            self.paths[stream].touch()

    def wait(self) -> None:
        super().wait()
        self.clock.pass_seconds(GRACE_SECONDS)


@functools.cache
def mock_cluster() -> tuple[AdminClient, str]:
    """Return a client of librdkafka with a cluster inside, and where that is."""
    client = AdminClient({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = client.list_topics(timeout=PATIENCE_SECONDS).brokers.values()
    return client, ",".join(f"{broker.host}:{broker.port}" for broker in brokers)


class Topics(World):
    """A topic of partitions, in the mock cluster of librdkafka."""

    streams = 4
    has_fragments = False

    def open(self, **options: Any) -> None:
        client, servers = mock_cluster()
        # The mock cluster does not answer when it is asked for the ids of topics.
        ids = mock.patch.object(monitor, "find_topic_ids", lambda _, topics: dict.fromkeys(topics, "id"))
        self.stack.enter_context(ids)
        self.topic = f"topic-{uuid.uuid4().hex}"
        assert len(client.list_topics(self.topic, PATIENCE_SECONDS).topics[self.topic].partitions) == self.streams
        self.producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "log_level": 0})
        self.source = KafkaTopics(
            Brokers(servers),
            (self.topic,),
            NUMBERED,
            idle_partition_seconds=1,
            idle_timeout_seconds=IDLE_SECONDS,
            clock=self.clock,
            **options,
        )

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        for record in data.splitlines():
            self.producer.produce(self.topic, record, partition=stream)
        assert self.producer.flush(PATIENCE_SECONDS) == 0


class Live(World):
    """What can be read but once: what was received and not handed out is the next reader's, in the same process."""

    can_rewind = False

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"record_type": NUMBERED, "idle_timeout_seconds": IDLE_SECONDS, "clock": self.clock, **options}

    def wait_for_bytes(self, driver: Driver, *connections: int) -> None:
        """Wait until the open streams have received so many bytes."""
        backlog = driver.reader.reading.receiver.backlog
        expected = sorted(connections)
        wait_until(lambda: sorted(stream.cutter.received for stream in backlog.open_streams()) == expected)


class Pipe(Live):
    """A pipe, as the standard input; its end is that of the stream.

    In another process a new stream begins where the earlier one was.
    """

    streams = 1
    on_the_way = 0

    def open(self, **options: Any) -> None:
        reading, writing = os.pipe()
        standard = self.stack.enter_context(os.fdopen(reading, "rb"))
        self.pipe = self.stack.enter_context(os.fdopen(writing, "wb", buffering=0))
        self.stack.enter_context(mock.patch.object(sys, "stdin", SimpleNamespace(buffer=standard)))
        self.source = StdinLines(**self.options(options))

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        assert driver is not None
        self.pipe.write(data)
        self.on_the_way += len(data)
        self.wait_for_bytes(driver, self.on_the_way)

    def attach(self, driver: Driver) -> None:
        streams = driver.reader.reading.receiver.backlog.open_streams()
        self.on_the_way = streams[0].cutter.received if streams else 0

    def end(self, driver: Driver) -> None:
        super().end(driver)
        self.pipe.close()
        receiver = driver.reader.reading.receiver
        # Time passes no earlier: silence that was too long would end it before it came to its end.
        wait_until(lambda: receiver.is_finished, self.wake)

    def wake(self) -> None:
        """Let whoever reads the pipe go on."""


class Command(Pipe):
    """A command that prints what a pipe with a name has. One that is run again would print everything again."""

    can_move = False

    def open(self, **options: Any) -> None:
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        # Both ways, so that it opens before somebody reads.
        self.pipe = self.stack.enter_context(os.fdopen(os.open(fifo, os.O_RDWR), "wb", buffering=0))
        self.source = ProcessLines(parse_address(f"exec:cat {fifo}"), **self.options(options))

    def wake(self) -> None:
        """Be a writer for a moment: without one, a command that has just started waits to open the pipe."""
        with contextlib.suppress(OSError):  # nobody reads it
            os.close(os.open(self.folder / "fifo", os.O_WRONLY | os.O_NONBLOCK))


class TcpPeers(Live):
    """Peers that connect to us, each with its connection; to be stalled is to hang up between two records."""

    has_one_order = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.peers: list[socket.socket | None] = [None] * self.streams
        self.on_the_way = [0] * self.streams

    def open(self, **options: Any) -> None:
        self.source = TcpLines((parse_address("tcp-listen://127.0.0.1:0"),), **self.options(options))

    def hang_up(self) -> None:
        for number, peer in enumerate(self.peers):
            if peer is not None:
                peer.close()
                self.forget(number)

    def forget(self, stream: int) -> None:
        """Take away the record that was begun on a connection: it will never have its end."""
        self.peers[stream] = None
        self.on_the_way[stream] = 0
        whole = self.sent[stream].rfind(b"\n") + 1
        if self.sent[stream][whole:]:
            self.torn.append(self.sent[stream][whole:])
        self.sent[stream], self.rest[stream] = self.sent[stream][:whole], b""

    def connect(self, stream: int, driver: Driver) -> socket.socket:
        return socket.create_connection(driver.reader.reading.receiver.bound[0], PATIENCE_SECONDS)

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        assert driver is not None
        peer = self.peers[stream]
        if peer is None:
            peer = self.peers[stream] = self.connect(stream, driver)
        peer.sendall(data)
        self.on_the_way[stream] += len(data)
        self.wait_for_connections(driver)

    def wait_for_connections(self, driver: Driver) -> None:
        counts = [count for count, peer in zip(self.on_the_way, self.peers, strict=True) if peer is not None]
        self.wait_for_bytes(driver, *counts)

    def stall(self, stream: int, driver: Driver | None) -> None:
        peer = self.peers[stream]
        if driver is not None and peer is not None and self.sent[stream].endswith(b"\n"):
            peer.close()
            self.forget(stream)
            self.wait_for_connections(driver)

    def end(self, driver: Driver) -> None:
        """Hang up in order: a last record may lack its line end."""
        super().end(driver)
        for peer in filter(None, self.peers):
            peer.close()
        backlog = driver.reader.reading.receiver.backlog
        wait_until(lambda: not any(stream.cutter.received for stream in backlog.open_streams()))

    def close(self) -> None:
        self.hang_up()
        super().close()


class TcpServers(TcpPeers):
    """Servers that we connect to, and again whenever they hang up."""

    def open(self, **options: Any) -> None:
        self.servers = []
        for _ in range(self.streams):
            server = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            server.settimeout(0)
            self.servers.append(server)
        addresses = tuple(parse_address(f"tcp://127.0.0.1:{server.getsockname()[1]}") for server in self.servers)
        self.source = TcpLines(addresses, **self.options(options))

    def attach(self, driver: Driver) -> None:
        for stream, peer in enumerate(self.peers):
            if peer is None:
                self.accept(stream)
        self.wait_for_connections(driver)

    def accept(self, stream: int) -> None:
        def accept() -> bool:
            with contextlib.suppress(BlockingIOError):
                self.peers[stream], _ = self.servers[stream].accept()
            return self.peers[stream] is not None

        wait_until(accept, lambda: self.clock.pass_seconds(0.01))

    def stall(self, stream: int, driver: Driver | None) -> None:
        peer = self.peers[stream]
        if driver is not None and peer is not None and self.sent[stream][-1:] in (b"", b"\n"):
            peer.close()
            self.forget(stream)
            self.accept(stream)
            self.wait_for_connections(driver)


class UdpPeers(Live):
    """Peers that send datagrams, of whole records."""

    has_fragments = False
    has_one_order = False

    def open(self, **options: Any) -> None:
        self.peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(self.streams)]
        for peer in self.peers:
            self.stack.enter_context(peer)
        self.source = UdpLines((parse_address("udp-listen://127.0.0.1:0"),), **self.options(options))

    def deliver(self, stream: int, data: bytes, driver: Driver | None) -> None:
        assert driver is not None
        receiver = driver.reader.reading.receiver
        before = receiver.datagrams
        self.peers[stream].sendto(data, receiver.bound[0])
        wait_until(lambda: receiver.datagrams > before)
