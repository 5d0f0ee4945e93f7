"""What a person sees while a pipeline runs, and the sums at its end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping

from schemas.text.readable import readable_lines
from schemas.times import FIRST_MICROS, to_datetime
from sinks.console.tables import PRINTING, before_printing, something_stays
from sources import progress as board
from transforms.counting import COUNTS, DUPLICATE, READ

_TERMINAL_SECONDS = 0.25
_PLAIN_SECONDS = 5.0
#: The rows per second that are shown are those of so long.
_RATE_SECONDS = 2.0
#: Takes away what stands on the line of the cursor.
_ERASE = "\r\x1b[K"
#: Room at the end of a terminal's line for the ``^C`` that it shows itself.
_MARGIN_COLUMNS = 3
_FALLBACK_COLUMNS = 80
_TURN_SECONDS = 0.5


class Progress:
    """One line: redrawn in place on a terminal, a new one every few seconds elsewhere, none if quiet.

    Everything goes to the standard error. Tables may go to the same terminal: they are printed where the line stood,
    and it comes again below them.
    """

    def __init__(self, *, quiet: bool, total_bytes: int | None) -> None:
        """Begin to count the time; ``total_bytes`` is what there is to read, or None where nobody knows."""
        self._quiet = quiet
        self._total_bytes = total_bytes
        self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._seconds = _TERMINAL_SECONDS if self._is_terminal else _PLAIN_SECONDS
        self._stands = False
        self._began = time.monotonic()
        self._due = self._began + self._seconds
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])
        before_printing(self.clear)

    def show(self) -> None:
        """Print the line, if it is time for it."""
        if self._quiet or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._seconds
        line = self._line()
        with _turn():
            self._stands = self._is_terminal
            _write(_ERASE + line[: _columns() - _MARGIN_COLUMNS] if self._is_terminal else line + "\n")

    def clear(self) -> None:
        """Take the line away, if it stands on the terminal."""
        with _turn():
            if self._stands:
                self._stands = False
                _write(_ERASE)

    def note(self, text: str, *, is_due: bool = False) -> None:
        """Print a line that stays; where it ``is_due``, to those as well who asked for quiet."""
        if is_due or not self._quiet:
            with _turn():
                self._stands = False
                # Even where no line stands, the terminal may have shown ``^C``.
                _write((_ERASE if self._is_terminal else "") + readable_lines(text) + "\n")
                something_stays()

    def _line(self) -> str:
        counts, now = board.counts(), time.monotonic()
        self._seen.append((now, counts["read"]))
        while len(self._seen) > 2 and self._seen[1][0] < now - _RATE_SECONDS:  # noqa: PLR2004
            self._seen.popleft()
        then, before = self._seen[0]
        parts = [f"{counts['read']:,} rows", f"{(counts['read'] - before) / max(now - then, 1e-9):,.0f} rows/s"]
        if self._total_bytes:
            parts.append(f"{min(100, 100 * counts['bytes'] // self._total_bytes)} %")
        watermark = board.watermark()
        if watermark is not None:
            parts.append(f"watermark {to_datetime(max(watermark, FIRST_MICROS)):%Y-%m-%d %H:%M:%S}")
        parts.append(f"{counts['rejected']:,} rejected, {counts['late']:,} late")
        return " · ".join(parts)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait until nothing else is printed, but not for ever: a table may hang in a pipe that nobody reads."""
    is_mine = PRINTING.acquire(timeout=_TURN_SECONDS)
    try:
        yield
    finally:
        if is_mine:
            PRINTING.release()


def _write(text: str) -> None:
    # Whoever has closed the other end does not want to know; the work goes on.
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _columns() -> int:
    with contextlib.suppress(OSError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _FALLBACK_COLUMNS
    return _FALLBACK_COLUMNS


def summary(counts: Mapping[str, int], seconds: float) -> str:
    """Return the balance of a run in one line."""
    told = [name for name in COUNTS if name != READ and (counts[name] or name != DUPLICATE)]
    used = " + ".join(f"{counts[name]:,} {name}" for name in told)
    rate = counts["read"] / max(seconds, 1e-9)
    return f"{counts['read']:,} read = {used}, in {seconds:.1f} s ({rate:,.0f} rows/s)"
