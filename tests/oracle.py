"""The slow ways that the fast ways have to equal: one record at a time, with the csv module and Decimal."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.record_type import Dialect, RecordType

#: What stands for characters that the csv module would take for a line end, or, before Python 3.11, not at all.
_ESCAPED = 0xE100
_STRAYS = {"\r": "\ue000", "\0": "\ue001"}


def parse(data: bytes, record_type: RecordType, dialect: Dialect, wanted=None, columns=None):
    """Gives (rows, rejected, records): rows as (line number, values by name), rejected as line numbers.

    ``wanted`` is (columns it reads, function of their values); ``columns`` are those to keep, or all typed ones.
    """
    columns = columns or [column.name for column in record_type.columns]
    lines = data.split(b"\n")
    lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    lines = [line for line in lines if line]
    rows, rejected = [], []
    first = [record_type.event_time, *(wanted[0] if wanted else ())]
    for number, line in enumerate(lines):
        try:
            fields = split(line.decode(dialect.encoding), dialect)
            order = record_type.order(dialect)
            if len(fields) != len(order):
                raise ValueError("width")
            texts = dict(zip(order, fields))
            values = {name: value(record_type.column(name), texts[name]) for name in first}
            if wanted and not wanted[1](values):
                continue
            values.update({name: value(record_type.column(name), texts[name]) for name in columns})
            rows.append((number, values))
        except ValueError:
            rejected.append(number)
    return rows, rejected, len(lines)


def split(text: str, dialect: Dialect) -> list[str]:
    if dialect.escape:
        special = re.escape(dialect.separator + dialect.escape + (dialect.quote if dialect.quoted else ""))
        text = re.sub(rf"{re.escape(dialect.escape)}([{special}])", lambda found: chr(_ESCAPED + ord(found[1])), text)
    escaped = {_ESCAPED + ord(mark): mark for mark in (dialect.separator, dialect.quote, "\\")}
    if not dialect.quoted or dialect.quote not in text:
        return [field.translate(escaped) for field in text.split(dialect.separator)]
    reader = csv.reader(
        [text.translate(str.maketrans(_STRAYS))], delimiter=dialect.separator, quotechar=dialect.quote, strict=True
    )
    back = escaped | {ord(stray): character for character, stray in _STRAYS.items()}
    try:
        return [field.translate(back) for field in next(reader)]
    except csv.Error as error:
        raise ValueError(str(error)) from None


def value(column, text: str) -> Any:
    bare = text.strip(" ")
    if bare == "" or bare == "NULL":
        if column.required:
            raise ValueError("missing")
        return None
    if column.kind == "integer":
        if not re.fullmatch("[+-]?[0-9]+", bare):
            raise ValueError("integer")
        if not -(2**63) <= int(bare) < 2**63:
            raise ValueError("integer")
        return int(bare)
    if column.kind == "decimal":
        if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", bare):
            raise ValueError("decimal")
        number = Decimal(bare)
        if number != round_to(number, 9) or number.copy_abs() >= 10**18:
            raise ValueError("decimal")
        return number
    if column.kind == "time":
        if not re.fullmatch(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:?[0-9]{2})?", text
        ):
            raise ValueError("time")
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta())
    return text


def round_to(number: Decimal, places: int) -> Decimal:
    import decimal

    with decimal.localcontext() as context:
        context.prec = 100
        return number.quantize(Decimal(1).scaleb(-places))


def windows_of(moment: datetime, length: int, step: int):
    """Gives the (start, end) in microseconds of every window that has the moment in it."""
    micros = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    if not length:
        return [(None, None)]
    start = micros - micros % step
    found = []
    while start > micros - length:
        found.append((start, start + length))
        start -= step
    return found


def produce_totals(rows, length: int = 0, step: int = 0):
    """Gives {(window start, upc): [description, quantity, scale, spend, rows]} of tape rows given as dicts."""
    totals = defaultdict(lambda: [None, Decimal(0), Decimal(0), Decimal(0), 0])
    latest = {}
    for row in rows:
        for start, _ in windows_of(row["datetime"], length, step or length):
            key = (start, row["upc"])
            total = totals[key]
            total[1] += row["quantity"] or 0
            total[2] += (row["quantity"] or 0) if row["scale"] else 0
            total[3] += row["total"] or 0
            total[4] += 1
            if row["description"] is not None:
                latest[key] = max(latest.get(key, (row["datetime"], "")), (row["datetime"], row["description"]))
                total[0] = latest[key][1]
    return dict(totals)
