"""Datagrams as a source: real sockets, on both ways of receiving, and what is lost is counted."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bank import TRANSFERS
from schemas.http import ACCESS_LOG
from schemas.record_type import Column, Dialect, RecordType
from schemas.text.sniff import sniff_dialect
from sources import drain
from sources import progress as board
from sources.address import parse_address
from sources.live import datagrams, udp
from sources.live.sockets import AddressError
from sources.live.udp import FORGET_SECONDS, Gaps, UdpLines, sequence_pattern
from tests.fakes import Driver, FakeClock
from tests.pipelines.tools import started, wait_for
from tests.ports import free_port
from tests.sources.test_backlog import TICK, tick

NUMBERED = RecordType("numbered", ("time", "n"), (Column("n", "integer"),), "time")
LISTEN = (parse_address("udp-listen://127.0.0.1:0"),)
needs_linux = pytest.mark.skipif(
    not Path("/proc/net/udp").exists(), reason="only Linux tells what a socket has dropped"
)


@pytest.fixture(autouse=True, params=["many at once", "one by one"])
def _ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "one by one":
        monkeypatch.setattr(udp, "datagrams_of", datagrams.OneByOne)
    board.reset()
    yield
    board.reset()
    drain.reset()


@contextlib.contextmanager
def driving(source: UdpLines, mark: object = None) -> Iterator[Driver]:
    driver = Driver(source.create_reader(None, mark))  # type: ignore[arg-type]
    try:
        driver.step()
        yield driver
    finally:
        driver.reader.close()


@contextlib.contextmanager
def sending(driver: Driver, number: int = 0) -> Iterator[socket.socket]:
    """Gives a peer of the source's socket."""
    where = driver.reader.reading.receiver.bound[number]
    with socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(where)
        yield sock


def origin_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}/udp" if ":" in host else f"{host}:{port}/udp"


def test_datagrams_of_one_and_of_several_lines_are_records() -> None:
    with driving(UdpLines(LISTEN, TICK)) as driver, sending(driver) as peer:
        for datagram in (tick(1), tick(2) + tick(3), tick(4)[:-1], b"", tick(5) + tick(6)[:-1]):
            peer.send(datagram)
        driver.until_records(6)
        assert driver.data == b"".join(map(tick, range(1, 7)))
        assert driver.reader.reading.receiver.datagrams == board.counts()["datagrams"] == 4
        positions = [block.locate(0) for block in driver.blocks]
    assert positions[0] == (origin_of_first(driver), 0)
    assert driver.faults == []


def origin_of_first(driver: Driver) -> str:
    return driver.blocks[0].spans[0].origin


def test_a_datagram_may_have_65507_bytes() -> None:
    record = b"2020-01-01 00:00:01\t" + b"x" * (65_507 - 20)
    with driving(UdpLines(LISTEN, TICK)) as driver, sending(driver) as peer:
        for _ in range(3):
            peer.send(record)
            peer.send(record[:-1] + b"\n")
        driver.until_records(6)
    assert driver.data == (record + b"\n" + record[:-1] + b"\n") * 3


def test_records_of_several_peers_keep_their_origin_and_order() -> None:
    with driving(UdpLines(LISTEN, TICK)) as driver, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(sending(driver)) for _ in range(5)]
        for n in range(200):
            for number, peer in enumerate(peers):
                peer.send(tick(n % 60, number * 1_000 + n))
        driver.until_records(1_000)
        origins = {origin_of(peer): number for number, peer in enumerate(peers)}
    found: dict[str, list[tuple[int, bytes]]] = {origin: [] for origin in origins}
    for block in driver.blocks:
        for record in re.finditer(rb"[^\n]*\n", block.data):
            origin, position = block.locate(record.start())
            found[origin.partition("#")[0]].append((position, record[0]))
    for origin, records in found.items():
        sent = [tick(n % 60, origins[origin] * 1_000 + n) for n in range(200)]
        assert [record for _, record in records] == sent
        assert [position for position, _ in records] == [sum(map(len, sent[:n])) for n in range(200)]


def test_two_addresses_of_both_kinds_are_read_side_by_side() -> None:
    addresses = (*LISTEN, parse_address("udp-listen://[::1]:0"))
    with (
        driving(UdpLines(addresses, TICK)) as driver,
        sending(driver) as four,
        sending(driver, 1) as six,
        sending(driver, 1) as another,
    ):
        for peer, second in ((four, 1), (six, 2), (another, 3)):
            peer.send(tick(second))
        driver.until_records(3)
        origins = {origin_of(peer) for peer in (four, six, another)}
    found = [origin for block in driver.blocks for origin in {span.origin for span in block.spans}]
    assert {origin.partition("#")[0] for origin in found} == origins
    assert {origin.partition("#")[2] for origin in found} == {"1", "2", "3"}


