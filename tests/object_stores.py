"""A real S3 server for tests, each bucket a folder of it, and what stands before it to disturb its clients."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import wait_for
from tests.ports import free_port

KEY, SECRET = "tester", "hunter2-of-the-store"
_PLACE = "transaction-streams/versitygw-v1.8.0/versitygw"


class S3:
    """A server of our own."""

    def __init__(self, folder: Path, scheme: str = "http") -> None:
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"{scheme}://127.0.0.1:{self.port}"
        self._number = 0

    def bucket(self) -> tuple[str, Path]:
        """Make a bucket; return its name and its folder."""
        self._number += 1
        name = f"bucket-{os.getpid()}-{self._number}"
        (self.folder / name).mkdir()
        return name, self.folder / name

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """Return the variables with which a client gets in."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_REGION": "us-east-1",
        }


@contextlib.contextmanager
def running_s3(*options: str, scheme: str = "http", folder: Path | None = None) -> Iterator[S3]:
    """Run a server; skip the test where there is none, or no client."""
    pytest.importorskip("obstore", reason="obstore is not installed: pip install -e '.[all]'")
    program = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _PLACE
    if not program.exists():
        pytest.skip("no S3 server here: scripts/get_versitygw.sh builds one with Go")
    scratch = Path(tempfile.mkdtemp(prefix="s3-"))
    server = S3(folder or scratch, scheme)
    environ = {**os.environ, "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    command = [str(program), "--port", f"127.0.0.1:{server.port}", "--quiet", *options, "posix", str(server.folder)]
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=scratch)
    try:
        wait_for(lambda: _is_open(server.port) or process.poll() is not None)
        assert process.poll() is None, (scratch / "log").read_text()
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(scratch)


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


class Disturbed:
    """Stands before a server, and spoils its first connections: each is answered 503, or reset after so many bytes.

    Args:
        port: of the server.
        faults: one for each of the first connections: 0 for an answer of 503, else the bytes that come through.
    """

    def __init__(self, port: int, faults: list[int]) -> None:
        self._port = port
        self._faults = faults
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def left(self) -> int:
        """How many faults nobody has met yet."""
        return len(self._faults)

    def __enter__(self) -> Disturbed:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, work, *args) -> None:
        threading.Thread(target=work, args=args, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = client.recv(1 << 16)
            if not request:
                return
            budget = self._faults.pop(0) if self._faults else None
            if budget == 0:
                client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                server.sendall(request)
                self._start(_pump, client, server)
                while data := server.recv(1 << 16):
                    client.sendall(data if budget is None else data[:budget])
                    if budget is not None:
                        budget -= len(data)
                        if budget <= 0:
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                            client.shutdown(socket.SHUT_RD)  # the other thread has to let go of it before it is reset
                            return


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
