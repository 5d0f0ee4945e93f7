"""What the registers sold, added up exactly for the truth file: rows, quantity and total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from schemas.tape import PRODUCE
from simulators.engine.batch import Facts, Times

#: What is remembered of each row: quantity and total in millionths, the UPC as its place in a list.
FACTS = np.dtype([("department", np.int64), ("upc", np.int64), ("quantity", np.int64), ("total", np.int64)])
_MILLIONTHS = 6


@dataclass
class Sums:
    """Rows, quantity and total of one department or UPC; the last two in millionths."""

    rows: int = 0
    quantity: int = 0
    total: int = 0

    def to_json(self) -> dict[str, int | str]:
        """Return the sums, quantity and total as exact decimal text."""
        return {"rows": self.rows, "quantity": to_text(self.quantity), "total": to_text(self.total)}


@dataclass
class TapeTruth:
    """Sums over the rows that were sent.

    Attributes:
        upcs: the texts of the UPCs, by the place that facts name.
        departments: sums by number, over rows of every type.
        produce: sums by UPC (its place in the list), of the produce department.
    """

    upcs: Sequence[str]
    departments: dict[int, Sums] = field(default_factory=dict)
    produce: dict[int, Sums] = field(default_factory=dict)

    def add(self, facts: Facts, _: Times) -> None:
        """Add rows."""
        _add_by(self.departments, facts, "department")
        _add_by(self.produce, facts[facts["department"] == PRODUCE], "upc")

    def to_json(self) -> dict[str, object]:
        """Return the sums as plain objects, with the texts of the UPCs."""
        produce = {self.upcs[place]: sums for place, sums in self.produce.items()}
        return {
            "departments": {str(number): sums.to_json() for number, sums in sorted(self.departments.items())},
            "produce": {upc: sums.to_json() for upc, sums in sorted(produce.items())},
        }


def to_text(millionths: int) -> str:
    """Return millionths as a decimal number without needless zeros: ``12.5``, ``-0.07``, ``0``."""
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
