"""The watermark of many streams, and the backlog that stands between the receiving thread and the reader."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP
from hypothesis import given
from hypothesis import strategies as st

from schemas.bank import TRANSFERS
from schemas.elements.block import NOTHING_IS_LATE
from schemas.record_type import Dialect, RecordType
from schemas.times import to_datetime, to_micros
from sources.backlog import Backlog
from sources.line_cutter import LineCutter, Piece
from sources.watermark import SILENCE_SECONDS, Stream, Watermark
from tests.fakes import FakeClock

TICK = RecordType("tick", ("time", "n"), (), "time")
START = to_micros(datetime(2020, 1, 1, tzinfo=timezone.utc))


def micros(second: int) -> int:
    return START + second * 1_000_000


def tick(second: int, n: object = "x") -> bytes:
    return f"{to_datetime(micros(second)):%Y-%m-%d %H:%M:%S}\t{n}\n".encode()


def new_stream(backlog: Backlog, origin: str = "a:1") -> Stream:
    stream = Stream(origin, LineCutter(1 << 16))
    backlog.open(stream)
    return stream


def new_backlog(disorder_micros: int = 0, **options) -> Backlog:
    return Backlog(TICK, Watermark(disorder_micros), **options)


def waiting_stream(promised: int | None, heard: float = 0.0) -> Stream:
    stream = Stream("a", LineCutter(9), heard=heard, promised=promised)
    stream.pieces.append(Piece(b"", 0))
    return stream


def test_a_record_from_a_far_future_does_not_move_the_watermark() -> None:
    day = 86_400
    backlog = new_backlog(wall_clock=lambda: micros(1), arrivals=lambda: micros(1))
    stream = new_stream(backlog)
    for second, promised in ((1, 1), (day + 2, 1), (2, 2), (day + 1, day + 1)):
        backlog.receive(stream, tick(second))
        assert backlog.take(1 << 20) is not None
        assert backlog.watermark.value == micros(promised)


def test_silent_streams_do_not_hold_the_others() -> None:
    watermark = Watermark()
    quick, silent = Stream("a", LineCutter(9), heard=0.0), Stream("b", LineCutter(9), heard=0.0)
    watermark.take(quick, 100)
    watermark.take(silent, 40)
    assert watermark.move([quick, silent], listened=0.0) == 40
    quick.heard = 1.0
    assert watermark.move([quick, silent], listened=SILENCE_SECONDS / 2) == 40
    assert watermark.move([quick, silent], listened=1.0) == 100


def test_a_waiting_record_holds_the_watermark_however_long_it_waits() -> None:
    watermark = Watermark(disorder_micros=10)
    quick = Stream("a", LineCutter(9), heard=99.0)
    watermark.take(quick, 100)
    waiting = waiting_stream(promised=60)
    assert watermark.move([quick, waiting], listened=99.0) == 50
    waiting.pieces.clear()
    assert watermark.move([quick, waiting], listened=99.0) == 90


def test_when_all_are_silent_the_greatest_event_time_counts() -> None:
    watermark = Watermark()
    watermark.take(Stream("a", LineCutter(9)), 100)
    watermark.take(Stream("b", LineCutter(9)), 40)
    assert watermark.move([], listened=0.0) == 100


actions = st.lists(
    st.one_of(
        st.tuples(st.just("bring"), st.integers(0, 3), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.floats(0, 1), st.just(0)),
        st.tuples(st.just("look"), st.just(0), st.just(0)),
        st.tuples(st.just("take"), st.integers(1, 80), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 3), st.just(0)),
    ),
    max_size=60,
)


@given(actions, st.integers(0, 3))
def test_watermark_never_goes_back_and_never_passes_a_waiting_record(actions, disorder: int) -> None:
    clock = FakeClock()
    backlog = new_backlog(disorder * 1_000_000)
    streams = [new_stream(backlog, f"peer:{i}") for i in range(4)]
    reached = [0] * 4
    latest_promise = None
    brought = {f"peer:{i}": b"" for i in range(4)}
    taken = dict(brought)
    for what, which, step in [*actions, *[("take", 1 << 20, 0)] * 9]:
        if what == "wait":
            clock.pass_seconds(which)
        elif what == "look":
            backlog.listened([], clock())
        elif what == "take":
            found = backlog.take(which)
            if found is not None:
                block = found.block
                assert block.watermark == (NOTHING_IS_LATE if latest_promise is None else latest_promise)
                stops = [span.start for span in block.spans[1:]] + [len(block.data)]
                for span, stop in zip(block.spans, stops, strict=True):
                    assert span.position == len(taken[span.origin])
                    taken[span.origin] += block.data[span.start : stop]
            value = backlog.watermark.value
            if latest_promise is not None:
                assert value >= latest_promise
            moved = value != latest_promise
            latest_promise = value
            for stream in streams:
                if moved and stream.pieces:
                    oldest = TICK.event_micros(stream.pieces[0].data.split(b"\n")[0], Dialect())
                    assert value <= oldest - disorder * 1_000_000
        elif streams[which].is_open and what == "bring":
            reached[which] += step
            record = tick(reached[which], which)
            brought[f"peer:{which}"] += record
            backlog.listened([streams[which]], clock())
            backlog.receive(streams[which], record)
        elif streams[which].is_open:
            backlog.close(streams[which])
    assert taken == brought
    assert backlog.waiting_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=30), st.integers(1, 200), st.integers(1, 5))
def test_blocks_of_any_size_hold_the_same_whole_records(brought, max_bytes: int, max_records: int) -> None:
    backlog = new_backlog()
    streams = [new_stream(backlog, f"peer:{i}") for i in range(3)]
    expected = {stream.origin: b"" for stream in streams}
    for n, (which, count) in enumerate(brought):
        packet = b"".join(tick(n, f"{which}.{i}") for i in range(count))
        expected[streams[which].origin] += packet
        backlog.receive(streams[which], packet)
    got = dict.fromkeys(expected, b"")
    while (found := backlog.take(max_bytes, max_records)) is not None:
        data = found.block.data
        assert data.endswith(b"\n")
        assert 1 <= data.count(b"\n") <= max_records
        assert len(data) <= max_bytes or data.count(b"\n") == 1
        for start in [0, *(i + 1 for i in range(len(data) - 1) if data[i : i + 1] == b"\n")]:
            origin, position = found.block.locate(start)
            assert position == len(got[origin])
            got[origin] += data[start : data.index(b"\n", start) + 1]
    assert got == expected
    assert backlog.records == sum(count for _, count in brought)


@given(
    st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    st.lists(st.text("aZ09 ,;üé文", min_size=1), min_size=2, max_size=9).filter(lambda rows: rows[0].isascii()),
    st.integers(1, 99),
)
def test_lines_of_a_stream_in_utf16_are_rejected_one_by_one(encoding: str, rows: list[str], size: int) -> None:
    data = "".join(f"{row}\n" for row in ["id,name", *rows]).encode(encoding)
    backlog = new_backlog()
    stream = new_stream(backlog)
    for start in range(0, len(data), size):
        backlog.receive(stream, data[start : start + size])
    backlog.close(stream)
    taken = []
    while (found := backlog.take(1 << 20)) is not None:
        assert found.block.fault.startswith("text in UTF-")
        taken.append(found.block.data)
    assert b"".join(taken).removesuffix(b"\n") == data.removesuffix(b"\n")
    assert len(taken) == backlog.records == data.count(b"\n") + (not data.endswith(b"\n"))


def test_a_stream_that_fills_blocks_does_not_keep_the_others_waiting() -> None:
    backlog = new_backlog()
    busy, other = new_stream(backlog, "busy:1"), new_stream(backlog, "other:1")
    for second in range(50):
        backlog.receive(busy, tick(second))
    backlog.receive(other, tick(0))
    origins = {span.origin for _ in range(2) for span in backlog.take(len(tick(0)) * 5).block.spans}
    assert origins == {"busy:1", "other:1"}


def test_each_stream_is_sniffed_once_and_dialects_never_share_a_block() -> None:
    heads = []

    def sniff(head: bytes, record_type: RecordType) -> Dialect:
        heads.append(head)
        if b"garbage" in head:
            raise ValueError("no idea")
        header = tuple(head.decode().split()) if head.startswith(b"n") else ()
        return Dialect("," if b"," in head else "\t", header=header, skip=len(head) if header else 0)

    backlog = new_backlog(sniff=sniff)
    tabs, commas, named, odd = (new_stream(backlog, f"peer:{i}") for i in range(4))
    backlog.receive(tabs, tick(1)[:5])
    backlog.receive(tabs, tick(1)[5:] + tick(2))
    backlog.receive(commas, b"2020-01-01 00:00:03,x\n")
    backlog.receive(named, b"n\ttime\n")
    backlog.receive(named, b"7\t2020-01-01 00:00:09\n")
    backlog.receive(tabs, tick(3))
    backlog.receive(odd, b"garbage\n")
    blocks = []
    while (found := backlog.take(1 << 20)) is not None:
        blocks.append((found.block.dialect, found.block.data, [span.position for span in found.block.spans]))
    assert blocks == [
        (Dialect("\t"), tick(1) + tick(2) + tick(3) + b"garbage\n", [0, 0]),
        (Dialect(","), b"2020-01-01 00:00:03,x\n", [0]),
        (Dialect("\t", header=("n", "time")), b"7\t2020-01-01 00:00:09\n", [7]),
    ]
    assert heads == [tick(1), b"2020-01-01 00:00:03,x\n", b"n\ttime\n", b"garbage\n"]
    assert backlog.watermark.value == micros(9)


class Epochs(RecordType):
    """Records that are nothing but microseconds."""

    def event_micros(self, record: bytes, dialect: Dialect, arrival: int | None = None) -> int | None:
        return int(record)


@pytest.mark.parametrize("garbage", [MAX_TIMESTAMP.micros, MIN_TIMESTAMP.micros, 10**30, "rubbish", ""])
def test_a_time_that_cannot_be_neither_ends_nor_moves_the_stream(garbage: object) -> None:
    backlog = Backlog(Epochs("epochs", ("time",), (), "time"), Watermark())
    backlog.receive(new_stream(backlog), f"{START}\n{garbage}\n".encode())
    assert backlog.take(1 << 20).micros == START
    assert backlog.watermark.value == START


def test_a_wrong_time_in_the_future_does_not_end_the_stream() -> None:
    backlog = new_backlog()
    stream = new_stream(backlog)
    backlog.receive(stream, tick(1) + b"9999-12-31 23:59:59\tx\n")
    assert backlog.take(1 << 20) is not None
    assert backlog.watermark.value < MAX_TIMESTAMP.micros
    backlog.receive(stream, tick(2))
    assert backlog.take(1 << 20).block.data == tick(2)


def test_a_header_without_the_event_time_is_no_error() -> None:
    backlog = new_backlog(dialect=Dialect(header=("a", "b")))
    backlog.receive(new_stream(backlog), tick(1))
    assert backlog.take(1 << 20).micros is None
    assert backlog.watermark.value is None


def test_a_fault_is_a_block_of_its_own_and_keeps_its_place() -> None:
    backlog = new_backlog()
    stream = Stream("a:1", LineCutter(30))
    other = new_stream(backlog, "b:1")
    backlog.open(stream)
    backlog.receive(stream, tick(1) + b"x" * 31 + b"\n" + tick(2))
    backlog.receive(other, tick(3))
    backlog.close(other, "torn")
    blocks = []
    while (found := backlog.take(1 << 20, 100)) is not None:
        blocks.append((found.block.data, found.block.fault, found.block.locate(0)))
    length = len(tick(1))
    assert blocks == [
        (tick(1) + tick(3), "", ("a:1", 0)),
        (b"x" * 30, "record longer than 30 bytes", ("a:1", length)),
        (tick(2), "", ("a:1", length + 32)),
    ]
    assert backlog.records == 4


def test_many_tiny_packets_fill_the_backlog_too() -> None:
    backlog = new_backlog(max_waiting_bytes=100_000)
    stream = new_stream(backlog)
    packets = 0
    while backlog.wait_for_room(0):
        backlog.receive(stream, tick(1))
        packets += 1
    assert packets < 200
    backlog.take(1 << 20)
    assert backlog.wait_for_room(0)


def arriving_backlog(wall: FakeClock, disorder: int = 0) -> Backlog:
    """A backlog of transfers, which need no time."""
    return Backlog(TRANSFERS, Watermark(disorder), arrivals=lambda: micros(0) + int(wall() * 1_000_000))


def test_a_record_without_a_time_moves_the_watermark_to_its_arrival() -> None:
    wall = FakeClock()
    backlog = arriving_backlog(wall, disorder=5)
    stream = new_stream(backlog)
    for second in (3, 7):
        wall.now = second
        backlog.receive(stream, b'{"account_id":1}\n')
        found = backlog.take(1 << 20)
        assert found.block.arrival == found.micros == micros(second)
        assert backlog.watermark.value == micros(second) - 5


def test_a_block_has_the_earliest_arrival_and_the_watermark_never_passes_it() -> None:
    wall = FakeClock()
    backlog = arriving_backlog(wall)
    first, second = new_stream(backlog, "first:1"), new_stream(backlog, "second:1")
    for stream, moment in ((first, 1), (second, 2), (first, 3), (second, 4), (first, 5)):
        wall.now = moment
        backlog.receive(stream, b"{}\n")
    promised = NOTHING_IS_LATE
    arrivals = []
    while (found := backlog.take(3)) is not None:
        arrivals.append(found.block.arrival)
        assert promised <= found.block.watermark <= found.block.arrival
        promised = backlog.watermark.value
    assert arrivals == [micros(1), micros(2), micros(3), micros(4), micros(5)]
    for stream in (first, second):
        backlog.receive(stream, b"{}\n")
    wall.now = 9
    backlog.receive(first, b"{}\n")
    assert backlog.take(1 << 20).block.arrival == micros(5)


def test_a_record_with_an_unreadable_time_does_not_move_the_watermark_to_now() -> None:
    wall = FakeClock(9)
    backlog = arriving_backlog(wall)
    backlog.receive(new_stream(backlog), b'{"transfer_time":"2020-01-01T00:00:01Z"}\n{"transfer_time":"soon"}\noops\n')
    assert backlog.take(1 << 20).block.arrival == micros(9)
    assert backlog.watermark.value == micros(1)


def test_a_silent_stream_of_records_without_a_time_does_not_hold_the_others() -> None:
    wall, clock = FakeClock(1), FakeClock()
    backlog = arriving_backlog(wall)
    silent, quick = new_stream(backlog, "silent:1"), new_stream(backlog, "quick:1")
    for second in range(1, 9):
        wall.now = second
        clock.pass_seconds(1)
        backlog.listened([silent, quick] if second == 1 else [quick], clock())
        if second == 1:
            backlog.receive(silent, b"{}\n")
        backlog.receive(quick, b"{}\n")
        backlog.take(1 << 20)
        assert backlog.watermark.value == micros(second)


def test_a_wall_clock_that_jumps_costs_nothing_where_records_happen_when_they_arrive(monkeypatch) -> None:
    backlog = Backlog(TRANSFERS, Watermark())
    stream = new_stream(backlog)
    tell, year = time.time_ns, 366 * 86_400 * 10**9
    before, promised = tell() // 1_000, NOTHING_IS_LATE
    for jump in (0, 3_600 * 10**9, 0, -3_600 * 10**9, 9 * year, -9 * year, 0):
        monkeypatch.setattr(time, "time_ns", lambda jump=jump: tell() + jump)
        backlog.receive(stream, b'{"account_id":1}\n')
        found = backlog.take(1 << 20)
        # It is as late as it is, behind all that was promised before, and believed.
        assert before - 60_000_000 <= found.block.arrival <= tell() // 1_000 + 60_000_000
        assert found.block.arrival >= found.block.watermark >= promised
        promised = backlog.watermark.value
        assert promised == found.block.arrival


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.booleans()), max_size=40))
def test_unfinished_records_of_all_streams_are_bounded_and_each_record_is_accounted_for(
    packets: list[tuple[int, int, bool]],
) -> None:
    backlog = new_backlog(max_waiting_bytes=1_000)
    streams = [new_stream(backlog, f"peer:{number}") for number in range(4)]
    ended = [0] * 4
    for number, size, is_end in packets:
        backlog.receive(streams[number], b"x" * size + b"\n" * is_end)
        ended[number] += is_end
        unfinished = [stream.cutter.unfinished_bytes for stream in streams]
        assert sum(unfinished) <= 500 or sum(map(bool, unfinished)) == 1
    for stream in streams:
        backlog.receive(stream, b"\n")
    found = dict.fromkeys(range(4), 0)
    while taken := backlog.take(1 << 20):
        number = int(taken.block.spans[0].origin[5:]) if taken.block.fault else None
        if number is not None:
            assert "given up" in taken.block.fault
            assert len(taken.block.data) <= 4_096
            found[number] += 1
            continue
        ends = [*(span.start for span in taken.block.spans[1:]), len(taken.block.data)]
        for span, end in zip(taken.block.spans, ends):
            found[int(span.origin[5:])] += taken.block.data.count(b"\n", span.start, end)
    assert list(found.values()) == [count + 1 for count in ended]


def test_the_peer_that_has_sent_most_without_an_end_is_given_up_and_goes_on_behind_it(caplog) -> None:
    backlog = new_backlog(max_waiting_bytes=2_000)
    small, big = new_stream(backlog, "small:1"), new_stream(backlog, "big:2")
    backlog.receive(small, b"s" * 300)
    with caplog.at_level(logging.WARNING):
        backlog.receive(big, b"b" * 900)
    backlog.receive(big, b"b" * 50 + b"\n" + tick(1))
    backlog.receive(small, b"s\n")
    assert "big:2 has sent 900 bytes without a line end: given up" in caplog.text
    blocks = [taken.block for _ in range(3) if (taken := backlog.take(1 << 20))]
    assert [(block.fault[:11], block.data[-8:]) for block in blocks if block.fault] == [("record with", b"b" * 8)]
    assert sorted(b"".join(block.data for block in blocks if not block.fault).split()) == sorted(
        [*tick(1).split(), b"s" * 301]
    )
