"""Reading lines over TCP, with real sockets on loopback and readers driven by hand."""

from __future__ import annotations

import contextlib
import itertools
import logging
import pickle
import re
import socket
import threading
import time

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from schemas.elements.block import Block
from schemas.record_type import Dialect, RecordType
from sources import drain
from sources.address import parse_address
from sources.live.sockets import AddressError
from sources.live.tcp import TcpLines
from tests.fakes import Driver, FakeClock, listening, serving
from tests.patience import PATIENCE_SECONDS, wait_for
from tests.ports import free_port
from tests.sources.test_backlog import TICK, micros, tick

LISTEN = (parse_address("tcp-listen://127.0.0.1:0"),)


@pytest.fixture(autouse=True)
def _no_drain():
    yield
    drain.reset()


@contextlib.contextmanager
def driving(source: TcpLines, mark=None):
    """Gives a driver of a new reader of the source; it is started, and closed afterwards."""
    reader = source.create_reader(None, mark)
    driver = Driver(reader)
    try:
        driver.step()
        yield driver
    finally:
        reader.close()
        assert not reader.reading.receiver.is_alive()


def connect_to(driver: Driver) -> socket.socket:
    return socket.create_connection(driver.reader.reading.receiver.bound[0])


def until_idle(driver: Driver, clock: FakeClock) -> None:
    """Let time pass until the stream ends."""
    driver.until(lambda driver: clock.pass_seconds(5) or driver.is_ended)


def push(driver: Driver, *packets: bytes) -> None:
    with connect_to(driver) as peer:
        for packet in packets:
            peer.sendall(packet)


def connect_source(*ports: int, **options) -> TcpLines:
    return TcpLines(tuple(parse_address(f"tcp://127.0.0.1:{port}") for port in ports), TICK, **options)


def test_records_pushed_in_any_packets_arrive_whole() -> None:
    with driving(TcpLines(LISTEN, TICK, disorder_micros=2_000_000)) as driver:
        with connect_to(driver) as peer:
            origin = f"127.0.0.1:{peer.getsockname()[1]}#1"
            peer.sendall(tick(1)[:7])
            time.sleep(0.05)
            driver.step()
            assert driver.data == b""
            peer.sendall(tick(1)[7:] + tick(2) + tick(3)[:-1])
            driver.until_records(2)
        driver.until_records(3)
    assert driver.data == tick(1) + tick(2) + tick(3)
    assert [block.locate(0) for block in driver.blocks] == [(origin, 0), (origin, len(tick(1) + tick(2)))]
    assert driver.watermark == Timestamp(micros=micros(1))


def test_a_thousand_connections_each_bring_one_record() -> None:
    with driving(TcpLines(LISTEN, TICK)) as driver, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect_to(driver)) for _ in range(1000)]
        for n, peer in enumerate(peers):
            peer.sendall(tick(1, n)[:9])
        for n, peer in enumerate(peers):
            peer.sendall(tick(1, n)[9:])
        driver.until_records(1000)
        assert threading.active_count() < 20
        assert sorted(driver.data.splitlines(keepends=True)) == sorted(tick(1, n) for n in range(1000))
        wanted = {tick(1, n): f"127.0.0.1:{peer.getsockname()[1]}" for n, peer in enumerate(peers)}
        for block in driver.blocks:
            for found in re.finditer(rb"[^\n]*\n", block.data):
                origin, position = block.locate(found.start())
                assert (origin.partition("#")[0], position) == (wanted[found[0]], 0)


def test_a_peer_that_serves_one_record_a_connection_is_asked_again_and_again() -> None:
    payloads = [tick(n, n)[: -(n % 2) or None] for n in range(50)]
    # No time passes: a pause before another try would not end.
    with serving(payloads) as port, driving(connect_source(port, disorder_micros=5, clock=FakeClock())) as driver:
        driver.until_records(50)
    assert driver.data == b"".join(tick(n, n) for n in range(50))
    assert driver.blocks[0].locate(0) == (f"127.0.0.1:{port}#1", 0)


def test_a_peer_that_is_restarted_is_found_again() -> None:
    with contextlib.ExitStack() as stack:
        with serving([tick(1)], free_port()) as port:
            driver = stack.enter_context(driving(connect_source(port)))
            driver.until_records(1)
        time.sleep(0.2)
        with serving([tick(2)], port):
            driver.until_records(2)
    assert driver.data == tick(1) + tick(2)


def test_a_connection_that_brings_nothing_is_not_repeated_at_once() -> None:
    clock = FakeClock()
    with listening() as server, driving(connect_source(server.getsockname()[1], clock=clock)):
        server.settimeout(0.02)
        accepted: list[float] = []
        while len(accepted) < 5:
            try:
                server.accept()[0].close()
                accepted.append(clock())
            except TimeoutError:
                clock.pass_seconds(0.05)
    pauses = [after - before for before, after in itertools.pairwise(accepted)]
    assert all(pause >= least - 1e-9 for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True))


