"""A database with the tables of all pipelines, as their jobs write them, with hostile texts in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from schemas.elements.frames import FINAL_PANE
from sinks.sql.upsert import Upsert

HOSTILE = "<script>document.title='mine'</script><img src=x onerror=\"document.title='mine'\">\x1b[31m\u202eabc"
NOON = datetime(2024, 5, 6, 12, tzinfo=timezone.utc)
_MONEY = pl.Decimal(38, 2)


def write(path: Path, table: str, key: tuple[str, ...], rows: pl.DataFrame, *, run: int = 1) -> None:
    """Commit rows as a job does; those without a window are since the start."""
    if "window_start" not in rows.columns:
        never = pl.lit(None, pl.Datetime("us", "UTC"))
        rows = rows.select(never.alias("window_start"), never.alias("window_end"), pl.all())
    rows = rows.with_columns(
        pl.lit(run, pl.Int64).alias("run"), pl.lit(FINAL_PANE, pl.Int64).alias("pane"), pl.lit(True).alias("final")
    )
    upsert = Upsert("sqlite", table, rows.schema, key)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        assert upsert.prepare(connection) == ""
        upsert.write(connection, upsert.in_sql(rows))
    engine.dispose()


def windowed(made: list[dict], minutes: int, types: dict[str, pl.DataType]) -> pl.DataFrame:
    for row in made:
        row["window_end"] = row["window_start"] + timedelta(minutes=minutes)
    edge = pl.Datetime("us", "UTC")
    names = ("window_start", "window_end", *types)
    return pl.DataFrame(made, {"window_start": edge, "window_end": edge, **types}, orient="row").select(names)


def visitors(counts: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"hour": range(len(counts)), "visitors": counts}, {"hour": pl.Int64, "visitors": pl.Int64})


def fill(path: Path) -> None:
    """Write the tables of all pipelines."""
    text, whole = pl.String(), pl.Int64()
    upcs = [(f"{number:013}", HOSTILE if not number else f"PRODUCT {number}") for number in range(120)]
    sold = [
        {
            "window_start": NOON + timedelta(hours=hour),
            "upc": upc,
            "description": name,
            "rows": place % 7,
            **dict.fromkeys(("quantity", "scale"), Decimal(place)),
            "spend": Decimal(1_200_00 - place * 100 + hour * 7) / 100,
        }
        for hour in range(6)
        for place, (upc, name) in enumerate(upcs)
    ]
    amounts = dict.fromkeys(("quantity", "scale", "spend"), _MONEY)
    write(path, "produce", ("upc",), windowed(sold, 60, {"upc": text, "description": text, **amounts, "rows": whole}))
    write(path, "errors", ("hour",), visitors([hour * hour for hour in range(24)]))
    dated = pl.DataFrame(
        {"date": [NOON.date()] * 24, "hour": range(24), "visitors": [hour * hour for hour in range(24)]},
        {"date": pl.Date(), "hour": whole, "visitors": whole},
    )
    write(path, "errors_by_date", ("date", "hour"), dated)
    regions = [HOSTILE, "North", "South", "East"]
    flow = [
        {
            "account_region": region,
            "count": 9,
            "sum": Decimal(place + 1) * 1_000,
            "mean": Decimal(7),
            "share": Decimal(1) / 4,
        }
        for place, region in enumerate(regions)
    ]
    money = {"account_region": text, "count": whole, **dict.fromkeys(("sum", "mean", "share"), _MONEY)}
    write(path, "credit", ("account_region",), pl.DataFrame(flow, money))
    last = [{"window_start": NOON + timedelta(minutes=step), **row} for step in range(40) for row in flow]
    write(path, "credit_last_10m", ("account_region",), windowed(last, 10, money))
    ranked = {"ranking": ["count", "mean"], "rank": [1, 1], "account_region": [HOSTILE, "North"], "value": ["9", "7"]}
    write(path, "credit_ranks", ("ranking", "rank"), pl.DataFrame(ranked))
    drinks = [("A1", HOSTILE, "Classic"), ("B2", "Kale", "Superfoods"), ("C3", "Cocoa", "Treats")]
    bought = [
        {
            "window_start": NOON + timedelta(minutes=10 * step),
            "product_id": name,
            "sales": Decimal(step % 9 + 5),
            "drinks": 2,
        }
        for step in range(60)
        for name, *_ in drinks
    ]
    write(path, "sales", ("product_id",), windowed(bought, 10, {"product_id": text, "sales": _MONEY, "drinks": whole}))
    earned = [
        {
            "product_id": name,
            "category": category,
            "item": item,
            "sales": Decimal(540),
            "drinks": 120,
            "purchases": 99,
            "profit": Decimal("400.10"),
        }
        for name, item, category in drinks
    ]
    of_product = {
        "product_id": text,
        "category": text,
        "item": text,
        "sales": _MONEY,
        "drinks": whole,
        "purchases": whole,
    }
    write(path, "sales_products", ("product_id",), pl.DataFrame(earned, {**of_product, "profit": _MONEY}))
    shelf = [
        {"product_id": name, "level": level, "state": state, "lost": lost, "lost_value": Decimal(lost) * 5}
        for (name, *_), level, state, lost in zip(drinks, (40, 5, 0), ("ok", "low", "out"), (0, 0, 4))
    ]
    stocked = {"product_id": text, "level": whole, "state": text, "lost": whole, "lost_value": _MONEY}
    write(path, "stock", ("product_id",), pl.DataFrame(shelf, stocked))
    far = [
        {
            "window_start": NOON + timedelta(hours=3),
            "product_id": name,
            "seen": 40,
            "expected": 12.5,
            "deviation": 3.0,
            "score": 9.2,
        }
        for name in ("(shop)", "A1")
    ]
    numbers = dict.fromkeys(("expected", "deviation", "score"), pl.Float64())
    write(path, "anomalies", ("product_id",), windowed(far, 60, {"product_id": text, "seen": whole, **numbers}))
    write(
        path,
        "totals",
        ("zone",),
        pl.DataFrame({"zone": [HOSTILE, "Docks"], "sum_fare": ["12.5", "7"], "count": [3, 4]}),
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        key = "relay TEXT, arrival BIGINT, origin TEXT, position BIGINT"
        connection.execute(f"CREATE TABLE records ({key}, name TEXT, PRIMARY KEY (relay, arrival, origin, position))")
        rows = [("", 0, "a.jsonl", 20 * place, name) for place, name in enumerate(["first", "second", HOSTILE])]
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
