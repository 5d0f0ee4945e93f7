"""One stream for all clients of a listener, over real sockets."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from simulators.engine.batch import Batch, Stream
from simulators.engine.broadcast import serve_shared
from simulators.engine.metering import Clock
from sources.address import Address, parse_address
from sources.pacing import Pace
from tests.simulators.test_bank import transfers
from tests.simulators.tools import PATIENCE_SECONDS, connect, fetch, port_of, read_to_end, started


class Radio:
    """A stream of numbers that waits before each of its batches until it may go on."""

    def __init__(self, batches: int, each: int = 10) -> None:
        self.go_on = threading.Semaphore(0)
        self.sent: list[bytes] = []
        self.ended = 0
        self._batches, self._each = batches, each

    def batches(self) -> Iterator[Batch]:
        for number in range(self._batches):
            self.go_on.acquire(timeout=PATIENCE_SECONDS)
            yield Batch(b"%d\n" % number * self._each, np.zeros(self._each, np.int64))

    def stream(self, preamble: bytes = b"") -> Stream:
        return Stream(self.batches(), preamble, lambda batch: self.sent.append(bytes(batch.data)), self.end)

    def end(self) -> None:
        self.ended += 1


@contextmanager
def on_air(stream: Stream) -> Iterator[tuple[int, Future[int]]]:
    listens: Future[int] = Future()
    clock = Clock()

    def announce(address: Address) -> None:
        listens.set_result(address.port)

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(serve_shared, stream, parse_address("tcp-listen://127.0.0.1:0"), Pace(), clock, announce)
        try:
            yield listens.result(PATIENCE_SECONDS), sent
        finally:
            clock.stop()


def read_lines(client: socket.socket, count: int) -> bytes:
    got = b""
    while got.count(b"\n") < count:
        part = client.recv(65_536)
        assert part
        got += part
    return got


def test_who_comes_later_gets_what_comes_later() -> None:
    radio = Radio(3)
    with on_air(radio.stream(b"header\n")) as (port, sent):
        with connect(port) as first:
            assert read_lines(first, 1) == b"header\n"
            radio.go_on.release()
            assert read_lines(first, 10) == b"0\n" * 10
            with connect(port) as second:
                # It is there once it has been greeted; only then does the stream go on.
                assert read_lines(second, 1) == b"header\n"
                radio.go_on.release(2)
                assert read_to_end(second) == b"1\n" * 10 + b"2\n" * 10
            assert read_to_end(first) == b"1\n" * 10 + b"2\n" * 10
        assert sent.result(PATIENCE_SECONDS) == 30
    assert radio.sent == [b"%d\n" % number * 10 for number in range(3)]
    assert radio.ended == 1


def test_nothing_leaves_while_nobody_is_there() -> None:
    radio = Radio(2)
    radio.go_on.release(2)
    with on_air(radio.stream()) as (port, sent):
        assert fetch(port) == b"0\n" * 10 + b"1\n" * 10
        assert sent.result(PATIENCE_SECONDS) == 20


def test_who_goes_away_does_not_take_the_stream_along() -> None:
    radio = Radio(40, 10_000)
    with on_air(radio.stream(b"hello\n")) as (port, sent):
        with connect(port) as leaver, connect(port) as stayer:
            for client in (leaver, stayer):
                assert read_lines(client, 1) == b"hello\n"
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            leaver.close()
            radio.go_on.release(40)
            assert read_to_end(stayer) == b"".join(b"%d\n" % number * 10_000 for number in range(40))
        assert sent.result(PATIENCE_SECONDS) == 400_000


@pytest.mark.parametrize("clients", [0, 2])
def test_a_stop_ends_it_whether_somebody_is_there_or_not(clients: int) -> None:
    options = ("--listen", "127.0.0.1:0", "--shared", "--rate", "100")
    with started(*options, program="bank") as process, ExitStack() as stack:
        port = port_of(process)
        there = [stack.enter_context(connect(port)) for _ in range(clients)]
        for client in there:
            read_lines(client, 1)
        process.send_signal(signal.SIGINT)
        for client in there:
            read_to_end(client)
            client.close()
        assert process.wait(PATIENCE_SECONDS) == 130


def test_clients_of_a_bank_get_the_same_stream() -> None:
    with started("--listen", "127.0.0.1:0", "--shared", "--rate", "400", program="bank") as process:
        port = port_of(process)
        with connect(port) as first:
            head = read_lines(first, 20)
            with connect(port) as second:
                late = read_lines(second, 20)
                process.send_signal(signal.SIGINT)
                late += read_to_end(second)
            whole = head + read_to_end(first)
        assert process.wait(PATIENCE_SECONDS) == 130
    stream = transfers(max(whole.count(b"\n"), len(head) + late.count(b"\n")) + 1)
    assert stream.startswith(whole)
    assert stream.find(late) > 0
