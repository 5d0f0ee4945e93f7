"""What the sink tests share: results, and databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from schemas.elements.frames import Result
from schemas.times import to_micros
from tests.servers import Postgres, running_postgres

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
    whole = Result(window[0], window[1], pane=0, final=True, rows=rows)
    return whole._replace(**fields)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of each kind, with nothing in it."""
    return f"sqlite:///{tmp_path}/x.db" if request.param == "sqlite" else request.getfixturevalue("postgres").empty()
