"""Hypothesis strategies for the frames of results: strange texts, negative decimals, missing values, no rows."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

from schemas.elements.frames import Result

HOUR = 3_600_000_000
SCALE = 9
TIME = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema(
    {
        "upc": pl.String(),
        "description": pl.String(),
        "quantity": pl.Decimal(38, SCALE),
        "whole": pl.Decimal(38, 0),
        "count": pl.Int64(),
        "small": pl.UInt8(),
        "ratio": pl.Float64(),
        "local": pl.Boolean(),
        "day": pl.Date(),
        "seen": TIME,
        "top": pl.List(pl.Struct({"by": pl.Decimal(38, SCALE), "value": pl.String()})),
    }
)

#: What some format or other needs to mark, or cannot have.
_ODD = "\0\n\r\t\x1b\"'\\,;|\x7f\x85\u2028\u2029\ufeff ab"
TEXTS = st.text(_ODD, max_size=12) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_INT64 = 2**63


def decimals(scale: int) -> st.SearchStrategy[Decimal]:
    units = st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**12), 10**12) | st.just(10**scale)
    return units.map(lambda number: Decimal((number < 0, tuple(map(int, str(abs(number)))), -scale)))


_TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc))
_TOPS = st.lists(
    st.none() | st.fixed_dictionaries({"by": st.none() | decimals(SCALE), "value": st.none() | TEXTS}), max_size=3
)
_VALUES = {
    "description": TEXTS,
    "quantity": decimals(SCALE),
    "whole": decimals(0),
    "count": st.integers(-_INT64, _INT64 - 1),
    "small": st.integers(0, 255),
    "ratio": st.floats(allow_nan=False, allow_infinity=False),
    "local": st.booleans(),
    "day": st.dates(date(1, 1, 2), date(9999, 12, 30)),
    "seen": _TIMES,
    "top": _TOPS,
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Frames of 0 to 6 rows with every type that results may have, their keys all different."""
    keys = draw(st.lists(st.none() | TEXTS, max_size=6, unique=True))
    rows: list[dict[str, Any]] = [
        {"upc": key} | {name: draw(st.none() | values) for name, values in _VALUES.items()} for key in keys
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@st.composite
def results(draw: st.DrawFn) -> list[Result]:
    """The results of one window, early ones and the final one, in any order."""
    rows, early = draw(frames()), draw(st.integers(0, 2))
    found = []
    for pane in range(early + 1):
        part, final = rows, pane == early
        if not final:  # keys come, and values change
            part = part.head(draw(st.integers(0, 6))).with_columns(pl.lit(pane, pl.Int64).alias("count"))
        found.append(Result(0, HOUR, pane, final, part))
    return draw(st.permutations(found))
