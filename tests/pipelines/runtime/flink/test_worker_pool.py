"""The worker pool of a TaskManager: its interpreter, its log, and what it leaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from apache_beam.portability.api import beam_fn_api_pb2

from pipelines.runtime.flink import worker_pool
from tests.patience import wait_for

_PRINTS_MUCH = "import sys, time; print('x' * 300_000, sys.executable, sys.argv[1:], flush=True); time.sleep(600)"


def _request(name: str) -> beam_fn_api_pb2.StartWorkerRequest:
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id=name)
    request.control_endpoint.url = "127.0.0.1:1"
    return request


def _pid_of(name: str) -> int:
    found = [
        int(place.parent.name)
        for place in Path("/proc").glob("[0-9]*/cmdline")
        if place.parent.name != str(os.getpid()) and name.encode() in _line(place)
    ]
    return found[0] if found else 0


def _line(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:
        return b""


def test_workers_run_this_interpreter_may_print_much_and_end_with_the_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pool, "_WORKER", _PRINTS_MUCH)
    log = tmp_path / "log"
    pool = worker_pool.WorkerPool(log)
    first, second = f"worker-{os.getpid()}-1", f"worker-{os.getpid()}-2"
    for name in (first, second):
        assert not pool.StartWorker(_request(name), None).error
    # More than a pipe holds, which nobody would read.
    wait_for(lambda: log.stat().st_size > 600_000)
    told = log.read_text()
    assert sys.executable in told
    assert first in told
    assert second in told
    pool.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=first), None)
    assert not _pid_of(first)
    assert _pid_of(second)
    pool.close()
    assert not _pid_of(second)


def test_an_interpreter_that_is_gone_is_an_answer(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    told = worker_pool.WorkerPool().StartWorker(_request("worker"), None).error
    assert told == "cannot start /nowhere/python: No such file or directory"


def test_a_taken_port_is_one_line(capsys, monkeypatch):
    import socket

    monkeypatch.setattr(worker_pool.signal, "signal", lambda *_: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert worker_pool.main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == f"error: cannot listen on 127.0.0.1:{port}: the port is taken\n"


def test_a_worker_that_fails_to_begin_is_started_again(tmp_path, monkeypatch):
    tried = tmp_path / "tried"
    monkeypatch.setattr(
        worker_pool,
        "_WORKER",
        f"""
import pathlib, sys, time
path = pathlib.Path({str(tried)!r})
path.write_text(path.read_text() + "x" if path.exists() else "x")
if len(path.read_text()) < 3:
    sys.exit(1)
time.sleep(600)
""",
    )
    pool = worker_pool.WorkerPool(tmp_path / "log")
    assert not pool.StartWorker(_request("worker"), None).error
    wait_for(lambda: tried.exists() and len(tried.read_text()) == 3)
    pool.close()
