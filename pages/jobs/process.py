"""A process of the page: started without a shell, its lines kept, ended with the page however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from pipelines.runtime.prism_server import die_with
from schemas.passwords import masked
from schemas.text.readable import readable

_LINES, _LINE_BYTES = 500, 2_000


class Line(NamedTuple):
    """A line of a log, by its number since the process began."""

    number: int
    text: str


class Process:
    """A process, and the last lines that it printed."""

    def __init__(self, command: Sequence[str], on_line: Callable[[str], bool]) -> None:
        """Start it.

        Args:
            command: the program and its arguments.
            on_line: is told each line, from a thread of its own; returns whether the log should have it.

        Raises:
            OSError: it cannot be started.
        """
        # In a session of its own, so that Ctrl-C at the terminal of the page drains it once and not twice. What the
        # kernel takes for its parent is the thread that starts it: so that has to be the main thread.
        assert threading.current_thread() is threading.main_thread()  # noqa: S101
        self._popen = subprocess.Popen(  # noqa: S603 (our own programs, and no shell)
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
            env={**os.environ, "TERM": "dumb", "PYTHONUNBUFFERED": "1"},
        )
        self.id = self._popen.pid
        self._on_line = on_line
        self._lines: deque[Line] = deque(maxlen=_LINES)
        self._number = 0
        self._reader = threading.Thread(target=self._read, name=f"log of {self.id}", daemon=True)
        self._reader.start()

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None as long as it runs or has last words."""
        found = self._popen.poll()
        if found is not None:
            self._reader.join(1)  # or until nobody is left who could write: a program that it started may be
        return found

    def lines(self, after: int = 0) -> list[Line]:
        """Return the last lines, those after a number."""
        return [line for line in list(self._lines) if line.number > after]

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def close(self) -> None:
        """Kill it, if it runs, and wait for it."""
        self._popen.kill()
        self._popen.wait()
        self._reader.join(1)

    def _read(self) -> None:
        out = self._popen.stdout
        assert out is not None  # noqa: S101 (for the type checker)
        with out, contextlib.suppress(ValueError):
            while raw := out.readline(_LINE_BYTES):
                text = masked(readable(raw.decode(errors="replace").rstrip("\r\n")))
                if self._on_line(text):
                    self._number += 1
                    self._lines.append(Line(self._number, text))
