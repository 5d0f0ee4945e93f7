"""The worker pool beside a TaskManager: starts a Python process for each job that asks for workers.

    python -m pipelines.runtime.flink.worker_pool --port 50000

Beam's own listens on all interfaces, starts whatever ``python`` is on the PATH, and gives its workers a pipe for their
standard output that nobody reads, so that they stop once it is full.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

#: As Beam sets them, so that a runner may look at any time whether the pool is there; a port is one pool's.
_OPTIONS = (("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0), ("grpc.so_reuseport", 0))
_WORKER = "import sys; from pipelines.runtime.flink.worker import main; main(*sys.argv[1:])"
#: A worker that fails so soon has not begun, and its TaskManager would wait for ever: it is started again, a few times.
_BEGIN_SECONDS, _TRIES = 30.0, 3
#: How long a worker may take to end once it is asked to.
_END_SECONDS = 5.0


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and ends workers with the interpreter that runs this.

    Args:
        log: where workers write what they print; None leaves that to the standard error of this process.
    """

    def __init__(self, log: Path | None = None) -> None:
        """Start no worker yet."""
        self._log = log
        # The system ends a child with the thread that has made it: this one stays as long as the process does.
        self._maker = ThreadPoolExecutor(1, "maker")
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(  # noqa: N802 (Beam's name)
        self, start_worker_request: beam_fn_api_pb2.StartWorkerRequest, _: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Start a worker for a TaskManager."""
        name = start_worker_request.worker_id
        command = [sys.executable, "-c", _WORKER, start_worker_request.control_endpoint.url, name, str(os.getpid())]
        try:
            self._start(name, command)
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=f"cannot start {sys.executable}: {error.strerror}")
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(  # noqa: N802 (Beam's name)
        self, stop_worker_request: beam_fn_api_pb2.StopWorkerRequest, _: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """End a worker, if it has not ended."""
        with self._lock:
            worker = self._workers.pop(stop_worker_request.worker_id, None)
        if worker is not None:
            _end([worker])
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
        _end(workers)

    def _start(self, name: str, command: list[str], tries: int = 1) -> None:
        worker = self._maker.submit(self._make, command).result()
        with self._lock:
            self._workers[name] = worker
        threading.Thread(target=self._await, args=(name, command, worker, tries), daemon=True).start()

    def _await(self, name: str, command: list[str], worker: subprocess.Popen[bytes], tries: int) -> None:
        began = time.monotonic()
        status = worker.wait()
        with self._lock:
            is_wanted = self._workers.get(name) is worker
        if not is_wanted:
            return
        print(f"worker {name} ended with status {status}", file=sys.stderr, flush=True)
        if status and tries < _TRIES and time.monotonic() - began < _BEGIN_SECONDS:
            self._start(name, command, tries + 1)

    def _make(self, command: list[str]) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            out = sys.stderr if self._log is None else stack.enter_context(self._log.open("ab"))
            # Nothing of Python runs in the child before its program does: other threads of this process may hold locks.
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # noqa: S603 (our own)


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal comes; return the exit status."""
    parser = argparse.ArgumentParser(description="A worker pool for the TaskManager of Flink that is beside it.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=50_000, help="the port to listen on (default: 50000)")
    parser.add_argument("--log", type=Path, help="where workers write what they print (default: the standard error)")
    asked = parser.parse_args(argv)
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # a child that is forked runs another program at once
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    pool = WorkerPool(asked.log)
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=_OPTIONS)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        server.add_insecure_port(f"{asked.host}:{asked.port}")
    except RuntimeError:
        print(f"error: cannot listen on {asked.host}:{asked.port}: the port is taken", file=sys.stderr)
        return 1
    server.start()
    print(f"worker pool on {asked.host}:{asked.port}, workers run {sys.executable}", file=sys.stderr, flush=True)
    stopping.wait()
    pool.close()
    server.stop(0).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
