"""The truth: what a simulator really sent, added up exactly, for tests to hold a pipeline's results against."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from simulators.engine.batch import DUPLICATE, GARBAGE, LATE, Batch, Facts, Times
from simulators.engine.files import replaced

_BEGINNING = np.iinfo(np.int64).min


class Summary(Protocol):
    """What one simulator adds up of the well-formed records that were sent."""

    def add(self, facts: Facts, times: Times) -> None:
        """Take the facts of some records and their event times in microseconds, in the order of the sending."""

    def to_json(self) -> dict[str, object]:
        """Return the sums so far as plain objects."""


@dataclass
class Tally:
    """Counts the records that were sent, whatever they are, and has a summary add up the well-formed ones.

    Attributes:
        summary: what the simulator adds up.
        rows: all that were sent, whatever befell them.
        garbage: those that no reader can make sense of; they are not in the summary.
        duplicated: those that were sent once more.
        late: those that were held back.
        out_of_order: well-formed rows that came after one of a later event time, late ones among them.
    """

    summary: Summary
    rows: int = 0
    garbage: int = 0
    duplicated: int = 0
    late: int = 0
    out_of_order: int = 0
    _latest: int = _BEGINNING

    def add(self, batch: Batch) -> None:
        """Count a batch that was sent.

        Raises:
            ValueError: the batch has no facts.
        """
        if batch.facts is None:
            raise ValueError("a tally needs the facts of each row")
        if not batch.rows:
            return
        self.rows += batch.rows
        facts, times = batch.facts, batch.times
        if batch.marks is not None:
            for name, mark in (("garbage", GARBAGE), ("duplicated", DUPLICATE), ("late", LATE)):
                setattr(self, name, getattr(self, name) + int(np.count_nonzero(batch.marks & mark)))
            well_formed = (batch.marks & GARBAGE) == 0
            facts, times = facts[well_formed], times[well_formed]
        if not len(times):
            return
        latest = np.maximum(np.maximum.accumulate(times), self._latest)
        self.out_of_order += int(np.count_nonzero(times < latest))
        self._latest = int(latest[-1])
        self.summary.add(facts, times)

    def to_json(self) -> dict[str, object]:
        """Return the whole tally, the summary in it, as plain objects."""
        return {
            "rows": self.rows,
            "well_formed": self.rows - self.garbage,
            "garbage": self.garbage,
            "duplicated": self.duplicated,
            "late": self.late,
            "out_of_order": self.out_of_order,
            **self.summary.to_json(),
        }


@dataclass
class TruthFile:
    """The file that says what was sent; of several streams of the same records it keeps the one that got furthest."""

    path: Path
    _rows: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def offer(self, tally: Tally) -> None:
        """Write a tally, unless one of more rows is in the file.

        Raises:
            OSError: it cannot be written; the error names the file.
        """
        with self._lock:
            if tally.rows <= self._rows:
                return
            text = json.dumps(tally.to_json(), indent=1) + "\n"
            try:
                with replaced(self.path) as file:
                    file.write(text.encode())
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from error
            self._rows = tally.rows
