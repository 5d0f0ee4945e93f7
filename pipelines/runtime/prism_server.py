"""Prism as a process: starting it where nobody else can reach it, ending it, and what it said before it died.

The one that ``make prism`` builds listens on a Unix socket, in a folder that is closed to other users. Any other one
listens on all interfaces and lets everybody run code as the user of the pipeline: that is said, once a run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipelines.runtime.options import UsageError
from pipelines.runtime.prism import HOW_TO_GET, private_name

_START_SECONDS = 20.0
#: Which socket the Prism of scripts/get_prism.sh listens on. Without this variable it has a port of 127.0.0.1.
_SOCKET_VARIABLE = "PRISM_SOCKET"
#: How much of what Prism logs is kept, to be shown when it dies.
_LOG_LINES, _LOG_LINE_BYTES = 200, 1_000
_LAST_LINES = 5
#: How Go begins to say why a program ends.
_GO_REASONS = ("panic: ", "fatal error: ")
_PR_SET_PDEATHSIG = 1


class Prism:
    """A Prism that runs.

    Attributes:
        endpoint: where jobs are submitted, as gRPC dials it.
    """

    def __init__(self, process: subprocess.Popen[bytes], endpoint: str) -> None:
        self.endpoint = endpoint
        self._process = process
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._reading = threading.Thread(target=self._read_log, name="prism log", daemon=True)
        self._reading.start()

    def death(self, wait_seconds: float = 0.0) -> str | None:
        """Return why Prism has ended, with its last lines of log, or None if it has not.

        Args:
            wait_seconds: how long to wait for it: its connections break a moment before it has ended.
        """
        try:
            status = self._process.wait(wait_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reading.join(1)  # or until nobody is left who could write: a program that it started may be
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"Prism ended {how}; {self._last_words()}"

    def _last_words(self) -> str:
        lines = list(self._log)
        reason = next((at for at, line in enumerate(lines) if line.startswith(_GO_REASONS)), None)
        told = lines[-_LAST_LINES:] if reason is None else lines[reason : reason + 1]
        return f"the end of its log: {' | '.join(told)}" if told else "it logged nothing"

    def _read_log(self) -> None:
        log = self._process.stderr
        assert log is not None  # noqa: S101 (for the type checker)
        with log, contextlib.suppress(ValueError):
            while line := log.readline(_LOG_LINE_BYTES):
                text = line.decode(errors="replace").strip()
                if text:
                    self._log.append(text)

    def await_door(self, can_connect: Callable[[], None]) -> None:
        """Wait until Prism can be connected to.

        Raises:
            RuntimeError: it ends before that, or takes too long.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                return can_connect()
            death = self.death()
            if death:
                raise RuntimeError(f"{death}; {HOW_TO_GET}")
            time.sleep(0.02)
        raise RuntimeError(f"Prism did not start within {_START_SECONDS:.0f} s; {self._last_words()}")


@contextlib.contextmanager
def running_prism(binary: Path, folder: Path | None, note: Callable[[str], None]) -> Iterator[Prism]:
    """Run Prism as long as the context lasts.

    It is in a session of its own, so that Ctrl-C at a terminal ends it only after its job has been drained; and where
    the system can do that (Linux) it ends when this process does, however that comes about.

    Args:
        binary: the program.
        folder: for its socket; None where the workers need a port.
        note: tells the user who else can reach it.

    Raises:
        UsageError: it is no program.
        RuntimeError: it does not start.
    """
    environment = dict(os.environ)
    is_private = binary.name == private_name()
    path = folder / "prism.sock" if is_private and folder is not None else None
    port = 0
    if path is not None:
        environment[_SOCKET_VARIABLE] = str(path)
    else:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    try:
        process = subprocess.Popen(  # noqa: S603 (a binary that Beam or the user chose)
            [str(binary), f"--job_port={port}", "--serve_http=false", "--log_kind=text", "--log_level=warn"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    except OSError as error:
        raise UsageError(f"cannot run {str(binary)!r} as Prism: {error.strerror}; {HOW_TO_GET}") from None
    if path is None:
        who = "every user of this machine" if is_private else "everybody who reaches this machine"
        note(f"warning: {who} can run code as you by port {port}, until this ends ({binary}): see docs/security.md")
    prism = Prism(process, f"127.0.0.1:{port}" if path is None else f"unix:{path}")
    try:
        prism.await_door(partial(_connect, path or port))
        yield prism
    finally:
        process.kill()  # it has nothing to keep
        process.wait()


def _connect(door: Path | int) -> None:
    """Connect to a Unix socket, or to a port of this machine, and hang up.

    Raises:
        OSError: nobody answers there.
    """
    is_port = isinstance(door, int)
    with socket.socket(socket.AF_INET if is_port else socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", door) if is_port else str(door))


def die_with(parent: int) -> None:
    """Have this process end when its parent does, or at once if that has ended before it could be asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        signal.raise_signal(signal.SIGKILL)