def test_several_peers_are_read_side_by_side() -> None:
    with serving([tick(1, "a")]) as one, serving([tick(1, "b")]) as two, driving(connect_source(one, two)) as driver:
        driver.until_records(2)
    found = {driver.blocks[0].locate(0)[0], driver.blocks[-1].locate(len(driver.blocks[-1].data) - 1)[0]}
    assert {origin.partition("#")[0] for origin in found} == {f"127.0.0.1:{one}", f"127.0.0.1:{two}"}


def test_the_watermark_follows_the_slower_of_two_busy_peers() -> None:
    clock = FakeClock()
    with (
        driving(TcpLines(LISTEN, TICK, clock=clock)) as driver,
        connect_to(driver) as slow,
        connect_to(driver) as quick,
    ):
        slow.sendall(tick(10))
        quick.sendall(tick(100))
        driver.until_records(2)
        assert driver.watermark == Timestamp(micros=micros(10))
        clock.pass_seconds(1)
        quick.sendall(tick(110))
        driver.until_records(3).until(lambda driver: driver.watermark == Timestamp(micros=micros(110)))
        slow.sendall(tick(20))
        driver.until_records(4)
        assert driver.blocks[-1].watermark == micros(110)


def test_the_stream_ends_after_exactly_so_many_records() -> None:
    with driving(TcpLines(LISTEN, TICK, max_records=7)) as driver:
        push(driver, b"".join(tick(n) for n in range(5)))
        driver.until_records(5)
        push(driver, b"".join(tick(n) for n in range(5, 15)))
        driver.until_end()
    assert driver.data == b"".join(tick(n) for n in range(7))


def test_the_stream_ends_when_nobody_brings_anything() -> None:
    clock = FakeClock()
    source = TcpLines(LISTEN, TICK, idle_timeout_seconds=30, clock=clock)
    with driving(source) as driver, connect_to(driver) as peer:
        for n in range(4):
            peer.sendall(tick(n))
            driver.until_records(n + 1)
            clock.pass_seconds(20)
        peer.sendall(b"fragment")
        wait_for(lambda: any(stream.cutter.is_in_record for stream in driver.reader.reading._backlog.open_streams()))
        until_idle(driver, clock)
    assert driver.data == b"".join(tick(n) for n in range(4))
    assert driver.faults == [(b"fragment", "stopped in mid-record")]


def caching_sniff(head: bytes, record_type: RecordType) -> Dialect:
    assert record_type.typed == {}
    return Dialect()


def test_a_source_pickles_the_same_before_and_after_it_was_read() -> None:
    source = pickle.loads(pickle.dumps(TcpLines(LISTEN, TICK, sniff=caching_sniff)))
    before = pickle.dumps(source)
    with driving(source) as driver:
        push(driver, tick(1))
        driver.until_records(1)
        assert pickle.dumps(source) == before


def test_a_drain_hands_out_what_waits_and_ends() -> None:
    with driving(TcpLines(LISTEN, TICK)) as driver, connect_to(driver) as peer:
        peer.sendall(tick(1) + b"fragment")
        time.sleep(0.15)
        drain.drain()
        driver.until_end()
        assert driver.data == tick(1)
        assert driver.faults == [(b"fragment", "stopped in mid-record")]
        with pytest.raises(ConnectionRefusedError):
            connect_to(driver)


def test_close_frees_the_port_and_the_thread() -> None:
    with driving(TcpLines(LISTEN, TICK)) as driver, connect_to(driver) as peer:
        peer.sendall(tick(1))
        driver.until_records(1)
        host, port = driver.reader.reading.receiver.bound[0]
        driver.reader.close()
        driver.reader.close()
        assert not driver.reader.reading.receiver.is_alive()
        again = TcpLines((parse_address(f"tcp-listen://{host}:{port}"),), TICK)
        with driving(again) as second:
            push(second, tick(2))
            assert second.until_records(1).data == tick(2)


def test_resuming_in_another_process_warns_and_keeps_the_promise(caplog: pytest.LogCaptureFixture) -> None:
    source = TcpLines(LISTEN, TICK, max_records=5)
    with driving(source) as driver:
        push(driver, tick(8))
        driver.until_records(1).until(lambda driver: driver.watermark == Timestamp(micros=micros(8)))
        mark = driver.reader.get_checkpoint_mark()
    with driving(source, mark):  # takes what waited, as the first of two
        pass
    foreign = type(mark)("elsewhere", mark.records, mark.blocks, mark.watermark, mark.connections)
    with caplog.at_level(logging.WARNING), driving(source, foreign) as second:
        assert "goes on after 1 records" in caplog.text
        push(second, b"".join(tick(n) for n in range(9)))
        second.until_end()
    assert second.blocks[0].watermark == micros(8)
    assert second.data.count(b"\n") == 4


