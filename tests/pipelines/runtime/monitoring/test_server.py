"""The server answers whoever asks properly, whatever others do to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("prometheus_client")

from pipelines.runtime.monitoring import server as module
from pipelines.runtime.monitoring.server import MonitorServer
from sources import progress as board
from sources.address import parse_listener
from sources.progress import Waiting
from tests.fakes import listening
from tests.patience import PATIENCE_SECONDS, wait_for
from tests.pipelines.tools import run_here
from tests.ports import free_port

GET = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def server() -> Iterator[MonitorServer]:
    board.reset()
    with MonitorServer(parse_listener("0"), "produce", "DirectRunner") as served:
        yield served
    assert not served._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(served)))
    board.reset()


def port_of(server: MonitorServer) -> int:
    port = urlsplit(server.url).port
    assert port
    return port


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """The status of an answer, its body and the type of that."""
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 (our own)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read().decode(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers["Content-Type"]


def connected(server: MonitorServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), PATIENCE_SECONDS)


def answer_to(server: MonitorServer, request: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    with connected(server) as sock, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))
    return b""


def assert_answers(server: MonitorServer) -> None:
    status, body, kind = ask(f"{server.url}/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert "transaction_streams_records_total" in body


def test_metrics_are_served(server):
    assert_answers(server)
    openmetrics = "application/openmetrics-text; version=1.0.0"
    status, body, kind = ask(f"{server.url}/metrics", Accept=openmetrics)
    assert (status, body.endswith("# EOF\n")) == (200, True)
    assert kind.startswith("application/openmetrics-text")
    assert ask(f"{server.url}/metrics", "HEAD")[:2] == (200, "")


def test_health_fails_with_the_reason_once_the_run_is_stuck(server):
    url = f"{server.url}/health"
    assert ask(url) == (200, '{"state": "starting", "reason": ""}\n', "application/json")
    board.set_state("running")
    board.ask_input("tcp", Waiting(7))
    assert ask(url)[0] == 200
    wait_for(lambda: ask(f"{url}?after=0.1")[0] == 503)
    status, body, _ = ask(f"{url}?after=0.1")
    assert status == 503
    assert json.loads(body)["reason"].startswith("no input was asked for records")
    assert "transaction_streams_healthy 1.0" in ask(f"{server.url}/metrics")[1]  # for 60 s, that is


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123456789", 405),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /health?after=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /health?after=nan HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example:9100\r\n\r\n", 421),
        (b"GET /metrics HTTP/1.1\r\nHost: [:::::\r\n\r\n", 421),
        (b"GET /metrics HTTP/1.1\r\nHost: [::1]:9100\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_a_bad_request_is_answered_as_such(server, request_, status):
    assert answer_to(server, request_).startswith(b"HTTP/1.1 %d " % status)
    assert_answers(server)


WORDS = (b"GET", b" ", b"/", b"/health", b"?after=", b"HTTP/1.1", b"\r\n", b"Host:", b"[", b":")


@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=5)).map(b"".join))
def test_whatever_is_asked_has_an_answer(head):
    with MonitorServer(parse_listener("0"), "produce", "DirectRunner") as server:
        _, answer = server._answer(head)
    assert answer.status in {200, 400, 404, 405, 421}


@pytest.mark.parametrize("request_", [b"", b"GET /metrics", b"x" * (1 << 20), GET[:-2], b"\r\n" * 100_000])
def test_half_a_request_and_one_without_an_end_are_let_go(server, request_, monkeypatch):
    monkeypatch.setattr(module, "_REQUEST_SECONDS", 0.2)
    assert b"200 OK" not in answer_to(server, request_)
    monkeypatch.undo()
    assert_answers(server)


def test_who_does_not_read_the_answer_is_let_go(server, monkeypatch):
    monkeypatch.setattr(module, "_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(module, "_INDEX", b"x" * (64 << 20))  # more than sockets hold
    with connected(server) as sock:
        sock.sendall(GET.replace(b"/metrics", b"/"))
        wait_for(lambda: not server._connections)
    monkeypatch.undo()
    assert_answers(server)


def test_many_connections_at_a_time_are_bounded_and_pass(server, monkeypatch):
    monkeypatch.setattr(module, "_REQUEST_SECONDS", 1.0)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(server)) for _ in range(200)]
        wait_for(lambda: server._connections == module._MOST_CONNECTIONS)
        closed = [sock for sock in idle if not sock.recv(1)]  # by the limit, or because they were too slow
        assert len(closed) == len(idle)
    monkeypatch.undo()
    assert_answers(server)


def test_answers_are_rationed(server):
    """However many ask, and however often: the thread of the server sleeps after each answer."""
    began = time.monotonic()
    for _ in range(10):
        assert_answers(server)
    assert time.monotonic() - began >= 10 * module._PAUSE_SECONDS


def test_a_taken_port_is_wrong_usage_before_anything_is_touched(tmp_path, capsys):
    out = tmp_path / "out.txt"
    with listening() as taken:
        port = taken.getsockname()[1]
        options = ["--input", __file__, "--output", out, "--metrics-port", port]
        done = run_here(capsys, *options, program="pipelines.relay")
    assert done.status == 2
    assert done.err.startswith(f"wrong usage: --metrics-port: cannot listen on {port}: Address already in use; ")
    assert done.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "x", "-1", "65536", "127.0.0.1:", "a b:1", "1.5", "http://localhost:1"])
def test_a_port_that_cannot_be_is_wrong_usage(text, capsys):
    done = run_here(capsys, "--input", __file__, f"--metrics-port={text}", program="pipelines.relay")
    assert done.status == 2
    assert "expected PORT or HOST:PORT" in done.err
    assert done.err.count("\n") == 1


def test_without_the_library_there_is_one_line(monkeypatch, capsys):
    monkeypatch.delitem(__import__("sys").modules, "pipelines.runtime.monitoring.server")
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client.exposition", None)
    done = run_here(capsys, "--input", __file__, "--metrics-port", 0, program="pipelines.relay")
    assert done.status == 2
    assert done.err == (
        "wrong usage: --metrics-port needs prometheus_client: pip install 'transaction-streams[metrics]'\n"
    )


def test_a_live_run_tells_how_it_is_doing(prism, tmp_path, capsys):
    """The numbers rise while it runs, and the port is closed when it has ended."""
    feed, port, seen = free_port(), free_port(), []

    def look() -> None:
        url = f"http://127.0.0.1:{port}"

        def shows(*lines: str) -> bool:
            with contextlib.suppress(urllib.error.URLError, http.client.HTTPException, ConnectionError):
                body = ask(f"{url}/metrics")[1]
                return all(f"transaction_streams_{line}\n" in body for line in lines)
            return False

        wait_for(lambda: shows('state{state="running"} 1.0', "open_inputs 1.0"))
        with socket.create_connection(("127.0.0.1", feed), PATIENCE_SECONDS) as sock:
            sock.sendall(b'{"a": 1}\n{"a": 2}\n')
            wait_for(lambda: shows('records_total{outcome="used"} 2.0', "connections_total 1.0"))
            seen.append(ask(f"{url}/health"))
            sock.sendall(b'{"a": 3}\n')

    thread = threading.Thread(target=look)
    thread.start()
    options = ["--input", f"tcp-listen://:{feed}", "--read-as", "jsonl", "--output", tmp_path / "out.jsonl"]
    done = run_here(
        capsys, *options, "--max-records", 3, "--metrics-port", f"localhost:{port}", program="pipelines.relay"
    )
    thread.join(PATIENCE_SECONDS)
    assert done.status == 0, done.err
    assert done.err.startswith(f"metrics: http://127.0.0.1:{port}/metrics\n")
    assert seen == [(200, '{"state": "running", "reason": ""}\n', "application/json")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
