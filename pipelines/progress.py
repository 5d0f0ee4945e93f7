"""What a person sees while a pipeline runs, and the sums at its end."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping

from schemas.units import to_datetime
from sources import board

_TERMINAL_SECONDS = 0.25
_PLAIN_SECONDS = 5.0
#: The rows per second that are shown are those of so long.
_RATE_SECONDS = 2.0


class Progress:
    """One line: redrawn in place on a terminal, a new one every few seconds elsewhere, none if quiet."""

    def __init__(self, *, quiet: bool, total_bytes: int | None) -> None:
        """Begins to count the time; ``total_bytes`` is what there is to read, or None where nobody knows."""
        self._quiet = quiet
        self._total_bytes = total_bytes
        self._is_terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])
        self.seconds = _TERMINAL_SECONDS if self._is_terminal else _PLAIN_SECONDS

    def show(self) -> None:
        """Prints the line."""
        if self._quiet:
            return
        line = self._line()
        print(f"\r\x1b[K{line}" if self._is_terminal else line, end="" if self._is_terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self._is_terminal and not self._quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

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
            parts.append(f"watermark {to_datetime(watermark):%Y-%m-%d %H:%M:%S}")
        parts.append(f"{counts['rejected']:,} rejected, {counts['late']:,} late")
        return " · ".join(parts)


def summary(counts: Mapping[str, int], seconds: float) -> str:
    """Gives the balance of a run in one line."""
    used = " + ".join(f"{counts[name]:,} {name}" for name in ("used", "filtered", "rejected", "late"))
    rate = counts["read"] / max(seconds, 1e-9)
    return f"{counts['read']:,} read = {used}, in {seconds:.1f} s ({rate:,.0f} rows/s)"
