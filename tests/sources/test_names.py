"""Given names: every line that is not the names comes out, from every source."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sources import drain
from sources import progress as board
from sources.address import parse_address
from sources.files.follow import GRACE_SECONDS
from sources.read import Read
from tests.fakes import FakeClock, serving
from tests.sources.test_identity import driving, settle
from transforms.untyped.infer_schema import find_shape

RECORD_TYPE = find_shape([], names="first,last,city").record_type
#: What begins a file or a connection: the first three are header rows, the others are records.
HEADERS = [b"first,last,city\n", b'"city"; "first"; "last"\n', b"\xef\xbb\xbflast\tfirst\tcity\n"]
RECORDS = [b"Anna,Berg,Oslo\n", b"First,Last,City\n", b"first,last\n", b"first,last,last\n", b"\xef\xbb\xbfa,b,c\n"]
REST = b"Carl,Dahl,Bergen\n"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    board.reset()
    drain.reset()
    yield
    board.reset()
    drain.reset()


def wanted(begins: list[bytes]) -> list[bytes]:
    bare = [begin.removeprefix(b"\xef\xbb\xbf") for begin in begins if begin not in HEADERS]
    return sorted([*bare, *[REST] * len(begins)])


def lines_of(driver) -> list[bytes]:
    return sorted(driver.data.splitlines(keepends=True))


@pytest.mark.parametrize("begins", [HEADERS, RECORDS])
def test_from_files(tmp_path: Path, begins: list[bytes]) -> None:
    for number, begin in enumerate(begins):
        (tmp_path / f"{number}.csv").write_bytes(begin + REST)
    (source,) = Read((parse_address(str(tmp_path)),), RECORD_TYPE)._sources
    with driving(source) as driver:
        assert lines_of(driver.until_end()) == wanted(begins)


@pytest.mark.parametrize("begins", [HEADERS, RECORDS])
def test_from_a_followed_file_after_each_rotation(tmp_path: Path, begins: list[bytes]) -> None:
    log, clock = tmp_path / "log", FakeClock()
    log.touch()
    (source,) = Read((parse_address(str(log)),), RECORD_TYPE, follow=True)._sources
    object.__setattr__(source, "clock", clock)
    with driving(source) as driver:
        for number, begin in enumerate(begins):
            log.write_bytes(begin + REST)
            settle(driver)
            log.rename(tmp_path / f"log.{number}")
            settle(driver)
            clock.pass_seconds(GRACE_SECONDS + 1)
        assert lines_of(driver) == wanted(begins)


@pytest.mark.parametrize("begins", [HEADERS, RECORDS])
def test_from_each_connection(begins: list[bytes]) -> None:
    with serving([begin + REST for begin in begins]) as port:
        (source,) = Read((parse_address(f"tcp://127.0.0.1:{port}"),), RECORD_TYPE)._sources
        with driving(source) as driver:
            driver.until_records(len(wanted(begins)))
    assert lines_of(driver) == wanted(begins)


@pytest.mark.parametrize("begins", [HEADERS, RECORDS])
def test_from_each_peer_of_udp(begins: list[bytes]) -> None:
    (source,) = Read((parse_address("udp-listen://127.0.0.1:0"),), RECORD_TYPE)._sources
    with driving(source) as driver:
        driver.step()
        for begin in begins:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.connect(driver.reader.reading.receiver.bound[0])
                for datagram in (begin, REST):
                    peer.send(datagram)
        driver.until_records(len(wanted(begins)))
    assert lines_of(driver) == wanted(begins)


@pytest.mark.parametrize("begin", [*HEADERS, *RECORDS])
def test_from_a_command_and_the_standard_input(begin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(begin + REST)
    addresses = (parse_address(f"exec:cat {path}"), parse_address("-"))
    with path.open("rb") as standard:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=os.fdopen(os.dup(standard.fileno()), "rb")))
        for source in Read(addresses, RECORD_TYPE)._sources:
            with driving(source) as driver:
                assert lines_of(driver.until_end()) == wanted([begin])
        sys.stdin.buffer.close()
