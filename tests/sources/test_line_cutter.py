"""Cutting streams into lines, and the standard input."""

from __future__ import annotations

import os
import pickle
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.record_type import RecordType
from sources import drain
from sources.line_cutter import LineCutter, Piece
from sources.live.stdin import StdinLines
from tests.fakes import Driver

LIMIT = 12
TICK = RecordType("tick", ("time", "n"), (), "time")

streams = st.lists(st.sampled_from([b"\n", b"\n", b"a", b"bc", b"0123456789", b"\r", b"\xff\x00"])).map(b"".join)


def cut_into_packets(stream: bytes, sizes: list[int]) -> list[bytes]:
    packets = []
    while stream and sizes:
        packets.append(stream[: sizes[0]])
        stream, sizes = stream[sizes[0] :], sizes[1:]
    return [*packets, stream] if stream else packets


def expected_records(stream: bytes, limit: int, torn: str) -> list[tuple[bytes, int, str]]:
    """The rule that the cutter has to equal, said one record at a time."""
    *whole, tail = stream.split(b"\n")
    expected = []
    position = 0
    for record in whole:
        if len(record) > limit:
            expected.append((record[:limit], position, f"record longer than {limit} bytes"))
        else:
            expected.append((record + b"\n", position, ""))
        position += len(record) + 1
    if len(tail) > limit:
        expected.append((tail[:limit], position, f"record longer than {limit} bytes"))
    elif tail:
        expected.append((tail, position, torn) if torn else (tail + b"\n", position, ""))
    return expected


def records_of(pieces: list[Piece]) -> list[tuple[bytes, int, str]]:
    records = []
    for piece in pieces:
        position = piece.position
        for record in [piece.data] if piece.fault else re.findall(rb"[^\n]*\n", piece.data):
            records.append((record, position, piece.fault))
            position += len(record)
    return records


@given(streams, st.lists(st.integers(1, 9)), st.sampled_from(["", "torn"]))
def test_any_packets_give_the_records_of_a_split(stream: bytes, sizes: list[int], torn: str) -> None:
    cutter = LineCutter(LIMIT)
    pieces = [piece for packet in cut_into_packets(stream, sizes) for piece in cutter.feed(packet)]
    pieces += cutter.end(torn)
    assert records_of(pieces) == expected_records(stream, LIMIT, torn)
    assert cutter.received == len(stream)


def test_an_overlong_record_shows_its_first_4_kib() -> None:
    cutter = LineCutter(1 << 20)
    pieces = [piece for _ in range(160) for piece in cutter.feed(b"x" * (1 << 16))] + cutter.feed(b"x\ngood\n")
    assert pieces == [
        Piece(b"x" * 4096, 0, "record longer than 1048576 bytes"),
        Piece(b"good\n", (160 << 16) + 2),
    ]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as end:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe))
        yield end
    drain.reset()


def test_stdin_is_read_to_its_end(stdin) -> None:
    reader = StdinLines(TICK, disorder_micros=7).create_reader(None, None)
    stdin.write(b"2020-01-01 00:00:00\t1\n2020-01-01 00:00:01\t2")
    stdin.close()
    driver = Driver(reader).until_end()
    assert driver.data == b"2020-01-01 00:00:00\t1\n2020-01-01 00:00:01\t2\n"
    assert {block.locate(0)[0] for block in driver.blocks} == {"stdin"}
    reader.close()
    assert not reader.reading.receiver.is_alive()


def test_stdin_goes_on_in_mid_record_after_its_reader_was_closed(stdin) -> None:
    source = StdinLines(TICK)
    reader = source.create_reader(None, None)
    stdin.write(b"one\ntwo\nthr")
    assert Driver(reader).until_records(2).data == b"one\ntwo\n"
    mark = reader.get_checkpoint_mark()
    reader.close()
    coder = source.get_checkpoint_mark_coder()
    again = source.create_reader(None, coder.decode(coder.encode(mark)))
    stdin.write(b"ee\nfour")
    stdin.close()
    assert Driver(again).until_end().data == b"three\nfour\n"
    again.close()


def test_a_quiet_stdin_can_be_drained(stdin) -> None:
    reader = StdinLines(TICK).create_reader(None, None)
    stdin.write(b"whole\nfragment")
    driver = Driver(reader).until_records(1)
    drain.drain()
    driver.until_end()
    assert driver.data == b"whole\n"
    assert driver.faults == [(b"fragment", "stopped in mid-record")]
    reader.close()


def test_the_source_pickles() -> None:
    source = StdinLines(TICK, max_records=3)
    assert pickle.loads(pickle.dumps(source)) == source
