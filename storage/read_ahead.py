"""An object as a file that is read: the next byte ranges are fetched while the one before is worked on."""

from __future__ import annotations

import io
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

#: The first range behind a seek is small: often only the head of a file is looked at.
FIRST_BYTES = 256 << 10
#: What is fetched at once, and how many of them beside the one that is read.
RANGE_BYTES = 8 << 20
AHEAD = 2


class Source(Protocol):
    """An object that is read, as it was when it was found."""

    size: int

    def close(self) -> None:
        """Let go of what is open; may be called again."""

    def fetch(self, start: int, stop: int) -> bytes | memoryview:
        """Return its bytes from ``start`` to before ``stop``, fewer only behind its end; may be called from any thread.

        Raises:
            OSError: it cannot be read, or is not there any more as it was; the message does not name it.
        """


class ReadAhead(io.RawIOBase):
    """Reads an object from any byte on, in ranges; holds at most AHEAD + 1 of them."""

    def __init__(self, source: Source) -> None:
        """Open it; nothing is fetched yet."""
        super().__init__()
        self._source = source
        self._place = 0
        #: The range that is read, and where it begins.
        self._range = memoryview(b"")
        self._start = 0
        #: The ranges that follow without a gap, and where the one behind them begins.
        self._coming: deque[_Coming] = deque()
        self._next = 0
        self._threads: ThreadPoolExecutor | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self._source.size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next byte is."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a byte."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, fewer only at the end.

        Raises:
            OSError: they cannot be fetched, or the object is not there any more as it was found.
        """
        left = max(0, self.size - self._place)
        left = left if size is None or size < 0 else min(left, size)
        parts = []
        while left:
            if not self._start <= self._place < self._start + len(self._range):
                self._turn()
            begin = self._place - self._start
            part = self._range[begin : begin + left]
            parts.append(part)
            self._place += len(part)
            left -= len(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of all ranges; nothing waits for those that are under way."""
        if not self.closed:
            self._forget()
            self._range = memoryview(b"")
            if self._threads is not None:
                self._threads.shutdown(wait=False)
            self._source.close()
        super().close()

    def _turn(self) -> None:
        """Make the range that has the next byte the one that is read."""
        while self._coming and self._place >= self._coming[0].stop:
            self._coming.popleft().future.cancel()
        if not (self._coming and self._coming[0].start <= self._place):
            is_next = len(self._range) > 0 and self._place == self._start + len(self._range)
            self._forget()
            self._next = self._place
            if not is_next:  # somebody looks, and may not read on
                self._next = min(self.size, self._place + FIRST_BYTES)
                self._take(self._place, self._next, self._source.fetch(self._place, self._next))
                return
        self._fetch_ahead()
        coming = self._coming.popleft()
        self._fetch_ahead()
        self._take(coming.start, coming.stop, coming.future.result())

    def _take(self, start: int, stop: int, data: bytes | memoryview) -> None:
        if len(data) != stop - start:
            raise EOFError(f"it ends at byte {start + len(data)}, and had {self.size} when it was found")
        self._start, self._range = start, memoryview(data)

    def _fetch_ahead(self) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AHEAD, "read-object")
        while len(self._coming) < AHEAD and self._next < self.size:
            start, self._next = self._next, min(self.size, self._next + RANGE_BYTES)
            future = self._threads.submit(self._source.fetch, start, self._next)
            self._coming.append(_Coming(start, self._next, future))

    def _forget(self) -> None:
        while self._coming:
            self._coming.popleft().future.cancel()


class _Coming(NamedTuple):
    """A range that is fetched, from ``start`` to before ``stop``."""

    start: int
    stop: int
    future: Future[bytes | memoryview]
