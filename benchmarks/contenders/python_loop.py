"""A plain Python loop: split, look, add to a dict; what one writes first."""

import sys
from decimal import Decimal
from pathlib import Path

from benchmarks.contenders.lines import (
    DATETIME,
    DEPARTMENT,
    DESCRIPTION,
    QUANTITY,
    SCALE,
    TOTAL,
    TYPE,
    UPC,
    write_totals,
)

MISSING = ("NULL", " ", "")


def main(tape: str, folder: str) -> None:
    """Writes ``totals.csv``."""
    totals: dict[tuple[str, str], list] = {}
    with Path(tape).open(encoding="utf-8") as lines:
        for line in lines:
            fields = line.split("\t", TOTAL + 1)
            if fields[DEPARTMENT] != "2" or fields[TYPE] not in ("I", "D"):
                continue
            moment = fields[DATETIME]
            key = moment[:10], fields[UPC]
            total = totals.get(key)
            if total is None:
                total = totals[key] = ["", "", Decimal(0), Decimal(0), Decimal(0), 0]
            description = fields[DESCRIPTION]
            if moment > total[0] or (moment == total[0] and description > total[1]):
                total[0] = moment
                total[1] = description
            quantity = fields[QUANTITY]
            if quantity not in MISSING:
                quantity = Decimal(quantity)
                total[2] += quantity
                if fields[SCALE] == "1":
                    total[3] += quantity
            spend = fields[TOTAL]
            if spend not in MISSING:
                total[4] += Decimal(spend)
            total[5] += 1
    write_totals(((*key, total[1], *map(str, total[2:])) for key, total in totals.items()), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
