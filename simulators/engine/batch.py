"""Batches: records on their way out, as one run of bytes, with what faults, pacing and truth ask of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]
Facts = npt.NDArray[Any]

#: What befell a record, added up.
GARBAGE, DUPLICATE, LATE = 1, 2, 4
_NEWLINE = 10


@dataclass(frozen=True, eq=False)
class Batch:
    """Whole records, each ended by a line feed.

    Attributes:
        data: their bytes.
        times: their event times in microseconds.
        facts: what a simulator wants to know again of each record once it is sent.
        marks: GARBAGE, DUPLICATE and LATE, added up for each record.
    """

    data: bytes | memoryview
    times: Times
    facts: Facts | None = None
    marks: Marks | None = None

    @property
    def rows(self) -> int:
        """How many records there are."""
        return len(self.times)

    @cached_property
    def ends(self) -> npt.NDArray[np.intp]:
        """Where each record ends in the data."""
        return np.flatnonzero(np.frombuffer(self.data, np.uint8) == _NEWLINE) + 1

    def cut(self, start: int, stop: int) -> Batch:
        """Return the records from ``start`` up to ``stop``, without copying them."""
        if start <= 0 and stop >= self.rows:
            return self
        stop = min(stop, self.rows)
        first = int(self.ends[start - 1]) if start else 0
        last = int(self.ends[stop - 1]) if stop else 0
        return Batch(
            memoryview(self.data)[first:last],
            self.times[start:stop],
            None if self.facts is None else self.facts[start:stop],
            None if self.marks is None else self.marks[start:stop],
        )

    def records(self) -> list[bytes]:
        """Return the records one by one, without their line feeds."""
        return bytes(self.data).split(b"\n")[:-1]


def first_rows(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """Yield the first so many records of batches; 0 for all."""
    if not rows:
        yield from batches
        return
    for batch in batches:
        yield batch.cut(0, rows)
        rows -= batch.rows
        if rows <= 0:
            return


@dataclass(frozen=True, eq=False)
class Routes:
    """Which way each record of a batch goes, where a stream has several.

    Attributes:
        topics: the names of all ways: topics of Kafka, or files.
        which: for each record, the place of its topic in ``topics``.
        keys: for each record, the key of its message; None for messages without one.
    """

    topics: Sequence[str]
    which: npt.NDArray[np.uint8]
    keys: Sequence[bytes | None]


#: Tells the ways of the records of a batch, which has its facts.
Route = Callable[[Batch], Routes]


def _nothing(_: Batch) -> None:
    """Do nothing, as a stream that nobody watches."""


@dataclass(frozen=True)
class Stream:
    """One run through the records of a simulator.

    Attributes:
        batches: the records; taken once.
        preamble: bytes that go before the first record, such as a header row.
        on_sent: is told every batch that has left.
        on_end: is called once, when all has left or nobody takes any more.
        route: tells which way each record goes, where there are several; the batches have facts then.
    """

    batches: Iterator[Batch]
    preamble: bytes = b""
    on_sent: Callable[[Batch], None] = _nothing
    on_end: Callable[[], None] = field(default=lambda: None)
    route: Route | None = None


#: Starts a stream from its beginning.
Streams = Callable[[], Stream]
