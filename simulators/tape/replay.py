"""Replay: the lines of given files as a stream, as they stand."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zstandard

from schemas.record_type import Dialect, RecordType
from simulators.engine.batch import GARBAGE, Batch, Times
from simulators.engine.files import opened
from simulators.tape.baskets import ONE
from simulators.tape.truth import FACTS

#: Lines of a batch; a fixed number, so that faults fall on the same lines every time.
BATCH_LINES = 8_192


@dataclass(frozen=True)
class Replay:
    """Files whose lines are sent again, one after the other.

    Attributes:
        files: plain, ``.gz`` or ``.zst``.
        record: what the lines are, for event times and sums.
        dialect: how they are written; with a header, the first line of each file is one, and is sent once.
        rows: how many lines; None for all, 0 for all of them over and over.
        upcs: the UPCs met so far; facts name a UPC by its place here.
    """

    files: tuple[Path, ...]
    record: RecordType
    dialect: Dialect = Dialect()
    rows: int | None = None
    upcs: list[str] = field(default_factory=list)

    @property
    def preamble(self) -> bytes:
        """The header row of the first file, where there is one."""
        if not self.dialect.header:
            return b""
        with _readable(self.files[0]) as lines:
            return next(iter(lines), b"")

    def batches(self, *, facts: bool = False, times: bool = False) -> Iterator[Batch]:
        """Yield the lines; event times and facts only where they are wanted, for they take time.

        A line without an event time counts as of the time of the line before it. A line that is no record of that
        type has the mark of garbage.

        Raises:
            OSError: a file cannot be read.
        """
        reader = _Reader(self)
        left = self.rows or None
        for lines in self._groups():
            taken = lines[:left]
            yield reader.batch(taken, facts=facts, times=times)
            if left is not None:
                left -= len(taken)
                if left <= 0:
                    return

    def _groups(self) -> Iterator[list[bytes]]:
        while True:
            found = False
            for path in self.files:
                with _readable(path) as lines:
                    if self.dialect.header:
                        next(iter(lines), None)
                    while group := list(islice(lines, BATCH_LINES)):
                        found = True
                        group[-1] = group[-1].removesuffix(b"\n") + b"\n"
                        yield group
            if self.rows != 0 or not found:
                return


class _Reader:
    """Reads event times and facts off lines."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._columns = replay.record.order(replay.dialect)
        self._places = {upc: place for place, upc in enumerate(replay.upcs)}
        self._latest = 0

    def batch(self, lines: list[bytes], *, facts: bool, times: bool) -> Batch:
        data = b"".join(lines)
        if not facts:
            return Batch(data, self._times(lines) if times else np.zeros(len(lines), np.int64))
        moments = np.empty(len(lines), np.int64)
        found = np.zeros(len(lines), FACTS)
        marks = np.zeros(len(lines), np.uint8)
        for place, line in enumerate(lines):
            moment = self._moment(line)
            fact = None if moment is None else self._fact(line)
            self._latest = self._latest if moment is None else moment
            moments[place] = self._latest
            if fact is None:
                marks[place] = GARBAGE
            else:
                found[place] = fact
        return Batch(data, moments, found, marks)

    def _times(self, lines: list[bytes]) -> Times:
        place = self._columns.index(self._replay.record.event_time)
        separator = self._replay.dialect.separator.encode()
        try:
            texts = [line.split(separator, place + 1)[place].strip(b'"\r\n').decode("ascii") for line in lines]
            moments = np.array(texts, "M8[us]").astype(np.int64)
        except (ValueError, IndexError):
            moments = np.zeros(len(lines), np.int64)
            for number, line in enumerate(lines):
                moment = self._moment(line)
                self._latest = self._latest if moment is None else moment
                moments[number] = self._latest
        self._latest = int(moments[-1])
        return moments

    def _moment(self, line: bytes) -> int | None:
        return self._replay.record.event_micros(line, self._replay.dialect)

    def _fact(self, line: bytes) -> tuple[int, int, int, int] | None:
        """Return the facts of a line, or None where it is no well-formed record."""
        dialect = self._replay.dialect
        text = line.decode("latin-1").rstrip("\r\n")
        if dialect.quoted:
            fields = next(csv.reader([text], delimiter=dialect.separator), [])
        else:
            fields = text.split(dialect.separator)
        if len(fields) != len(self._columns):
            return None
        row = dict(zip(self._columns, fields, strict=True))
        try:
            department = int(row["department"])
            quantity, total = (_millionths(row[name]) for name in ("quantity", "total"))
        except (ValueError, InvalidOperation):
            return None
        upc = row["upc"]
        place = self._places.setdefault(upc, len(self._places))
        if place == len(self._replay.upcs):
            self._replay.upcs.append(upc)
        return department, place, quantity, total


def _millionths(text: str) -> int:
    if text.strip() in {"", "NULL"}:
        return 0
    value = Decimal(text) * ONE
    if value != value.to_integral_value():
        raise ValueError(f"more than six decimals: {text!r}")
    return int(value)


@contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    """Open a file; whatever is wrong with its compression is an OSError that names it."""
    try:
        with opened(path) as lines:
            yield lines
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise OSError(f"cannot read {path}: {error}") from error
