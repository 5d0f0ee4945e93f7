"""The truth: what a simulator really sent, added up exactly, for tests to hold a pipeline's results against."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np

from schemas.wedge import PRODUCE
from simulators.batch import DUPLICATE, GARBAGE, LATE, Batch, Facts
from simulators.files import replaced

#: What is remembered of each row: quantity and total in millionths, the UPC as its place in a list.
FACTS = np.dtype([("department", np.int64), ("upc", np.int64), ("quantity", np.int64), ("total", np.int64)])
_MILLIONTHS = 6
_BEGINNING = np.iinfo(np.int64).min


@dataclass
class Sums:
    """Rows, quantity and total of one department or UPC; the last two in millionths."""

    rows: int = 0
    quantity: int = 0
    total: int = 0

    def to_json(self) -> dict[str, int | str]:
        """Gives the sums, quantity and total as exact decimal text."""
        return {"rows": self.rows, "quantity": to_text(self.quantity), "total": to_text(self.total)}


@dataclass
class Tally:
    """Counts and sums over the rows that were sent.

    Attributes:
        rows: all that were sent, whatever befell them.
        garbage: those that no reader can make sense of; they are in none of the sums.
        duplicated: those that were sent once more.
        late: those that were held back.
        out_of_order: well-formed rows that came after one of a later event time, late ones among them.
        departments: sums by number, over well-formed rows of every type.
        produce: sums by UPC (its place in the list), of the produce department.
    """

    rows: int = 0
    garbage: int = 0
    duplicated: int = 0
    late: int = 0
    out_of_order: int = 0
    departments: dict[int, Sums] = field(default_factory=dict)
    produce: dict[int, Sums] = field(default_factory=dict)
    _latest: int = _BEGINNING

    def add(self, batch: Batch) -> None:
        """Counts a batch that was sent.

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
        _add_by(self.departments, facts, "department")
        _add_by(self.produce, facts[facts["department"] == PRODUCE], "upc")

    def to_json(self, upcs: Sequence[str]) -> dict[str, object]:
        """Gives the whole tally as plain objects, with the texts of the UPCs."""
        produce: dict[str, Sums] = {}
        for place, sums in self.produce.items():
            produce[upcs[place]] = sums
        return {
            "rows": self.rows,
            "well_formed": self.rows - self.garbage,
            "garbage": self.garbage,
            "duplicated": self.duplicated,
            "late": self.late,
            "out_of_order": self.out_of_order,
            "departments": {str(number): sums.to_json() for number, sums in sorted(self.departments.items())},
            "produce": {upc: sums.to_json() for upc, sums in sorted(produce.items())},
        }


@dataclass
class TruthFile:
    """The file that says what was sent; of several streams of the same records it keeps the one that got furthest."""

    path: Path
    upcs: Sequence[str]
    _rows: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def offer(self, tally: Tally) -> None:
        """Writes a tally, unless one of more rows is in the file."""
        with self._lock:
            if tally.rows <= self._rows:
                return
            text = json.dumps(tally.to_json(self.upcs), indent=1) + "\n"
            with replaced(self.path) as file:
                file.write(text.encode())
            self._rows = tally.rows


def to_text(millionths: int) -> str:
    """Gives millionths as a decimal number without needless zeros: ``12.5``, ``-0.07``, ``0``."""
    text = f"{Decimal(millionths).scaleb(-_MILLIONTHS):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _add_by(sums: dict[int, Sums], facts: Facts, key: str) -> None:
    keys, place = np.unique(facts[key], return_inverse=True)
    rows = np.bincount(place, minlength=len(keys))
    quantity = np.zeros(len(keys), np.int64)
    total = np.zeros(len(keys), np.int64)
    np.add.at(quantity, place, facts["quantity"])
    np.add.at(total, place, facts["total"])
    for number, *more in zip(keys.tolist(), rows.tolist(), quantity.tolist(), total.tolist(), strict=True):
        found = sums.setdefault(number, Sums())
        found.rows += more[0]
        found.quantity += more[1]
        found.total += more[2]