def test_the_header_row_of_a_peer_is_no_record() -> None:
    with driving(UdpLines(LISTEN, NUMBERED, sniff=sniff_dialect, sequence="n")) as driver, sending(driver) as peer:
        peer.send(b"n,time\n5,2020-01-01 00:00:01\n")
        peer.send(b"7,2020-01-01 00:00:02\n")
        driver.until_records(2)
        assert driver.reader.reading.receiver.missing == 1
    assert driver.data == b"5,2020-01-01 00:00:01\n7,2020-01-01 00:00:02\n"


def test_the_watermark_follows_the_slower_of_two_busy_peers() -> None:
    clock = FakeClock()
    with driving(UdpLines(LISTEN, TICK, clock=clock)) as driver, sending(driver) as slow, sending(driver) as quick:
        slow.send(tick(10))
        quick.send(tick(50))
        driver.until_records(2)
        assert driver.watermark.micros == TICK.event_micros(tick(10), Dialect())
        clock.pass_seconds(1)
        driver.until(lambda driver: driver.watermark.micros == TICK.event_micros(tick(50), Dialect()))


@needs_linux
def test_what_the_kernel_drops_is_counted_to_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "RECEIVE_BUFFER_BYTES", 4_096)
    monkeypatch.setattr(
        udp, "widen", lambda sock, size: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size) or 1
    )
    sent = 3_000
    with driving(UdpLines(LISTEN, NUMBERED, sequence="n")) as driver, sending(driver) as peer:
        peer.send(tick(0, 0))
        for n in range(1, sent - 1):
            peer.send(tick(n % 60, n))
        driver.until(lambda driver: settled(driver.reader.reading.receiver, sent - 1))
        peer.send(tick(0, sent - 1))
        driver.until(lambda driver: settled(driver.reader.reading.receiver, sent))
        receiver = driver.reader.reading.receiver
        driver.until_records(receiver.datagrams)
    assert receiver.dropped > 0
    assert receiver.dropped == receiver.missing == board.counts()["dropped"] == board.counts()["missing"]
    told = board.take_notes()[-1]
    assert f"{receiver.datagrams:,} datagrams received, {receiver.dropped:,} dropped by the kernel" in told
    assert f"by 'n', {receiver.missing:,} records missing, 0 reordered" in told


def settled(receiver: udp.UdpReceiver, sent: int) -> bool:
    return receiver.datagrams + receiver.dropped == sent


@needs_linux
def test_the_count_of_drops_is_that_of_the_system() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        assert datagrams.dropped(sock) == 0
        for _ in range(100):
            peer.sendto(b"x" * 100, sock.getsockname())
        port = f":{sock.getsockname()[1]:04X}"
        lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()]
        (told,) = [int(line[-1]) for line in lines if line[1].endswith(port)]
        assert datagrams.dropped(sock) == told > 0


def test_counts_of_32_bits_are_subtracted() -> None:
    assert datagrams.dropped_since(5, 8) == 3
    assert datagrams.dropped_since(2**32 - 1, 1) == 2


