"""What the contenders that go row by row share: one row's parse, one key's total, the file that comes out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from schemas.tape import COLUMNS, PRODUCE, SALE_TYPES

DATETIME, UPC, DESCRIPTION, TYPE, DEPARTMENT, QUANTITY, SCALE, TOTAL = (
    COLUMNS.index(name)
    for name in ("datetime", "upc", "description", "trans_type", "department", "quantity", "scale", "total")
)
_DEPARTMENT = str(PRODUCE)
_MISSING = ("NULL", " ", "")
_ZERO = Decimal(0)
HEADER = ("day", "upc", "description", "quantity", "scale", "spend", "rows")

Key = tuple[str, str]


class Total(NamedTuple):
    """What was sold of one UPC on one day."""

    latest: tuple[str, str] = ("", "")
    quantity: Decimal = _ZERO
    scale: Decimal = _ZERO
    spend: Decimal = _ZERO
    rows: int = 0


def parse(line: str) -> tuple[Key, Total] | None:
    """Gives day and UPC, and the row as a total of one, or None where produce sold nothing."""
    fields = line.split("\t", TOTAL + 1)  # the other 35 columns stay in one piece
    if fields[DEPARTMENT] != _DEPARTMENT or fields[TYPE] not in SALE_TYPES:
        return None
    moment = fields[DATETIME]
    quantity = _number(fields[QUANTITY])
    weighed = quantity if fields[SCALE] == "1" else _ZERO
    total = Total((moment, fields[DESCRIPTION]), quantity, weighed, _number(fields[TOTAL]), 1)
    return (moment[:10], fields[UPC]), total


def merge(one: Total, other: Total) -> Total:
    """Adds two totals of the same key."""
    return Total(
        max(one.latest, other.latest),
        one.quantity + other.quantity,
        one.scale + other.scale,
        one.spend + other.spend,
        one.rows + other.rows,
    )


def fields_of(key: Key, total: Total) -> tuple[str, ...]:
    """Gives the fields of one key's line, as in HEADER."""
    numbers = (total.quantity, total.scale, total.spend, total.rows)
    return (*key, total.latest[1], *(str(number) for number in numbers))


def write_totals(rows: Iterable[tuple[str, ...]], folder: str) -> None:
    """Writes ``totals.csv``."""
    with (Path(folder) / "totals.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(rows)


def _number(text: str) -> Decimal:
    return _ZERO if text in _MISSING else Decimal(text)
