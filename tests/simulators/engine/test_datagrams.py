from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.engine.batch import Batch
from simulators.engine.datagrams import datagrams_to, packed
from simulators.engine.outlet import Outlet
from simulators.tape.tape import Tape
from sources.address import Address, parse_address
from tests.simulators.tools import PATIENCE_SECONDS, run, started


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as received:
        received.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        received.bind(("127.0.0.1", 0))
        received.settimeout(PATIENCE_SECONDS)
        yield received


def address_of(receiver: socket.socket) -> str:
    return f"udp://127.0.0.1:{receiver.getsockname()[1]}"


def receive(receiver: socket.socket, records: int) -> list[bytes]:
    found: list[bytes] = []
    while sum(datagram.count(b"\n") for datagram in found) < records:
        found.append(receiver.recv(1 << 16))
    return found


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(0, 70))
def test_datagrams_are_the_records_in_order_as_many_as_fit(sizes: list[int], most: int) -> None:
    records = [b"x" * size + b"\n" for size in sizes]
    found = [bytes(part) for part in packed(Batch(b"".join(records), np.zeros(len(records), np.int64)), most)]
    assert b"".join(found) == b"".join(records)
    for datagram in found:
        assert datagram.endswith(b"\n")
        assert len(datagram) <= most or datagram.count(b"\n") == 1
    for datagram, following in pairwise(found):
        assert len(datagram) + len(following.split(b"\n")[0]) + 1 > most


def test_part_of_a_batch_is_packed_as_well() -> None:
    batch = Batch(b"1\n22\n333\n4444\n", np.arange(4)).cut(1, 3)
    assert [bytes(part) for part in packed(batch, 0)] == [b"22\n", b"333\n"]


def test_records_arrive_in_datagrams_of_some_records_each(receiver: socket.socket, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    done = run("--rows", 500, "--rate", 5_000, "--truth", truth, "--output", address_of(receiver))
    assert (done.returncode, done.stderr) == (0, b"sent 500 rows\n")
    datagrams = receive(receiver, 500)
    assert b"".join(datagrams) == b"".join(Tape(500).chunks())
    assert all(len(datagram) <= 1_400 for datagram in datagrams)
    assert len(datagrams) < 500
    assert json.loads(truth.read_text())["rows"] == 500


def test_each_record_in_a_datagram_of_its_own(receiver: socket.socket) -> None:
    done = run("--rows", 50, "--datagram", 0, "--header", "--output", address_of(receiver))
    assert done.returncode == 0, done.stderr
    datagrams = receive(receiver, 51)
    assert [datagram.count(b"\n") for datagram in datagrams] == [1] * 51
    assert datagrams[0].startswith(b"datetime\t")


def test_records_are_sent_as_they_become_due(receiver: socket.socket) -> None:
    began = time.monotonic()
    with started("--rows", 0, "--rate", 40, "--output", address_of(receiver)) as process:
        received = 0
        while received < 60:
            received += receiver.recv(1 << 16).count(b"\n")
            assert received <= 40 * (time.monotonic() - began) + 1
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130


def test_a_receiver_that_is_not_there_is_no_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = address_of(reserved)
    assert run("--rows", 200, "--output", address).returncode == 0


def test_a_record_that_no_datagram_can_hold_is_a_failure_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"x" * 70_000 + b"\n")
    done = run("--replay", path, "--output", "udp://127.0.0.1:12345")
    assert done.returncode == 1
    assert done.stderr.startswith(b"python -m simulators.registers: cannot send 70001 bytes to 127.0.0.1:12345: ")
    assert done.stderr.count(b"\n") == 1


def test_an_unknown_host_is_a_failure() -> None:
    address = Address("udp://nowhere.invalid:5", "udp", host="nowhere.invalid", port=5)
    with pytest.raises(OSError, match=r"cannot send to nowhere\.invalid:5: "), datagrams_to(address):
        pass


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"datagram is for udp:// addresses, got 'x\.txt'"):
        Outlet(parse_address("x.txt"), datagram_bytes=5)
    with pytest.raises(ValueError, match="datagram must be 0 to 65507 bytes, got 65508"):
        Outlet(parse_address("udp://127.0.0.1:5"), datagram_bytes=65_508)


def test_what_only_receives_is_no_place_to_send_to() -> None:
    address = Address("udp-listen://:5", "udp-listen", host="127.0.0.1", port=5)
    with pytest.raises(
        ValueError,
        match=r"expected a file of this machine, - or one of .*udp://, kafka:// to send to, got 'udp-listen://:5'",
    ):
        Outlet(address)