def test_the_receive_buffer_is_widened_and_told() -> None:
    with driving(UdpLines(LISTEN, TICK)) as driver:
        (granted,) = driver.reader.reading.receiver.buffer_bytes
        host, port = driver.reader.reading.receiver.bound[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        assert granted > plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert board.take_notes()[0] == f"listening on {host}:{port} (UDP), with a receive buffer of {granted:,} bytes"


@given(st.permutations(range(20)).flatmap(lambda order: st.tuples(st.just(order), st.sets(st.sampled_from(order)))))
def test_gaps_are_those_between_the_least_and_the_greatest(case) -> None:
    order, lost = case
    came = [n for n in order if n not in lost]
    for cut in (0, 3, len(came)):
        gaps = Gaps()
        for part in (came[:cut], came[cut:]):
            gaps.take(np.array(part, np.int64))
        assert gaps.missing == (len(set(range(min(came), max(came))) - set(came)) if came else 0)
        assert gaps.reordered == sum(n < max(came[:place], default=-1) for place, n in enumerate(came))


def test_a_number_that_comes_twice_makes_nothing_negative() -> None:
    gaps = Gaps()
    gaps.take(np.array([1, 1, 1]))
    assert (gaps.missing, gaps.reordered) == (0, 0)


@pytest.mark.parametrize(
    ("record_type", "dialect", "data", "numbers"),
    [
        (NUMBERED, None, b"a\t7\nb\t\nc\nd\t8\tx\n\t9\n", [b"7", b"8", b"9"]),
        (NUMBERED, Dialect(",", quoted=True), b'"a,5",6\n"a""",7\n,"8"\n', [b"6", b"7", b"8"]),
        (NUMBERED, Dialect("|", header=("n", "time")), b"1|2\n3|4\n", [b"1", b"3"]),
        (TRANSFERS, None, b'{"n": 1}\n{"m":2,"n":3,"x":{}}\n{"n":"4"}\n{"nn":5}\n{"n":x}\n', [b"1", b"3", b"4"]),
        (NUMBERED, None, b"a\t" + b"9" * 19 + b"\n", []),
    ],
)
def test_sequence_numbers_are_found(record_type, dialect, data, numbers) -> None:
    assert sequence_pattern("n", record_type, dialect).findall(data) == numbers


def test_a_peer_that_was_silent_for_long_is_forgotten() -> None:
    clock = FakeClock()
    with driving(UdpLines(LISTEN, TICK, clock=clock)) as driver, sending(driver) as peer:
        peer.send(tick(1))
        driver.until_records(1)
        clock.pass_seconds(FORGET_SECONDS)
        driver.until(lambda driver: not driver.reader.reading._backlog.open_streams())
        peer.send(tick(2))
        driver.until_records(2)
    assert [block.locate(0)[1] for block in driver.blocks] == [0, 0]


def test_it_ends_after_silence() -> None:
    clock = FakeClock()
    with driving(UdpLines(LISTEN, TICK, idle_timeout_seconds=30, clock=clock)) as driver, sending(driver) as peer:
        peer.send(tick(1))
        driver.until_records(1)
        driver.until(lambda driver: clock.pass_seconds(5) or driver.is_ended)
    assert driver.data == tick(1)


def test_a_drain_ends_it() -> None:
    with driving(UdpLines(LISTEN, TICK)) as driver, sending(driver) as peer:
        peer.send(tick(1)[:-1])
        driver.until_records(1)
        drain.drain()
        driver.until_end()
    assert driver.faults == []


def test_a_port_in_use_is_one_line_and_is_not_taken_away() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        source = UdpLines((*LISTEN, parse_address(f"udp-listen://127.0.0.1:{port}")), TICK)
        with pytest.raises(AddressError, match=rf"^cannot listen on udp-listen://127\.0\.0\.1:{port}: [^\n]*$"):
            source.check()
        reader = source.create_reader(None, None)
        with pytest.raises(AddressError):
            reader.start()
        reader.close()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(AddressError):
            source.check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"addresses": ()}, "expected an address such as udp-listen://host:port, got none"),
        ({"addresses": (parse_address("udp://h:1"),)}, "expected udp-listen://host:port, got 'udp://h:1'"),
        ({"sequence": "m"}, "no column 'm' for the sequence number"),
        ({"sequence": "n", "record_type": ACCESS_LOG}, "have no sequence numbers, got 'n'"),
        ({"max_records": 0}, "max_records must be positive, got 0"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UdpLines(**{"addresses": LISTEN, "record_type": NUMBERED, **options})


def test_records_in_datagrams_of_their_own_come_in_few_blocks() -> None:
    """They are sent in portions that fit into the smallest receive buffer."""
    with driving(UdpLines(LISTEN, NUMBERED, sequence="n")) as driver, sending(driver) as peer:
        receiver = driver.reader.reading.receiver
        for start in range(0, 5_000, 100):
            for n in range(start, start + 100):
                peer.send(tick(n % 60, n))
            wait_for(lambda total=start + 100: receiver.datagrams == total)
            driver.until_records(start + 100)
    assert (receiver.datagrams, receiver.dropped or 0, receiver.missing, receiver.reordered) == (5_000, 0, 0, 0)
    assert len(driver.blocks) < 5_000 / 5


def test_a_pipeline_tells_where_it_receives_and_what_was_lost(prism, tmp_path: Path, request) -> None:
    if "one by one" in request.node.name:
        pytest.skip("the pipeline is in a process of its own")
    port = free_port()
    options = ("--input", f"udp-listen://127.0.0.1:{port}", "tcp-listen://127.0.0.1:0")
    with (
        (tmp_path / "told.txt").open("w+b") as told,
        started(*options, "--idle-timeout", "2s", "--output", tmp_path / "x.jsonl", stderr=told) as program,
    ):
        wait_for(lambda: (tmp_path / "told.txt").read_text().count("listening on ") == 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for _ in range(50):
                peer.sendto(b"no record\n", ("127.0.0.1", port))
        done = program.finish()
    done = replace(done, err=(tmp_path / "told.txt").read_text())
    assert done.status == 1, done.err
    assert done.lines[-1].startswith("failed: no peer has connected to tcp-listen://127.0.0.1:0; none of ")
    told = [line for line in done.lines if line.startswith("listening on 127.0.0.1:")]
    assert len(told) == 2
    assert any(re.fullmatch(r"listening on 127\.0\.0\.1:[1-9]\d*", line) for line in told)
    tellings = [
        re.fullmatch(rf"127\.0\.0\.1:{port}: (\d+) datagrams received, 0 dropped .*", line) for line in done.lines
    ]
    assert sum(int(telling[1]) for telling in tellings if telling) == done.balance.read


def test_a_kernel_that_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "_MEMINFO", struct.Struct("99I"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert datagrams.dropped(sock) is None
