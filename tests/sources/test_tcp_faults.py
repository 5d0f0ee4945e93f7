"""Peers that behave badly: none stops the source, loses a whole record, or mixes two."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
import threading

import pytest

from sources import progress as board
from sources.address import parse_address
from sources.live.tcp import TcpLines
from tests.fakes import FakeClock, reset_connection, serving
from tests.patience import PATIENCE_SECONDS, wait_for
from tests.sources.live.test_tcp import LISTEN, connect_to, driving, push, until_idle
from tests.sources.test_backlog import TICK, tick


def test_a_reset_in_mid_record_leaves_the_fragment_as_a_fault() -> None:
    with driving(TcpLines(LISTEN, TICK)) as driver:
        peer = connect_to(driver)
        origin = f"127.0.0.1:{peer.getsockname()[1]}#1"
        peer.sendall(tick(1) + b"fragm")
        driver.until_records(1)
        reset_connection(peer)
        driver.until(lambda driver: bool(driver.faults))
        push(driver, tick(2))
        driver.until_records(2)
    assert driver.data == tick(1) + tick(2)
    assert driver.faults == [(b"fragm", "connection lost in mid-record")]
    assert [block.locate(0) for block in driver.blocks if block.fault] == [(origin, len(tick(1)))]


def test_a_connection_that_ends_in_order_without_a_line_end_is_told_for_it_may_have_been_cut_off() -> None:
    board.reset()
    with driving(TcpLines(LISTEN, TICK)) as driver:
        push(driver, tick(1))
        driver.until_records(1)
        push(driver, tick(2)[:-3])
        driver.until_records(2)
    assert driver.data == tick(1) + tick(2)[:-3] + b"\n"
    assert board.take_notes()[-1] == (
        "1 connection ended without a line end: what stood there was taken for a whole record"
    )


def test_a_reset_between_records_is_no_fault() -> None:
    clock = FakeClock()
    with driving(TcpLines(LISTEN, TICK, idle_timeout_seconds=30, clock=clock)) as driver:
        peer = connect_to(driver)
        peer.sendall(tick(1))
        driver.until_records(1)
        reset_connection(peer)
        wait_for(lambda: not driver.reader.reading._backlog.open_streams())
        until_idle(driver, clock)
    assert driver.faults == []


def test_a_peer_of_ours_that_resets_is_connected_to_again() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE_SECONDS)
    address = parse_address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    with listener, driving(TcpLines((address,), TICK)) as driver:
        first, _ = listener.accept()
        first.sendall(tick(1) + b"fragm")
        driver.until_records(1)
        reset_connection(first)
        second, _ = listener.accept()
        with second:
            second.sendall(tick(2))
            driver.until_records(2)
    assert driver.faults == [(b"fragm", "connection lost in mid-record")]


def test_ten_megabytes_without_a_line_end_are_one_fault() -> None:
    with driving(TcpLines(LISTEN, TICK)) as driver:
        push(driver, tick(1), *[b"x" * (1 << 20)] * 10, b"\n" + tick(2))
        driver.until_records(2)
        assert driver.reader.get_checkpoint_mark().records == 3
    assert driver.data == tick(1) + tick(2)
    assert driver.faults == [(b"x" * 4096, "record longer than 1048576 bytes")]
    assert driver.blocks[-1].locate(0)[1] == len(tick(1)) + (10 << 20) + 1


def test_garbage_touches_nobody_else() -> None:
    garbage = random.Random(7).randbytes(300_000)  # noqa: S311
    with driving(TcpLines(LISTEN, TICK, max_record_bytes=500)) as driver, connect_to(driver) as good:
        good.sendall(tick(1)[:11])
        push(driver, garbage)
        good.sendall(tick(1)[11:])
        driver.until_records(sum(len(record) <= 500 for record in garbage.split(b"\n")) + 1)
    records = driver.data.split(b"\n")
    assert tick(1).strip() in records
    assert len(driver.faults) == sum(len(record) > 500 for record in garbage.split(b"\n"))


def test_records_of_many_peers_that_come_and_go_never_mix() -> None:
    rng = random.Random(3)  # noqa: S311
    expected = []

    with driving(TcpLines(LISTEN, TICK)) as driver:
        threads = []
        for number in range(60):
            records = [tick(n, f"{number}.{n}" * rng.randrange(1, 40)) for n in range(rng.randrange(1, 30))]
            data = b"".join(records)
            is_cut = rng.random() < 0.5
            expected += records
            data = data[:-1] if is_cut else data
            cuts = sorted(rng.randrange(len(data)) for _ in range(20))
            chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
            threads.append(threading.Thread(target=push, args=(driver, *chunks)))
        for thread in threads:
            thread.start()
        driver.until_records(len(expected))
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert sorted(driver.data.splitlines(keepends=True)) == sorted(expected)
    assert driver.faults == []


def test_an_accept_that_fails_for_want_of_files_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = socket.socket.accept
    failures = [OSError(errno.EMFILE, "Too many open files")] * 3

    def poor_accept(sock):
        if failures:
            raise failures.pop()
        return accept(sock)

    with driving(TcpLines(LISTEN, TICK)) as driver:
        monkeypatch.setattr(socket.socket, "accept", poor_accept)
        push(driver, tick(1))
        driver.until_records(1)


def test_a_bug_in_the_thread_is_raised_by_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    with driving(TcpLines(LISTEN, TICK)) as driver:
        monkeypatch.setattr(driver.reader.reading.receiver.backlog, "receive", lambda *_: 1 / 0)
        push(driver, tick(1))
        with pytest.raises(ZeroDivisionError):
            driver.until_end()


def test_a_peer_that_closes_in_mid_record_ends_that_record() -> None:
    with serving([tick(1) + b"last", b"next\n"]) as port, contextlib.ExitStack() as stack:
        address = parse_address(f"tcp://127.0.0.1:{port}")
        driver = stack.enter_context(driving(TcpLines((address,), TICK)))
        driver.until_records(3)
    assert driver.data == tick(1) + b"last\nnext\n"