def test_memory_is_bounded_while_nobody_takes_and_nothing_is_lost_then() -> None:
    data = (b"x" * 999 + b"\n") * (80 << 10)

    with driving(TcpLines(LISTEN, TICK)) as driver:
        sender = threading.Thread(target=push, args=(driver, data))
        sender.start()
        backlog = driver.reader.reading.receiver.backlog
        wait_for(lambda: backlog.is_full)
        time.sleep(0.2)
        assert sender.is_alive()
        assert 32 << 20 <= backlog.waiting_bytes <= 34 << 20
        driver.until(lambda driver: sum(len(block.data) for block in driver.blocks) >= len(data))
        sender.join(PATIENCE_SECONDS)
    assert driver.data == data
    assert max(len(block.data) for block in driver.blocks) <= 8 << 20


def test_waiting_for_a_slow_pipeline_is_neither_silence_nor_idleness() -> None:
    clock = FakeClock()
    source = TcpLines(LISTEN, TICK, idle_timeout_seconds=30, clock=clock)
    with driving(source) as driver, connect_to(driver) as slow:
        slow.sendall(tick(1))
        driver.until_records(1)
        filler = threading.Thread(target=push, args=(driver, tick(1000) * (3 << 20)))
        filler.start()
        backlog = driver.reader.reading.receiver.backlog
        wait_for(lambda: backlog.is_full)
        slow.sendall(tick(2))
        for _ in range(5):
            clock.pass_seconds(20)
            time.sleep(0.1)
        assert not driver.reader.reading.receiver.is_finished
        driver.until_records((3 << 20) + 2)
        until_idle(driver, clock)
        filler.join(PATIENCE_SECONDS)
    assert driver.data.count(b"\n") == (3 << 20) + 2


def test_an_address_that_cannot_be_bound_is_told_in_one_line() -> None:
    with listening() as server:
        address = f"tcp-listen://127.0.0.1:{server.getsockname()[1]}"
        source = TcpLines((*LISTEN, parse_address(address)), TICK)
        with pytest.raises(AddressError, match="stop what listens there") as caught:
            source.check()
        assert str(caught.value).startswith(f"cannot listen on {address}: Address already in use; ")
        assert "\n" not in str(caught.value)
        reader = source.create_reader(None, None)
        with pytest.raises(AddressError, match="Address already in use"):
            reader.start()
        reader.close()
    source.check()
    with pytest.raises(AddressError, match=r"give an address of this machine"):
        TcpLines((parse_address("tcp-listen://192.0.2.1:5000"),), TICK).check()


def test_a_peer_that_nobody_serves_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with listening() as probe:
        port = probe.getsockname()[1]
    clock = FakeClock()
    with driving(connect_source(port, clock=clock)) as driver, caplog.at_level(logging.WARNING):
        driver.until(lambda _: clock.pass_seconds(1) or "yet" in caplog.text)
        for _ in range(20):
            clock.pass_seconds(1)
            driver.step()
        assert not driver.is_ended
    assert caplog.text.count(f"no connection to tcp://127.0.0.1:{port} yet (Connection refused)") == 1


def test_a_name_with_several_addresses_is_tried_at_each() -> None:
    with serving([tick(1)]) as port:
        source = TcpLines((parse_address(f"tcp://localhost:{port}"),), TICK)
        source.check()
        with driving(source) as driver:
            driver.until_records(1)


def test_the_source_and_its_marks_pickle_and_code() -> None:
    source = TcpLines(LISTEN, TICK, dialect=Dialect("|"), sniff=len)
    assert pickle.loads(pickle.dumps(source)) == source
    assert source.split(4) == [source]
    with driving(source) as driver:
        push(driver, tick(1))
        block = driver.until_records(1).blocks[0]
        mark = driver.reader.get_checkpoint_mark()
    coder = source.get_checkpoint_mark_coder()
    assert coder.decode(coder.encode(mark)) == mark
    assert coder.encode(mark) == coder.encode(coder.decode(coder.encode(mark)))
    blocks = source.default_output_coder()
    assert Block(*blocks.decode(blocks.encode(block))) == block


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"addresses": ()}, "got none"),
        ({"addresses": (parse_address("file.txt"),)}, "got 'file.txt'"),
        ({"max_records": 0}, "max_records must be positive, got 0"),
        ({"max_block_bytes": -1}, "max_block_bytes must be positive, got -1"),
        ({"idle_timeout_seconds": 0.0}, "idle_timeout_seconds must be positive, got 0.0"),
        ({"disorder_micros": -5}, "disorder_micros must not be negative, got -5"),
    ],
)
def test_values_that_cannot_be_are_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TcpLines(**{"addresses": LISTEN, "record_type": TICK, **options})


def test_a_reader_without_a_block_says_so() -> None:
    reader = TcpLines(LISTEN, TICK).create_reader(None, None)
    with pytest.raises(ValueError, match="no block"):
        reader.get_current()
    assert reader.get_watermark() < MAX_TIMESTAMP
    reader.close()
