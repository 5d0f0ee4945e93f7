"""What the sink tests share: results."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import polars as pl

from schemas.units import to_micros
from transforms.frames import Result

DECIMAL = pl.Decimal(38, 9)
TIME = pl.Datetime("us", "UTC")
TOTALS = {
    "window_start": TIME,
    "window_end": TIME,
    "upc": pl.String,
    "description": pl.String,
    "quantity": DECIMAL,
    "scale": DECIMAL,
    "spend": DECIMAL,
}
HOUR = 3_600_000_000


def micros(*when: int) -> int:
    return to_micros(datetime(*when))


def totals(*rows: tuple[str | None, str | None, str, str, str]) -> pl.DataFrame:
    """A frame of totals, its numbers given as texts; the window columns are those of all time."""
    values = [(None, None, upc, description, *map(Decimal, numbers)) for upc, description, *numbers in rows]
    return pl.DataFrame(values, schema=TOTALS, orient="row")


def result(rows: pl.DataFrame, window: tuple[int | None, int | None] = (None, None), **fields: object) -> Result:
    whole = Result(window[0], window[1], shard=0, shards=1, pane=0, final=True, rows=rows)
    return whole._replace(**fields)
