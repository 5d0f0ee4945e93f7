"""A terminal for the tests of what is drawn: a real one for the program, and an emulation of what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
_PART = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|(\r|\n)|([^\x1b\r\n])")


class Emulation:
    """What a terminal of so many columns and lines shows; it knows what the sinks and the progress line send."""

    def __init__(self, columns: int, lines: int) -> None:
        self._columns = columns
        self._lines = lines
        self._rows = [""]
        self._row = self._column = 0

    def feed(self, text: str) -> Emulation:
        seen = 0
        for part in _PART.finditer(text):
            assert part.start() == seen, f"unknown control sequence at {text[seen : seen + 20]!r}"
            seen = part.end()
            number, code, move, letter = part.groups()
            if letter:
                self._put(letter)
            elif move == "\r":
                self._column = 0
            elif move == "\n":
                self._down()
            else:
                self._control(code, number)
        return self

    def _put(self, letter: str) -> None:
        if self._column == self._columns:
            self._column = 0
            self._down()
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + letter + row[self._column + 1 :]
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append("")

    def _control(self, code: str, number: str) -> None:
        if code == "A":
            self._row = max(self._row - int(number or 1), len(self._rows) - self._lines, 0)
        elif code == "J":
            assert number in ("", "0")
            del self._rows[self._row + 1 :]
            self._rows[self._row] = self._rows[self._row][: self._column]
        elif code == "K":
            assert number in ("", "0")
            self._rows[self._row] = self._rows[self._row][: self._column]
        else:
            assert code == "m", f"unknown control sequence {code!r}"

    @property
    def text(self) -> str:
        """All that was ever shown and not erased, what has scrolled away too."""
        return "\n".join(row.rstrip() for row in self._rows)


def on_terminal(code: str, columns: int = 80, lines: int = 24, **environment: str) -> str:
    """Runs Python code on a terminal; gives all that it has sent there."""
    ours, side = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    try:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=ROOT,
            env=kept | {"TERM": "xterm", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"} | environment,
            stdin=side,
            stdout=side,
            stderr=side,
        )
    finally:
        os.close(side)
    shown = b""
    try:
        while data := _read(ours):
            shown += data
        assert process.wait(PATIENCE_SECONDS) == 0, shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown.decode()


def _read(file: int) -> bytes:
    try:
        return os.read(file, 1 << 16)
    except OSError:  # Linux: nobody has the other side open any more
        return b""
