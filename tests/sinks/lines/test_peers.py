"""Lines to peers, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.files.atomic import SinkError
from sinks.lines.peers import MAX_DATAGRAM_BYTES, TcpPeer, UdpPeer, datagrams
from sources.address import parse_address
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"") + b"\n")), st.integers(1, 30))
def test_datagrams_have_whole_lines_in_order_and_as_many_as_fit(lines, most):
    found = list(datagrams(b"".join(lines), most))
    assert b"".join(found) == b"".join(lines)
    assert all(one.endswith(b"\n") and (len(one) <= most or one.count(b"\n") == 1) for one in found)
    firsts = [one[: one.index(b"\n") + 1] for one in found]
    assert all(len(one) + len(first) > most for one, first in zip(found, firsts[1:], strict=False))


@contextlib.contextmanager
def receiving() -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE_SECONDS)
        yield sock, f"udp://127.0.0.1:{sock.getsockname()[1]}"


def test_lines_come_in_datagrams_and_one_that_fits_none_harms_no_other():
    with receiving() as (sock, text):
        outlet = UdpPeer(parse_address(text)).open()
        outlet.write(b"a\nb\n" + b"x" * MAX_DATAGRAM_BYTES + b"\nc\n")
        assert [sock.recv(1 << 16) for _ in range(2)] == [b"a\nb\n", b"c\n"]
        outlet.close()
    # Nobody is there any more, and nobody is told.
    outlet = UdpPeer(parse_address(text)).open()
    outlet.write(b"a\n")
    outlet.write(b"b\n")
    outlet.close()


def test_a_peer_that_is_not_there_is_given_up_in_one_line():
    outlet = TcpPeer(parse_address(f"tcp://127.0.0.1:{free_port()}"), retry_seconds=0.2).open()
    with pytest.raises(
        SinkError, match=r"^cannot send to tcp://127\.0\.0\.1:\d+: Connection refused; tried for \d+\.\d s$"
    ):
        outlet.write(b"a\n")
    outlet.close()


def test_a_peer_that_comes_late_gets_everything():
    port = free_port()
    got: list[bytes] = []

    def serve() -> None:
        with (
            socket.create_server(("127.0.0.1", port)) as listener,
            listener.accept()[0] as peer,
            peer.makefile("rb") as file,
        ):
            got.append(file.read())

    outlet = TcpPeer(parse_address(f"tcp://127.0.0.1:{port}"), retry_seconds=PATIENCE_SECONDS).open()
    thread = threading.Timer(0.3, serve)  # while the first line is tried again and again
    thread.start()
    outlet.write(b"a\nb\n")
    outlet.write(b"c\n" * 100_000)
    outlet.close()
    thread.join(PATIENCE_SECONDS)
    assert got == [b"a\nb\n" + b"c\n" * 100_000]


def test_a_line_that_was_cut_off_comes_again_whole():
    lines = [b"%06d %s\n" % (number, b"x" * 1_000) for number in range(20_000)]
    got: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        got.append(peer.recv(10))
        peer.close()  # with much unread: a reset
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as file:
            got.extend(file)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        outlet = TcpPeer(parse_address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")).open()
        outlet.write(b"".join(lines))
        outlet.close()
        thread.join(PATIENCE_SECONDS)
    assert got[1:] == lines[-len(got) + 1 :]
    assert 0 < len(got) - 1 <= len(lines)
