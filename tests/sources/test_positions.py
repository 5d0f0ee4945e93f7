"""Positions: whatever is written, rotated, read, acknowledged and killed, in whatever order, nothing is lost."""

from __future__ import annotations

import gzip
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block
from sources import drain
from sources.files.chunks import ByteRange
from sources.files.follow import GRACE_SECONDS, FollowLines
from sources.files.replay import FileReplay
from sources.pacing import Pace
from sources.positions import delivery
from sources.positions.delivery import Delivery, Ledger, Stand, Standing, Tail
from sources.positions.position import FilePosition, find_again, first_position, identity_of
from sources.positions.source import go_on
from tests.fakes import FakeClock
from transforms.untyped.infer_schema import Shape

LINES = Shape().record_type


@pytest.fixture(autouse=True)
def _no_drain() -> Iterator[None]:
    yield
    drain.reset()


class World:
    """A folder that is written to, and runs that read it into one output; each line is one of its kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.numbers = itertools.count()
        self.written: set[bytes] = set()
        self.torn: set[bytes] = set()
        self.output: Counter[bytes] = Counter()
        self.may_double: Counter[bytes] = Counter()
        self.kept: list = []
        self.notes: list[str] = []
        self.delivery: Delivery | None = None

    def write(self, path: Path, lines: int, *, is_torn: bool = False) -> None:
        """Append lines behind a whole one; the last one lacks its line end where it is torn."""
        self.end_line(path)
        new = [b"%04d" % next(self.numbers) for _ in range(lines)]
        self.written.update(new)
        data = b"\n" * (lines % 3) + b"".join(line + b"\n" for line in new)
        if path.suffix == ".gz":
            data = gzip.compress(data, 1)
        with path.open("ab") as file:
            file.write(data[:-1] if is_torn and lines and path.suffix != ".gz" else data)

    def end_line(self, path: Path, rest: bytes = b"") -> None:
        """End the last line, if it has no end; with a rest it is another line than the one that may have been read."""
        data = path.read_bytes() if path.exists() and path.suffix != ".gz" else b""
        if data and not data.endswith(b"\n"):
            last = data.rpartition(b"\n")[2]
            if rest:
                self.torn.add(last)
                self.written.discard(last)
                self.written.add(last + rest)
            with path.open("ab") as file:
                file.write(rest + b"\n")

    def begin(self, source) -> None:
        """Start a run, as the same command again would."""
        self.delivery = Delivery()
        self.under_way: list[Block] = []
        self.put_out: list[Block] = []
        self.unacknowledged: list[Block] = []
        positioned = go_on(source, self.kept, self.delivery, self.notes.append, sinks=1, keeps_rejected=True)
        self.keep()
        (part,) = positioned.split(8)
        self.reader = part.create_reader(None, None)
        self.step = self.reader.start

    def read(self) -> bool:
        """Take a block, if there is one."""
        has_block = self.step()
        self.step = self.reader.advance
        if has_block:
            self.under_way.append(self.reader.get_current())
        return has_block

    def put(self, at: int) -> None:
        """Write one of the blocks that are under way; the first of its lines may be filtered, and all, too."""
        if self.under_way:
            block = self.under_way.pop(at % len(self.under_way))
            delivery.sort_out(block.receipt, 1, 0)
            self.output.update(filter(None, block.data.splitlines()))
            self.put_out.append(block)
            self.unacknowledged.append(block)

    def acknowledge(self, at: int) -> None:
        """Acknowledge one of those that were written."""
        if self.unacknowledged:
            delivery.deliver(self.unacknowledged.pop(at % len(self.unacknowledged)).receipt)

    def keep(self) -> None:
        """Write the positions."""
        positions, self.first = self.delivery.ledger(0).covered()
        self.kept = list(positions.values())

    def kill(self) -> None:
        """Forget everything but what is on the disk: the positions, the files and the output."""
        if self.delivery is not None:
            for block in self.put_out:
                if int(block.receipt.rpartition("/")[2]) >= self.first:
                    self.may_double.update(block.data.splitlines())
            self.reader.close()
            self.delivery.close()
            self.delivery = None

    def finish(self) -> None:
        """Write and acknowledge everything, and end."""
        while self.under_way:
            self.put(0)
        while self.unacknowledged:
            self.acknowledge(0)
        self.keep()
        assert self.first == len(self.put_out)
        self.kill()

    def check(self) -> None:
        """See that nothing is lost, and nothing doubled but what was under way."""
        assert not self.written - self.output.keys()
        assert not self.output.keys() - self.written - self.torn
        doubled = {line: count - 1 for line, count in self.output.items() if count > 1}
        assert not {line: count for line, count in doubled.items() if count > self.may_double[line]}


SMALL = st.integers(0, 7)
#: What may happen to files that are followed, and to the run that follows them.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(["a", "b"]), st.integers(1, 9), st.booleans()),
        st.tuples(st.just("end line"), st.sampled_from(["a", "b"]), st.sampled_from([b"", b"x"])),
        st.tuples(st.just("rotate"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("read"), st.integers(1, 3)),
        st.tuples(st.just("put"), SMALL),
        st.tuples(st.just("acknowledge"), SMALL),
        st.tuples(st.just("keep")),
        st.tuples(st.just("kill")),
    ),
    max_size=40,
)


@given(STEPS, st.integers(6, 40))
def test_files_that_are_followed_lose_nothing_and_double_only_what_was_under_way(steps, block_bytes):
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        paths = [world.folder / "a", world.folder / "b"]
        for path in paths:
            path.touch()

        def source() -> FollowLines:
            names = tuple(str(path) for path in paths if path.exists())
            return FollowLines(names, LINES, idle_timeout_seconds=60.0, max_block_bytes=block_bytes, clock=world.clock)

        world.begin(source())
        rotated: set[str] = set()  # since the last look: of two, the first is not found
        for what, *how in steps:
            if world.delivery is None and what in ("read", "put", "acknowledge", "keep"):
                world.begin(source())
            if what == "read":
                for _ in range(how[0]):
                    world.read()
                    world.clock.pass_seconds(0.1)
                world.keep()
                rotated.clear()
            elif what in ("put", "acknowledge", "keep", "kill"):
                getattr(world, what)(*how)
            elif what != "rotate" or how[0] not in rotated:
                change(world, what, world.folder / how[0], *how[1:])
                (world.folder / how[0]).touch()
                rotated |= {how[0]} if what == "rotate" else set()
        if world.delivery is None:
            world.begin(source())
        for _ in range(100 + 2 * sum(path.stat().st_size for path in world.folder.iterdir())):
            if not world.read() and world.reader.get_watermark() >= MAX_TIMESTAMP:
                break
            world.clock.pass_seconds(GRACE_SECONDS + 1)
        world.finish()
        world.check()


#: What may happen to files that are read to their end again and again, before a run and in the middle of it.
CHANGES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(["a", "b", "c.gz"]), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("end line"), st.sampled_from(["a", "b"]), st.sampled_from([b"", b"x"])),
    st.tuples(st.just("rotate"), st.sampled_from(["a", "b", "c.gz"])),
)
READS = st.one_of(
    st.tuples(st.just("read"), st.just(1)),
    st.tuples(st.just("put"), SMALL),
    st.tuples(st.just("acknowledge"), SMALL),
    st.tuples(st.just("keep")),
)
#: A run: what happens before it and while it reads; and whether it comes to its end, or is killed.
RUN = st.tuples(st.lists(CHANGES, max_size=5), st.lists(st.one_of(CHANGES, READS, READS), max_size=12), st.booleans())


@given(st.lists(RUN, max_size=5), st.integers(6, 40), st.booleans())
def test_files_that_are_read_to_their_end_lose_nothing_and_double_only_what_was_under_way(runs, block_bytes, is_paced):
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for before, meanwhile, is_ended in [*runs, ([], [], True)]:
            for what, name, *how in before:
                change(world, what, world.folder / name, *how)
            names = [str(world.folder / name) for name in ("a", "b", "c.gz") if (world.folder / name).exists()]
            pace = Pace(interval=(0.1, 0.1)) if is_paced else Pace()
            pieces = tuple(map(ByteRange, names))
            world.begin(FileReplay(pieces, LINES, pace, max_records=10**9, block_bytes=block_bytes, clock=world.clock))
            for what, *how in meanwhile:
                if what == "read":
                    with suppress(OSError):  # of a file that was renamed before it was opened
                        world.read()
                    world.clock.pass_seconds(0.1)
                elif what in ("put", "acknowledge", "keep"):
                    getattr(world, what)(*how)
                elif what != "end line":
                    change(world, what, world.folder / how[0], *how[1:])
            with suppress(OSError):
                while is_ended and (world.read() or world.reader.get_watermark() < MAX_TIMESTAMP):
                    world.clock.pass_seconds(0.1)
                if is_ended:
                    world.finish()
            world.kill()
        world.check()


def change(world: World, what: str, path: Path, *how) -> None:
    """Write to a file, end its last line, or rename it."""
    if what == "write":
        world.write(path, *how[:1], is_torn=how[1])
    elif what == "end line":
        world.end_line(path, *how)
    elif identity_of(str(path)) in {position.key for position in world.kept}:  # one that nobody knows is not found
        path.rename(path.with_name(f"{next(world.numbers)}-{path.name}"))


def test_a_block_is_covered_when_it_and_all_before_it_are_acknowledged_by_everybody():
    ledger = Ledger(None, 2, keeps_rejected=True)

    def covered() -> tuple[set, int]:
        positions, first = ledger.covered()
        return {position.offset for position in positions.values()}, first

    for offset in (10, 20, 30):
        ledger.hand_out(Stand((FilePosition("a", 1, 1, 0, offset),)))
    ledger.sort_out(1, batches=0, rejected=0)  # all of it was filtered
    ledger.sort_out(0, batches=1, rejected=3)
    ledger.deliver(0)
    ledger.deliver(0)
    ledger.deliver(0, 2)
    assert covered() == (set(), 0)
    ledger.deliver(0)
    assert covered() == ({20}, 2)
    ledger.stand(Stand((FilePosition("a", 1, 1, 0, 35),)))
    assert covered() == ({20}, 2)
    ledger.sort_out(2, batches=0, rejected=1)
    with pytest.raises(ValueError, match="block 2 is acknowledged once too often"):
        ledger.deliver(2, 2)
    ledger.deliver(2)
    assert covered() == ({35}, 3)
    with pytest.raises(ValueError, match="block 2 is not under way"):
        ledger.deliver(2)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3)), max_size=12),
    st.permutations(range(12)),
    st.integers(0, 12),
)
def test_the_lines_of_an_output_that_are_not_covered_are_counted_exactly(writes, order, acknowledged):
    run = Delivery()
    sources = [run.add(Ledger(None, 1, keeps_rejected=False)) for _ in range(2)]
    run.open_log("out", Tail(1, 1, 100))
    receipts, end, lines = [], 100, {}
    for source, number in writes:
        block = run.ledger(source).hand_out(Stand())
        receipts.append(run.receipt(sources[source], block))
        delivery.sort_out(receipts[-1], 1, 0)
        end += 2 * number
        delivery.log("out", Standing(1, 1, end, 2 * number), {receipts[-1]: number})
        lines[source, block] = number
    for at in [at for at in order if at < len(receipts)][:acknowledged]:
        delivery.deliver(receipts[at])
    _, tails = run.covered()
    behind = sum(number for (source, block), number in lines.items() if block >= run.ledger(source).covered()[1])
    assert (end - tails["out"].size) // 2 - tails["out"].lines == behind
    run.close()


def test_a_file_is_known_again_however_it_has_changed(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    position = first_position(str(path)).behind(b"one\n", 4)
    assert find_again(position).position == position
    # Systems give devices other numbers when they start, and inodes to other files.
    assert find_again(position._replace(device=position.device + 1)).position == position
    assert find_again(position._replace(born=position.born + 1)).path == ("" if position.born else str(path))
    path.rename(tmp_path / "log.1")
    assert find_again(position)[:3] == (str(tmp_path / "log.1"), position, True)
    (tmp_path / "log.1").write_bytes(b"ane\ntwo\n")
    found = find_again(position)
    assert (found.position.offset, found.note) == (
        0,
        f"{path} was written anew since its position was kept: it is read from its start",
    )
    (tmp_path / "log.1").write_bytes(b"on")
    assert "became shorter" in find_again(position).note
    (tmp_path / "log.1").unlink()
    assert find_again(position) == (
        "", position, False, f"{path} is not there any more: what it had behind byte 4 is lost", b"",
    )  # fmt: skip
    assert not find_again(position._replace(is_done=True)).note
