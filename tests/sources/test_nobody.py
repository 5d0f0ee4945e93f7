"""Inputs that come to their idle time-out although nobody was ever there: that is a failure, and silence is none."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sources import progress as board
from sources.address import parse_address
from sources.live.command import ProcessLines
from sources.live.source import LineSource
from sources.live.tcp import TcpLines
from sources.live.udp import UdpLines
from tests.fakes import Driver, FakeClock, listening
from tests.ports import free_port
from tests.sources.test_backlog import TICK, tick

IDLE_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _watched_board() -> Iterator[None]:
    board.reset()
    board.watch()
    yield
    board.reset()


@contextlib.contextmanager
def driving(source: LineSource, mark: Any = None) -> Iterator[Driver]:
    reader = source.create_reader(None, mark)
    driver = Driver(reader)
    try:
        driver.step()
        yield driver
    finally:
        reader.close()


def source_of(*texts: str, clock: FakeClock, **more: Any) -> LineSource:
    addresses = tuple(map(parse_address, texts))
    kind = UdpLines if texts[0].startswith("udp") else TcpLines
    return kind(addresses, TICK, idle_timeout_seconds=IDLE_SECONDS, clock=clock, **more)


def met(driver: Driver) -> Any:
    return driver.reader.reading._backlog.met


def complaints(driver: Driver, clock: FakeClock) -> list[str]:
    """Lets the time-out pass, and gives what was said at the end."""

    def is_over(driver: Driver) -> bool:
        clock.pass_seconds(IDLE_SECONDS)  # again and again: the thread may have begun to count later than we did
        return driver.is_ended

    driver.until(is_over)
    return board.failures()


@pytest.mark.parametrize(
    ("scheme", "said"), [("tcp-listen", "no peer has connected to"), ("udp-listen", "no datagram has come to")]
)
def test_an_address_that_nobody_came_to_is_a_failure(scheme: str, said: str) -> None:
    clock, texts = FakeClock(), [f"{scheme}://127.0.0.1:{free_port()}" for _ in range(2)]
    with driving(source_of(*texts, clock=clock)) as driver:
        assert complaints(driver, clock) == ["; ".join(f"{said} {text}" for text in texts)]


def test_each_address_counts_and_a_peer_that_brought_nothing_was_there() -> None:
    clock, ports = FakeClock(), [free_port(), free_port()]
    texts = [f"tcp-listen://127.0.0.1:{port}" for port in ports]
    with driving(source_of(*texts, clock=clock)) as driver:
        with socket.create_connection(("127.0.0.1", ports[0])):
            driver.until(lambda driver: met(driver) == {texts[0]})
        assert complaints(driver, clock) == [f"no peer has connected to {texts[1]}"]


def test_a_datagram_is_all_that_is_seen_of_a_peer() -> None:
    clock, port = FakeClock(), free_port()
    with driving(source_of(f"udp-listen://127.0.0.1:{port}", clock=clock)) as driver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(tick(1), ("127.0.0.1", port))
        driver.until_records(1)
        assert complaints(driver, clock) == []


def test_a_server_that_never_answered_is_a_failure_and_one_that_was_silent_is_none() -> None:
    clock, away = FakeClock(), f"tcp://127.0.0.1:{free_port()}"
    with listening() as server:
        there = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with driving(source_of(there, away, clock=clock)) as driver:
            driver.until(lambda driver: met(driver) == {there})
            driver.until(lambda driver: any(dial.failure for dial in driver.reader.reading.receiver._dials))
            assert complaints(driver, clock) == [f"{away} has not answered (Connection refused)"]


def test_a_reader_that_takes_over_knows_who_was_there() -> None:
    clock, port = FakeClock(), free_port()
    source = source_of(f"tcp-listen://127.0.0.1:{port}", clock=clock)
    with driving(source) as first:
        with socket.create_connection(("127.0.0.1", port)):
            first.until(met)
        mark = first.reader.get_checkpoint_mark()
        first.reader.close()
        with driving(source, mark) as second:
            assert complaints(second, clock) == []


def test_a_reader_that_goes_on_in_another_process_does_not_know_and_says_nothing() -> None:
    clock = FakeClock()
    source = source_of(f"tcp-listen://127.0.0.1:{free_port()}", clock=clock)
    mark = source.create_reader(None, None).get_checkpoint_mark()
    with driving(source, type(mark)("of another process", records=3, blocks=1, connections=1)) as driver:
        assert complaints(driver, clock) == []


def test_an_end_by_wish_is_no_failure() -> None:
    clock, ports = FakeClock(), [free_port(), free_port()]
    texts = [f"tcp-listen://127.0.0.1:{port}" for port in ports]
    source, place = source_of(*texts, clock=clock, max_records=1), ("127.0.0.1", ports[0])
    with driving(source) as driver, socket.create_connection(place) as peer:
        peer.sendall(tick(1))
        driver.until_end()
    assert board.failures() == []


def test_a_command_that_prints_nothing_has_nothing_to_say() -> None:
    clock = FakeClock()
    for command in ("exec:true", "exec:sleep 1000"):
        source = ProcessLines(parse_address(command), TICK, idle_timeout_seconds=IDLE_SECONDS, clock=clock)
        with driving(source) as driver:
            assert complaints(driver, clock) == []


def test_where_nobody_looks_it_is_raised() -> None:
    clock = FakeClock()
    board.reset()
    source = source_of(f"tcp-listen://127.0.0.1:{free_port()}", clock=clock)
    with driving(source) as driver, pytest.raises(OSError, match="no peer has connected to tcp-listen"):
        complaints(driver, clock)
