"""Pathway: one static table. It wants a tape with a header row, and has no decimals: ten-thousandths as integers do."""

import json
import sys
from decimal import Decimal
from pathlib import Path

import pathway as pw

from benchmarks.contenders.lines import write_totals
from schemas.tape import COLUMNS, PRODUCE, SALE_TYPES

UNITS = 10_000


class Tape(pw.Schema):
    """The columns that are needed; the others are not read."""

    datetime: str
    upc: str
    description: str
    trans_type: str
    department: str
    quantity: str
    scale: str
    total: str


def exact(text: pw.ColumnExpression) -> pw.ColumnExpression:
    """Gives a number's ten-thousandths; a missing number is none of them."""
    return pw.cast(int, (pw.coalesce(text.str.parse_float(optional=True), 0.0) * UNITS).num.round(0))


def main(tape: str, folder: str) -> None:
    """Writes ``totals.csv``."""
    with Path(tape).open(encoding="utf-8") as lines:
        if not lines.readline().startswith(COLUMNS[0]):
            raise ValueError(f"expected a tape with a header row, got {tape}")
    rows = pw.io.csv.read(
        tape,
        schema=Tape,
        mode="static",
        csv_settings=pw.io.csv.CsvParserSettings(delimiter="\t", enable_quoting=False),
    ).filter(
        (pw.this.department == str(PRODUCE))
        & ((pw.this.trans_type == SALE_TYPES[0]) | (pw.this.trans_type == SALE_TYPES[1]))
    )
    rows = rows.select(
        pw.this.upc,
        day=pw.this.datetime.str.slice(0, 10),
        latest=pw.this.datetime + "\t" + pw.this.description,
        quantity=exact(pw.this.quantity),
        weighed=pw.this.scale == "1",
        spend=exact(pw.this.total),
    )
    totals = rows.groupby(pw.this.day, pw.this.upc).reduce(
        pw.this.day,
        pw.this.upc,
        latest=pw.reducers.max(pw.this.latest),
        quantity=pw.reducers.sum(pw.this.quantity),
        scale=pw.reducers.sum(pw.if_else(pw.this.weighed, pw.this.quantity, 0)),
        spend=pw.reducers.sum(pw.this.spend),
        rows=pw.reducers.count(),
    )
    found = Path(folder) / "lines.jsonl"
    pw.io.jsonlines.write(totals, found)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    with found.open(encoding="utf-8") as file:
        write_totals((_fields(json.loads(line)) for line in file), folder)


def _fields(row: dict) -> tuple[str, ...]:
    numbers = (str(Decimal(row[name]) / UNITS) for name in ("quantity", "scale", "spend"))
    return row["day"], row["upc"], row["latest"].partition("\t")[2], *numbers, str(row["rows"])


if __name__ == "__main__":
    main(*sys.argv[1:])
