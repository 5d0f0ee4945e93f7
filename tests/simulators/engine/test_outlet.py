"""Every outlet over real files and sockets, with the program in a process of its own."""

from __future__ import annotations

import gzip
import io
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from simulators.engine.metering import Clock
from simulators.engine.outlet import Outlet
from simulators.tape.tape import Tape
from sources.address import parse_address
from sources.pacing import Pace
from tests.ports import free_port
from tests.simulators.tools import (
    PATIENCE_SECONDS,
    ROOT,
    assert_truth,
    command,
    connect,
    fetch,
    port_of,
    read_to_end,
    run,
    started,
)

LISTEN = "tcp-listen://127.0.0.1:0"


def tape(rows: int) -> bytes:
    return b"".join(Tape(rows).chunks())


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    _, error = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, error


def test_a_file_is_compressed_by_its_ending_and_always_the_same(tmp_path: Path) -> None:
    names = ("tape.txt", "tape.txt.gz", "tape.txt.zst")
    for name in names:
        assert run("--rows", 2_000, "--output", tmp_path / name).returncode == 0
    first = [(tmp_path / name).read_bytes() for name in names]
    assert first[0] == tape(2_000)
    assert gzip.decompress(first[1]) == first[0]
    assert zstandard.ZstdDecompressor().stream_reader(io.BytesIO(first[2])).read() == first[0]
    assert run("--rows", 2_000, "--output", tmp_path / names[1]).returncode == 0
    assert (tmp_path / names[1]).read_bytes() == first[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_file_is_not_there_until_it_is_whole_and_stopping_leaves_nothing(
    tmp_path: Path, stop: signal.Signals, code: int
) -> None:
    with started("--rows", 1_000, "--rate", 10, "--output", tmp_path / "tape.txt") as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not list(tmp_path.glob(".tape.txt.*.tmp")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not (tmp_path / "tape.txt").exists()
        process.send_signal(stop)
        assert end(process) == (code, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_and_not_replaced() -> None:
    assert run("--rows", 10, "--output", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


def test_standard_output_gets_the_tape_and_nothing_else() -> None:
    done = run("--rows", 2_000, "--output", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, tape(2_000), b"")


def test_a_broken_pipe_is_a_quiet_end() -> None:
    with started("--rows", 0, "--output", "-") as process:
        assert process.stdout is not None
        process.stdout.read(1_000)
        process.stdout.close()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_several_clients_each_get_the_full_stream() -> None:
    with started("--rows", 20_000, "--output", LISTEN) as process:
        port = port_of(process)
        with ThreadPoolExecutor(3) as pool:
            assert set(pool.map(fetch, [port] * 3)) == {tape(20_000)}
        assert fetch(port) == tape(20_000)
        process.send_signal(signal.SIGINT)
        assert end(process) == (130, b"")


def test_a_client_that_goes_away_does_not_stop_the_server() -> None:
    with started("--rows", 50_000, "--output", LISTEN) as process:
        port = port_of(process)
        for _ in range(3):
            with connect(port) as client:
                client.recv(10)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert fetch(port) == tape(50_000)


def test_once_ends_after_the_first_full_stream() -> None:
    with started("--rows", 5_000, "--output", LISTEN, "--once") as process:
        port = port_of(process)
        with connect(port) as impatient:
            impatient.recv(10)
        assert fetch(port).count(b"\n") == 5_000
        code, error = end(process)
        assert code == 0
        assert error.startswith(b"sent 5000 rows")


def test_one_record_each_connection_until_the_stream_ends() -> None:
    with started("--rows", 5, "--output", LISTEN, "--per-connection") as process:
        port = port_of(process)
        records = [fetch(port) for _ in range(5)]
        assert [record.count(b"\n") for record in records] == [1] * 5
        assert b"".join(records) == tape(5)
        assert end(process)[0] == 0


def test_so_many_records_each_connection_and_a_truth_of_them(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    options = ("--rows", 25, "--header", "--truth", truth, "--duplicates", 0.2)
    with started(*options, "--output", LISTEN, "--per-connection", 10) as process:
        port = port_of(process)
        parts = []
        while process.poll() is None:
            try:
                parts.append(fetch(port))
            except OSError:
                break
        assert end(process)[0] == 0
    assert next(part.count(b"\n") for part in parts if part) == 11
    header, _, data = b"".join(parts).partition(b"\n")
    assert header.startswith(b"datetime\tregister_no")
    assert_truth(truth, data)


def test_a_client_that_talks_gets_its_record_all_the_same() -> None:
    with started("--rows", 2, "--output", LISTEN, "--per-connection", "1") as process:
        port = port_of(process)
        for _ in range(2):
            with connect(port) as client:
                client.sendall(b"hello\n")
                assert read_to_end(client).count(b"\n") == 1
        assert end(process)[0] == 0


def test_records_are_pushed_to_a_listener_that_comes_up_later() -> None:
    port = free_port()
    with started("--rows", 3_000, "--output", f"tcp://127.0.0.1:{port}") as process:
        time.sleep(0.7)
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(PATIENCE_SECONDS)
            peer, _ = server.accept()
            with peer:
                assert read_to_end(peer) == tape(3_000)
        assert end(process) == (0, b"sent 3000 rows\n")


def test_nobody_to_push_to_is_a_failure_of_one_line() -> None:
    port = free_port()
    done = run("--output", f"tcp://127.0.0.1:{port}", "--connect-timeout", "0.3s")
    assert done.returncode == 1
    assert done.stderr.startswith(b"python -m simulators.registers: cannot connect to 127.0.0.1:")
    assert done.stderr.count(b"\n") == 1


def test_a_listener_that_goes_away_is_a_failure_and_the_truth_tells_what_was_sent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with started("--rows", 0, "--output", address, "--truth", tmp_path / "truth.json") as process:
            peer, _ = server.accept()
            with peer:
                peer.recv(1_000)
            code, error = end(process)
    assert code == 1
    assert b"lost the connection to 127.0.0.1:" in error
    assert error.count(b"\n") == 1
    assert (tmp_path / "truth.json").exists()


def test_a_port_in_use_is_a_failure_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = run("--output", f"tcp-listen://127.0.0.1:{server.getsockname()[1]}")
    assert done.returncode == 1
    assert b"cannot listen on 127.0.0.1:" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_an_interrupt_stops_at_once_with_clients_that_do_not_read(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    with started("--rows", 0, "--output", LISTEN, "--truth", truth) as process:
        port = port_of(process)
        with connect(port) as idle, connect(port) as other:
            idle.recv(1)
            other.recv(1)
            process.send_signal(signal.SIGINT)
            assert end(process) == (130, b"")
    assert truth.exists()


def test_records_arrive_as_they_become_due() -> None:
    with started("--rows", 40, "--rate", 40, "--output", LISTEN, "--once") as process:
        port = port_of(process)
        began = time.monotonic()  # the stream begins with the connection
        with connect(port) as client:
            half = b""
            while half.count(b"\n") < 20:
                half += client.recv(1 << 16)
                assert half.count(b"\n") <= 40 * (time.monotonic() - began) + 1
            rest = read_to_end(client)
            assert time.monotonic() - began >= 39 / 40
        assert half + rest == tape(40)


def test_outlets_refuse_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"per-connection is for tcp-listen:// addresses, got 'x.txt'"):
        Outlet(parse_address("x.txt"), Pace(), 1)
    with pytest.raises(ValueError, match="per-connection must be 1 or more, got 0"):
        Outlet(parse_address(LISTEN), Pace(), 0)
    with pytest.raises(ValueError, match="one of per-connection, once and shared, got per-connection and once"):
        Outlet(parse_address(LISTEN), Pace(), 1, once=True)


def test_a_shell_in_between_does_not_change_the_interrupt() -> None:
    with subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command("--rows", 0, "--output", LISTEN)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    ) as process:
        port_of(process)
        process.send_signal(signal.SIGINT)
        assert end(process) == (130, b"")


def test_a_stopped_clock_rests_no_more() -> None:
    clock = Clock()
    clock.stop()
    began = clock.now()
    clock.rest(3_600)
    assert clock.now() - began < 3_600
