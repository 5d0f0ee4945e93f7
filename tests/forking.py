"""Programs of the project, forked from a process that has imported what they import: each start is a second cheaper.

``Popen`` is that of subprocess for ``python -m NAME``, and what it starts is a process like any other: with pipes,
signals, an exit status and an environment of its own. Only its imports were made before it, by a server
(``fork_server.py``) that each pytest process has one of; it imports nothing of the project, has no thread that matters,
and ends with pytest. What cannot be forked is started: elsewhere than on Linux, or with another ``HOME``.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import fork_server
from tests.fork_server import HEADER, ROOM

#: Keeps libraries from starting threads when they are imported; the programs do not see it.
_NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "_RJEM_MALLOC_CONF": "background_thread:false",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
#: Python, or what is imported, reads these once, when the process starts.
_AT_START = ("PYTHON", "LC_", "LANG", "HOME", "POLARS_")


class Popen(subprocess.Popen):
    """A program that is forked if its command is ``[sys.executable, "-m", NAME, *options]``, or else started."""

    _is_forked = False

    def _execute_child(self, args: Any, *rest: Any) -> None:
        command = [*map(os.fspath, args)]
        environment = dict(os.environ if rest[5] is None else rest[5])
        preexec_fn, pass_fds = rest[1], rest[3]
        can_fork = hasattr(os, "pidfd_open") and command[:2] == [sys.executable, "-m"] and not (preexec_fn or pass_fds)
        if not can_fork or not _server().is_like(environment):
            super()._execute_child(args, *rest)
            return
        cwd, pipes, new_session = os.fspath(rest[4] or Path.cwd()), rest[9:15], rest[20]
        request = {"arguments": command[2:], "cwd": cwd, "env": environment, "new_session": new_session}
        streams = [given if given >= 0 else standard for standard, given in enumerate((pipes[0], pipes[3], pipes[5]))]
        self._ended, tell = os.pipe()
        try:
            self.pid = _server().fork(request, [*streams, tell])
            self._child_created = self._is_forked = True
        finally:
            os.close(tell)
            self._close_pipe_fds(*pipes)

    def _internal_poll(self, *args: Any, **more: Any) -> int | None:
        if not self._is_forked:
            return super()._internal_poll(*args, **more)
        if self._waitpid_lock.acquire(blocking=False):  # or else another thread is waiting
            try:
                self._look(0)
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if not self._is_forked:
            return super()._wait(timeout)
        with self._waitpid_lock:
            self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _look(self, timeout: float | None) -> None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            told = os.read(self._ended, HEADER.size)
            assert told, "the server of forked programs has gone"
            os.close(self._ended)
            self.returncode = os.waitstatus_to_exitcode(*HEADER.unpack(told))


def run(command: list[str], data: bytes | None = None, timeout: float | None = None, **more: Any) -> Any:
    """Run a program to its end, as ``subprocess.run`` does; its output is captured."""
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    more = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    with Popen(command, **more) as process:
        try:
            out, err = process.communicate(data, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


class Server:
    """The process that forks, as seen by who asks it to."""

    def __init__(self) -> None:
        self._at_start = _at_start(os.environ)
        self._control, other = socket.socketpair()
        self._lock = threading.Lock()
        environment = {"ROOM": "x" * ROOM} | dict(os.environ) | _NO_THREADS
        environment.pop("PYTHONPATH", None)
        with other:
            self.process = subprocess.Popen(
                [sys.executable, fork_server.__file__, str(other.fileno()), "x" * ROOM],
                env=environment, stdin=subprocess.DEVNULL, pass_fds=[other.fileno()], start_new_session=True,
            )  # fmt: skip
        atexit.register(self.stop)

    def is_like(self, environment: Mapping[str, str]) -> bool:
        """Tell whether Python and what it imports would have started there as they have here."""
        return _at_start(environment) == self._at_start

    def fork(self, request: Mapping[str, Any], files: list[int]) -> int:
        body = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._control, [HEADER.pack(len(body))], files)
            self._control.sendall(body)
            answer = self._control.recv(HEADER.size)
        assert answer, "the server of forked programs has gone"
        return HEADER.unpack(answer)[0]

    def stop(self) -> None:
        self._control.close()
        self.process.wait()


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(_AT_START) and name != "PYTHONPATH"}


_servers: list[Server] = []
_starting = threading.Lock()


def _server() -> Server:
    with _starting:
        if not _servers:
            _servers.append(Server())
    return _servers[0]
