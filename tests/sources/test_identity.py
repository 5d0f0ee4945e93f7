"""The identity of records, of every source: no two have the same one, and to read again or go on gives the same."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.block import Block
from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import RecordType
from schemas.text.lines import find_lines
from sources import drain
from sources import progress as board
from sources.address import parse_address
from sources.files.chunks import ByteRange
from sources.files.follow import GRACE_SECONDS, FollowLines
from sources.files.replay import FileReplay
from sources.kafka.client import Brokers
from sources.kafka.source import KafkaTopics
from sources.live.stdin import StdinLines
from sources.live.tcp import TcpLines
from sources.live.udp import FORGET_SECONDS, UdpLines
from sources.read import Read
from tests.brokers import Broker
from tests.fakes import Driver, FakeClock, listening, serving

LINE = RecordType("line", ("text",), (), "", form=JSON_LINES)

Identity = tuple[str, str, int]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    board.reset()
    drain.reset()
    yield
    board.reset()
    drain.reset()


def identities(blocks: Sequence[Block]) -> dict[Identity, bytes]:
    """Gives the records by their identities, and fails where two have the same."""
    found: dict[Identity, bytes] = {}
    for block in blocks:
        lines = find_lines(block.data)
        origins, positions = block.locate_all(lines.starts)
        records = [block.data[start:stop] for start, stop in zip(lines.starts, lines.stops, strict=True)]
        places = list(zip(origins.to_list(), positions.tolist(), strict=True))
        if block.fault:
            records, places = [block.data], [block.locate(0)]
        for place, record in zip(places, records, strict=True):
            assert (block.scope, *place) not in found, f"twice: {place}"
            found[(block.scope, *place)] = record
    return found


@contextlib.contextmanager
def driving(source: Any, mark: Any = None) -> Iterator[Driver]:
    reader = source.create_reader(None, mark)
    try:
        yield Driver(reader)
    finally:
        reader.close()


def settle(driver: Driver) -> list[Block]:
    """Takes all that there is."""
    before = len(driver.blocks)
    while driver.step() or driver.step():
        pass
    return driver.blocks[before:]


def read_to_the_end(source: Any, mark: Any = None) -> dict[Identity, bytes]:
    with driving(source, mark) as driver:
        driver.until(lambda driver: driver.is_ended)
    return identities(driver.blocks)


def resume_everywhere(source: Any, again: Any) -> dict[Identity, bytes]:
    """Reads to the end, and at every mark of the way again from there, which has to give the rest and nothing else."""
    with driving(source) as driver:
        marks = [(0, driver.reader.get_checkpoint_mark())]
        while not driver.is_ended:
            if driver.step():
                marks.append((len(driver.blocks), driver.reader.get_checkpoint_mark()))
    for done, mark in marks:
        assert read_to_the_end(again, mark) == identities(driver.blocks[done:])
    return identities(driver.blocks)


@settings(max_examples=20)
@given(
    # With a digit before, no file is an archive, compressed, or UTF-16.
    st.lists(
        st.lists(st.binary(max_size=12).map(lambda raw: b"0" + re.sub(b"[\n\r\0]", b"", raw)), max_size=9), min_size=1
    ),
    st.integers(16, 60),
)
def test_records_of_files_have_the_same_identity_however_they_are_read(
    contents: list[list[bytes]], block_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.txt{'.gz' * (number % 2)}" for number in range(len(contents))]
        for path, lines in zip(paths, contents, strict=True):
            data = b"\n".join(lines)
            Path(path).write_bytes(gzip.compress(data) if path.endswith(".gz") else data)
        pieces = [ByteRange(path) for path in paths]
        expected = read_to_the_end(FileReplay(pieces, LINE))
        assert {scope for scope, _, _ in expected} <= {""}
        for most in (None, sys.maxsize):  # as fast as possible, and in order
            small = FileReplay(pieces, LINE, block_bytes=block_bytes, max_records=most)
            assert resume_everywhere(small, small) == expected


def test_a_file_has_one_origin_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("1\n2\n")
    (tmp_path / "link").symlink_to("a.txt")
    (tmp_path / "below").mkdir()
    expected = read_to_the_end(FileReplay([ByteRange(str(tmp_path / "a.txt"))], LINE))
    monkeypatch.chdir(tmp_path / "below")
    for name in ("../a.txt", "../link", "../below/../a.txt"):
        assert read_to_the_end(FileReplay([ByteRange(name)], LINE)) == expected


def test_names_that_are_not_utf8_stay_apart(tmp_path: Path) -> None:
    names = [os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/\xfe", b"/\xff")]
    for name in names:
        Path(name).write_text("1\n")
    found = read_to_the_end(FileReplay([ByteRange(name) for name in names], LINE))
    assert len(found) == 2
    assert all(origin.encode() for _, origin, _ in found)


STEPS = st.lists(st.sampled_from(["append", "append", "rename", "empty", "replace", "remove"]), max_size=12)


@settings(max_examples=30)
@given(STEPS, st.booleans())
def test_records_of_a_followed_file_keep_their_identity_through_every_rotation(
    steps: list[str], is_same_start: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log, clock = Path(folder) / "log", FakeClock()
        log.write_bytes(b"")
        source = FollowLines((str(log),), LINE, clock=clock)
        first = b"begin\n" if is_same_start else b""
        sent = 0
        with driving(source) as driver:
            marks = [(0, driver.reader.get_checkpoint_mark())]
            for step in [*steps, "append"]:
                if step == "rename" and log.exists():
                    log.rename(f"{log}.{sent}")
                elif step == "empty" and log.exists():
                    os.truncate(log, 0)
                elif step == "replace":
                    log.unlink(missing_ok=True)
                    log.write_bytes(first + b"%09d\n" % sent)
                elif step == "remove":
                    log.unlink(missing_ok=True)
                else:
                    with log.open("ab") as file:
                        file.write((b"" if log.stat().st_size else first) + b"%09d\n" % sent * 2 + b"part")
                sent += 1
                settle(driver)
                clock.pass_seconds(GRACE_SECONDS / 2)
                marks.append((len(driver.blocks), driver.reader.get_checkpoint_mark()))
        found = identities(driver.blocks)
        assert all(scope == "" for scope, _, _ in found)
        # What is still there is read again, by a reader that knows nothing, and by one with the last mark.
        with driving(source) as again:
            settle(again)
        if not is_same_start:
            assert identities(again.blocks).items() <= found.items()
        with log.open("ab") as file:
            file.write(b"more\n")
        rest = []
        for _, mark in marks[-2:]:
            with driving(source, mark) as later:
                settle(later)
            rest.append(identities(later.blocks))
        assert rest[-1].items() <= rest[0].items()
        assert len(rest[-1]) == 1
        assert not rest[-1].keys() & found.keys()


def test_connections_of_one_peer_are_told_apart() -> None:
    payloads = [b"%d\n" % number for number in range(20)]
    with serving(payloads) as port:
        source = TcpLines((parse_address(f"tcp://127.0.0.1:{port}"),), LINE)
        with driving(source) as driver:
            driver.until_records(len(payloads))
    assert list(identities(driver.blocks).values()) == [payload[:-1] for payload in payloads]
    assert len({origin for _, origin, _ in identities(driver.blocks)}) == len(payloads)


def test_a_port_that_connects_twice_is_two_connections() -> None:
    with driving(TcpLines((parse_address("tcp-listen://127.0.0.1:0"),), LINE)) as driver:
        driver.step()
        where = driver.reader.reading.receiver.bound[0]
        with listening() as free:
            own = free.getsockname()
        for number in range(2):
            with socket.socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # Reset, so that the port is free at once.
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.bind(own)
                peer.connect(where)
                peer.sendall(b"x\n")
                driver.until_records(number + 1)
    assert len(identities(driver.blocks)) == 2


def test_a_peer_of_udp_that_was_forgotten_is_another_one() -> None:
    clock = FakeClock()
    with (
        driving(UdpLines((parse_address("udp-listen://127.0.0.1:0"),), LINE, clock=clock)) as driver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        driver.step()
        for number in range(3):
            peer.sendto(b"one\ntwo\n", driver.reader.reading.receiver.bound[0])
            driver.until_records(2 * number + 2)
            clock.pass_seconds(FORGET_SECONDS + 1)
    assert len(identities(driver.blocks)) == 6


def test_commands_of_one_run_are_told_apart_and_so_are_runs() -> None:
    command = parse_address(r"exec:printf '1\n2\n'")
    found: dict[Identity, bytes] = {}
    for _ in range(2):
        sources = Read((command, command), LINE)._sources
        places = set()
        for source in sources:
            each = read_to_the_end(source)
            places |= {(origin, at) for _, origin, at in each}
            assert not each.keys() & found.keys()
            found |= each
        assert len(places) == 4
    assert len(found) == 8


def test_each_reading_of_the_standard_input_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for _ in range(2):
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as standard, os.fdopen(writing, "wb") as other:
            other.write(b"1\n2\n")
            other.close()
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=standard))
            found.append(read_to_the_end(StdinLines(LINE)))
    assert [len(each) for each in found] == [2, 2]
    assert not found[0].keys() & found[1].keys()


def test_messages_have_the_same_identity_whoever_reads_them_and_a_topic_made_anew_has_others(kafka: Broker) -> None:
    def read(mark: Any = None, count: int = 60) -> tuple[dict[Identity, bytes], Any]:
        source = KafkaTopics(Brokers(kafka.servers), (topic,), LINE, max_block_bytes=40)
        with driving(source, mark) as driver:
            driver.until(lambda driver: len(identities(driver.blocks)) >= count)
            return identities(driver.blocks), driver.reader.get_checkpoint_mark()

    topic = kafka.create_topic(partitions=2)
    values = [b'{"n":%d}' % number + b"\n" * (number % 3) for number in range(60)]
    kafka.produce(topic, values)
    first, _ = read()
    assert {origin for _, origin, _ in first} == {f"{topic}[{p}]@{at}" for p in range(2) for at in range(30)}
    part, mark = read(count=20)
    rest, _ = read(mark, 60 - len(part))
    assert part | rest == first
    assert len(part) + len(rest) == 60
    kafka.delete_topic(topic)
    kafka.create_topic(topic, partitions=2)
    kafka.produce(topic, values)
    anew, _ = read()
    assert not anew.keys() & first.keys()
    assert {key[1:] for key in anew} == {key[1:] for key in first}
