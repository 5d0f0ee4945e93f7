"""The contract of every source: what was fed comes, once and in order, however it is polled, stopped and gone on with.

The rules are what peers, a runner and its crashes do. The models of the sources are in :mod:`tests.sources.worlds`.
"""

from __future__ import annotations

import gzip
import itertools
import pickle
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from apache_beam.utils.timestamp import Timestamp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.elements.block import Block
from sources import drain, progress
from sources.files.chunks import ByteRange
from sources.files.follow import FollowLines
from sources.files.replay import FileReplay
from tests.fakes import Driver
from tests.sources.worlds import (
    NUMBERED,
    RECORD_BYTES,
    Command,
    Files,
    FollowedFiles,
    PacedFiles,
    Pipe,
    RepeatedFiles,
    TcpPeers,
    TcpServers,
    Topics,
    UdpPeers,
    World,
    numbered,
    stream_of,
    wait_until,
)

Identity = tuple[str, str, int]
Record = tuple[Identity, bytes]


@dataclass
class Moment:
    """A checkpoint: its mark as bytes, and what had been handed out before it."""

    encoded: bytes
    records: int
    watermark: Timestamp


@dataclass(eq=False)
class Part:
    """One part of a source, as a runner knows it: its reader, and what it has of it for good."""

    source: Any
    pickled: bytes
    records: list[Record] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    driver: Driver | None = None
    #: Readers that a runner has not let go of yet.
    abandoned: list[Driver] = field(default_factory=list)

    @property
    def coder(self) -> Any:
        return self.source.get_checkpoint_mark_coder()


def records_of(block: Block) -> list[Record]:
    starts = [0, *itertools.accumulate(map(len, block.data.splitlines(keepends=True)))][:-1]
    lines = block.data.splitlines()
    return [((block.scope, *block.locate(at)), line) for at, line in zip(starts, lines, strict=True) if line]


class SourceMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, the model of the world and what came agree."""

    kind: ClassVar[type[World]]

    @initialize(
        block_bytes=st.integers(1, 100),
        max_records=st.none() | st.integers(1, 12),
        splits=st.integers(1, 5),
        counts=st.lists(st.integers(0, 6), min_size=4, max_size=4),
        has_line_end=st.booleans(),
    )
    def start(
        self, block_bytes: int, max_records: int | None, splits: int, counts: list[int], has_line_end: bool
    ) -> None:
        progress.watch()
        self.folder = tempfile.TemporaryDirectory()
        self.world = self.kind(Path(self.folder.name))
        self.limit = max_records
        self.numbers = [0] * self.world.streams
        self.seen: dict[Identity, bytes] = {}
        if not self.world.is_growing:
            for stream in range(self.world.streams):
                self.world.feed(
                    stream, self.fresh(stream, max(counts[stream], self.world.least)), None, cut=not has_line_end
                )
        self.world.open(max_block_bytes=block_bytes, max_records=max_records)
        self.limit = getattr(self.world.source, "max_records", None)
        parts = pickle.loads(pickle.dumps(self.world.source.split(splits)))
        assert 1 <= len(parts) <= splits
        self.parts = [Part(part, pickle.dumps(part)) for part in parts]
        for part in self.parts:
            self.resume(part, None)
            part.moments.append(self.moment(part))

    def teardown(self) -> None:
        try:
            if hasattr(self, "parts") and sys.exc_info()[0] is None:
                self.come_to_the_end()
        finally:
            for part in getattr(self, "parts", ()):
                for driver in [*part.abandoned, *filter(None, [part.driver])]:
                    driver.reader.close()
            self.world.close()
            self.folder.cleanup()
            drain.reset()
            progress.reset()

    def fresh(self, stream: int, count: int) -> bytes:
        """Return records that were never fed before, in the order of their times."""
        first = self.numbers[stream]
        self.numbers[stream] += count
        return b"".join(numbered(stream, number) for number in range(first, first + count))

    def resume(self, part: Part, moment: Moment | None) -> None:
        """Have a new reader go on behind a checkpoint, made of nothing but bytes, as another process does it."""
        source = part.source = pickle.loads(part.pickled)
        mark = None if moment is None else part.coder.decode(moment.encoded)
        driver = part.driver = Driver(source.create_reader(None, mark))
        if moment is not None:
            driver.watermark = moment.watermark
            del part.records[moment.records :]
        self.poll_once(part)
        self.world.attach(driver)

    def poll_once(self, part: Part) -> bool:
        driver = part.driver
        assert driver is not None
        if not driver.step():
            return False
        block = driver.blocks.pop()
        if block.fault:
            part.faults.append(block.data)
            return True
        found = records_of(block)
        for identity, record in found:
            assert self.seen.setdefault(identity, record) == record, "one identity, two records"
        part.records += found
        return True

    def moment(self, part: Part) -> Moment:
        """Take a checkpoint, which is the same when it was bytes."""
        driver = part.driver
        assert driver is not None
        mark = driver.reader.get_checkpoint_mark()
        coder = part.coder
        encoded = coder.encode(mark)
        assert coder.is_deterministic()
        assert coder.decode(encoded) == mark
        assert coder.encode(coder.decode(encoded)) == encoded
        return Moment(encoded, len(part.records), driver.watermark)

    def part(self, number: int) -> Part:
        return self.parts[number % len(self.parts)]

    @property
    def records(self) -> list[Record]:
        return [record for part in self.parts for record in part.records]

    @property
    def driver(self) -> Driver | None:
        """The reader that peers of a live source meet."""
        return self.parts[0].driver

    @property
    def is_done(self) -> bool:
        """Whether as many records came as were asked for."""
        return self.limit is not None and self.counted >= self.limit

    @property
    def counted(self) -> int:
        """How many records came, torn ones among them."""
        return sum(len(part.records) + len(part.faults) for part in self.parts)

    # What feeds it.

    @precondition(lambda self: self.world.is_growing and (self.world.can_rewind or (self.driver and not self.is_done)))
    @rule(stream=st.integers(0, 3), count=st.integers(1, 6), cut=st.integers(0, RECORD_BYTES - len("0.")))
    def feed(self, stream: int, count: int, cut: int) -> None:
        stream %= self.world.streams
        self.world.feed(stream, self.fresh(stream, count), self.driver, cut)

    @precondition(lambda self: self.driver and not self.is_done)
    @rule(stream=st.integers(0, 3))
    def stall(self, stream: int) -> None:
        self.catch_up()
        if self.is_done:
            return
        self.world.stall(stream % self.world.streams, self.driver)
        for part in self.parts:
            if part.driver is not None:
                self.poll_once(part)
                if isinstance(self.world, FollowedFiles):  # it finds one rotation since a checkpoint, not two
                    part.moments = [self.moment(part)]

    # What a runner does.

    @rule(number=st.integers(0, 3), times=st.integers(1, 5))
    def poll(self, number: int, times: int) -> None:
        part = self.part(number)
        for _ in range(times if part.driver else 0):
            if not self.poll_once(part):
                self.world.clock.pass_seconds(0.1)

    @rule()
    def catch_up(self) -> None:
        """Poll until everything that there is has come, if a reader is there for it."""
        if all(part.driver for part in self.parts):
            wanted = sum(map(len, self.world.available))

            def is_all() -> bool:
                while sum(self.poll_once(part) for part in self.parts):
                    pass
                return self.is_done or len(self.records) >= wanted

            wait_until(is_all, self.world.wait)

    @rule(number=st.integers(0, 3), is_finalized=st.booleans())
    def checkpoint(self, number: int, is_finalized: bool) -> None:
        part = self.part(number)
        if part.driver is None:
            return
        part.moments.append(self.moment(part))
        if is_finalized:
            mark = part.driver.reader.get_checkpoint_mark()
            for each in (mark, mark, part.coder.decode(part.moments[-1].encoded)):
                each.finalize_checkpoint()

    @precondition(lambda self: self.world.can_rewind or not self.is_done)
    @rule(number=st.integers(0, 3), which=st.integers(0, 9), is_closed=st.booleans(), is_moved=st.booleans())
    def crash_and_go_on(self, number: int, which: int, is_closed: bool, is_moved: bool) -> None:
        """Lose what came after some checkpoint, and go on from there with another reader, of another process or not."""
        part = self.part(number)
        if part.driver is None:
            return
        is_moved &= self.world.can_move
        if self.world.can_rewind:
            which %= len(part.moments)
            del part.moments[which + 1 :]
        else:
            is_moved &= not any(self.world.rest)
            part.moments.append(self.moment(part))
        if is_closed or (is_moved and not self.world.can_rewind):
            self.close(part.driver)
            self.world.hang_up()
        else:
            part.abandoned.append(part.driver)
        if is_moved:
            self.move(part)
        self.resume(part, part.moments[-1])

    def move(self, part: Part) -> None:
        """Have the last checkpoint be one that this process does not know."""
        mark = part.coder.decode(part.moments[-1].encoded)
        other = {"token": uuid.uuid4().hex}
        mark = replace(mark, **other) if is_dataclass(mark) else mark._replace(**other)
        part.moments[-1].encoded = part.coder.encode(mark)
        if not self.world.can_rewind:  # what had been received is gone
            for stream in range(self.world.streams):
                came = [record for _, record in self.records if stream_of(record) == stream]
                self.world.sent[stream] = b"".join(record + b"\n" for record in came)

    @precondition(lambda self: self.world.can_rewind or not self.is_done)
    @rule(number=st.integers(0, 3))
    def stop(self, number: int) -> None:
        part = self.part(number)
        if part.driver is not None:
            part.moments.append(self.moment(part))
            self.close(part.driver)
            self.world.hang_up()
            part.driver = None

    @rule(number=st.integers(0, 3))
    def go_on(self, number: int) -> None:
        part = self.part(number)
        if part.driver is None:
            self.resume(part, part.moments[-1])

    @rule(number=st.integers(0, 3))
    def let_go(self, number: int) -> None:
        """Close readers that others have gone on from."""
        part = self.part(number)
        while part.abandoned:
            self.close(part.abandoned.pop(0))

    def close(self, driver: Driver) -> None:
        driver.reader.close()
        driver.reader.close()

    # What has to be so.

    @invariant()
    def every_record_that_came_was_fed_and_came_once_and_in_order(self) -> None:
        if not hasattr(self, "parts"):
            return
        is_shared = isinstance(self.world, Files) and len(self.parts) > 1  # parts may share one file
        for stream, fed in enumerate(self.world.ended):
            came = [(origin, record) for (_, origin, _), record in self.records if stream_of(record) == stream]
            records = [record for _, record in came]
            if self.world.has_one_order and not is_shared:
                assert records == fed[: len(records)]
                continue
            assert len({*records}) == len(records)
            assert {*records} <= {*fed}
            for origin in () if is_shared else {origin for origin, _ in came}:
                of_it = [record for one, record in came if one == origin]
                assert of_it == sorted(of_it, key=fed.index)
        if self.world.has_identities:
            assert len({identity for identity, _ in self.records}) == len(self.records)
        for part in self.parts:
            assert {*part.faults} <= {*self.world.torn}
        assert self.limit is None or self.counted <= self.limit

    @invariant()
    def a_source_that_is_used_pickles_as_before(self) -> None:
        for part in getattr(self, "parts", ()):
            assert pickle.dumps(part.source) == part.pickled

    def come_to_the_end(self) -> None:
        for number in range(len(self.parts)):
            self.go_on(number)
            self.let_go(number)
        self.catch_up()
        assert self.driver is not None
        if not self.is_done:
            self.world.end(self.driver)
        self.drive_to_the_end()
        if self.world.can_rewind:
            for part in self.parts:
                self.close(part.driver)
                self.resume(part, part.moments[0])
            self.drive_to_the_end()

    def drive_to_the_end(self) -> None:
        for part in self.parts:
            wait_until(lambda part=part: not self.poll_once(part) and part.driver.is_ended, self.world.wait)
            assert not self.poll_once(part)
        self.every_record_that_came_was_fed_and_came_once_and_in_order()
        assert self.counted == self.limit or len(self.records) == sum(map(len, self.world.ended))


def machine(kind: type[World], examples: int) -> Any:
    """Return the test of a source; its share of the examples is what it costs."""
    case = type(kind.__name__, (SourceMachine,), {"kind": kind}).TestCase
    case.settings = settings(max_examples=settings().max_examples * examples // 100, stateful_step_count=20)
    return case


TestFiles = machine(Files, 12)
TestPacedFiles = machine(PacedFiles, 12)
TestRepeatedFiles = machine(RepeatedFiles, 8)
TestFollowedFiles = machine(FollowedFiles, 20)
TestTopics = machine(Topics, 5)
TestPipe = machine(Pipe, 10)
TestCommand = machine(Command, 5)
TestTcpPeers = machine(TcpPeers, 10)
TestTcpServers = machine(TcpServers, 12)
TestUdpPeers = machine(UdpPeers, 10)

#: Reads each source on from its mark, to the end.
_GO_ON = """
import pickle, sys
from sources.files.chunks import ByteRange
from sources.files.follow import FollowLines
from sources.files.replay import FileReplay
from tests.fakes import Driver
for source, mark in pickle.load(sys.stdin.buffer):
    reader = source.create_reader(None, source.get_checkpoint_mark_coder().decode(mark))
    data = Driver(reader).until_end().data
    reader.close()
    sys.stdout.buffer.write(data)
"""


def test_another_process_goes_on_from_the_bytes_of_a_mark(tmp_path: Path) -> None:
    records = b"".join(numbered(0, number) for number in range(9))
    plain, packed = tmp_path / "a", tmp_path / "b.gz"
    plain.write_bytes(records)
    packed.write_bytes(gzip.compress(records))
    limits: dict[str, Any] = {"max_records": 8}
    sources = [
        FileReplay([ByteRange(str(packed))], NUMBERED, block_bytes=3 * RECORD_BYTES, **limits),
        FollowLines((str(plain),), NUMBERED, max_block_bytes=3 * RECORD_BYTES, **limits),
    ]
    stopped = []
    for source in sources:
        reader = source.create_reader(None, None)
        assert Driver(reader).step()
        stopped.append((source, source.get_checkpoint_mark_coder().encode(reader.get_checkpoint_mark())))
        reader.close()
    done = subprocess.run([sys.executable, "-c", _GO_ON], input=pickle.dumps(stopped), capture_output=True, check=True)
    assert done.stdout == b"".join(numbered(0, number) for number in range(3, 8)) * 2
