"""Putting rows in the order of their event time, a part at a time, though all may be more than memory has room for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

import polars as pl

from schemas.elements.frames import EVENT_TIME
from schemas.elements.spill import read_slice, spill
from transforms.time_sorted.fold import PART_ROWS, in_order

#: When the rows that wait have so many bytes, they are sorted and put into a file.
HELD_BYTES = 16 << 20
#: Of such a file so many rows are read at a time, at least: each part takes some rows of each file.
_BATCH_ROWS = 4_096
#: Where parts end is found by every so manieth time of each file.
_SAMPLE_ROWS = 64


class SortInParts:
    """Takes rows, and gives them in order. As a context it removes its temporary files."""

    def __init__(self) -> None:
        """Begin with no rows."""
        self._held: list[pl.DataFrame] = []
        self._bytes = 0.0
        self._runs: list[tuple[pl.Series, str]] = []
        self._folder = ""
        self._stack = ExitStack()

    def __enter__(self) -> SortInParts:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the files."""
        self._stack.close()

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows.

        Raises:
            OSError: they cannot be put into a file.
        """
        self._held.append(rows)
        self._bytes += rows.estimated_size()
        if self._bytes >= HELD_BYTES:
            self._spill()

    def parts(self) -> Iterator[tuple[pl.DataFrame, int | None]]:
        """Yield all rows, in order and in parts, and up to when, in microseconds, there are none behind each part.

        The rows of one moment are in one part; the last one ends with None.

        Raises:
            OSError: they cannot be put into a file.
        """
        if not self._runs:
            yield in_order(pl.concat(self._held)), None
            return
        if self._held:
            self._spill()
        begins = [0] * len(self._runs)
        for until in (*self._cuts(), None):
            ends = [len(times) if until is None else int(times.search_sorted(until)) for times, _ in self._runs]
            pieces = [
                read_slice(path, begin, end - begin)
                for (_, path), begin, end in zip(self._runs, begins, ends, strict=True)
                if end > begin or until is None
            ]
            begins = ends
            if pieces:
                yield in_order(pl.concat(pieces)), until

    def _spill(self) -> None:
        rows = pl.concat(self._held).sort(EVENT_TIME)
        self._held, self._bytes = [], 0.0
        self._folder = self._folder or self._stack.enter_context(tempfile.TemporaryDirectory())
        self._runs.append((rows[EVENT_TIME].to_physical(), spill(rows, self._folder, _BATCH_ROWS)))

    def _cuts(self) -> list[int]:
        """Return times between which there are about PART_ROWS rows, more where many have one moment."""
        times = pl.concat([times.gather_every(_SAMPLE_ROWS) for times, _ in self._runs]).sort()
        every = max(1, PART_ROWS // _SAMPLE_ROWS)
        return times.gather_every(every, every).unique(maintain_order=True).to_list()
