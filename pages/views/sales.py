"""What a shop sells, earns and runs out of, as the tables of ``sales`` have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pages.database import Database
from pages.views import Watched
from pages.views.rows import Row, drawn, exact_sum, number, seconds, texts
from sinks.charts.colors import colors_of

WINDOWS, PRODUCTS, CATEGORIES, STOCK, ANOMALIES = "sales", "sales_products", "sales_categories", "stock", "anomalies"
WHOLE_SHOP, UNKNOWN = "(shop)", "(unknown)"
PERIODS = {"1d": 86_400, "7d": 7 * 86_400, "28d": 28 * 86_400}
_HOUR = 3_600
_MOST_ANOMALIES = 100
#: From the best state to the worst.
_STATES = ("ok", "low", "out")


def read(watched: Watched, query: Mapping[str, str]) -> Any:
    """Return totals, sales over time by category, products with their stock, and what stands out."""
    database = watched.database
    tables = database.tables()
    if not {WINDOWS, PRODUCTS} & set(tables):
        return None
    products = _all(database, PRODUCTS, tables)
    categories = _all(database, CATEGORIES, tables) or products
    period = query.get("period", "") if query.get("period", "") in PERIODS else "7d"
    hours = _hours(database, PERIODS[period]) if WINDOWS in tables else []
    of_product = {row["product_id"]: row["category"] or UNKNOWN for row in products}
    starts = sorted({row["bucket"] for row in hours})
    places = {start: place for place, start in enumerate(starts)}
    lines: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(starts))
    sparks: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(starts))
    drinks = [0] * len(starts)
    for row in hours:
        place, product = places[row["bucket"]], row["product_id"]
        lines[of_product.get(product, UNKNOWN)][place] += drawn(row["sales"])
        sparks[product][place] += drawn(row["sales"])
        drinks[place] += int(row["drinks"] or 0)
    stock = _stock(_all(database, STOCK, tables))
    return {
        "totals": {
            "transactions": sum(row["purchases"] or 0 for row in categories) if categories else None,
            "drinks": sum(row["drinks"] or 0 for row in categories) if categories else None,
            "sales": exact_sum(row["sales"] for row in categories),
            "profit": exact_sum(row["profit"] for row in categories),
            "lost": exact_sum(each["lost_value"] for each in stock.values()),
        },
        "colors": colors_of({*of_product.values(), *lines}),
        "period": period,
        "bucket": hours[0]["width"] if hours else None,
        "starts": starts,
        "lines": {name: list(map(drawn, line)) for name, line in sorted(lines.items())},
        "drinks": drinks,
        "categories": texts(categories, "category", "sales", "drinks", "profit") if categories is not products else [],
        "products": [
            {
                **row,
                "category": row["category"] or UNKNOWN,
                "stock": stock.get(row["product_id"]),
                "spark": sparks.get(row["product_id"], []),
            }
            for row in texts(products, "product_id", "item", "category", "sales", "drinks", "profit")
        ],
        "anomalies": _anomalies(database, products) if ANOMALIES in tables else [],
    }


def _all(database: Database, table: str, tables: list[str]) -> list[Row]:
    return database.rows(f"SELECT * FROM {table}") if table in tables else []  # noqa: S608


def _hours(database: Database, period: int) -> list[Row]:
    """Return sales and drinks by product and hour (or window, where that is longer), of the newest windows.

    Of windows that overlap, those that lie side by side are taken.
    """
    newest = database.rows(f"SELECT window_start, window_end FROM {WINDOWS} ORDER BY window_start DESC LIMIT 1")  # noqa: S608
    start, end = (seconds(newest[0][name]) for name in ("window_start", "window_end")) if newest else (None, None)
    if start is None or end is None:
        return []
    length = max(end - start, 1)
    width = _HOUR if _HOUR % length == 0 else length
    micros = database.epoch_seconds("window_start")
    sql = (
        f"SELECT {micros} / :width * :width AS bucket, :width AS width, product_id, "  # noqa: S608
        f"SUM({number('sales')}) AS sales, SUM(drinks) AS drinks FROM {WINDOWS} "
        f"WHERE {micros} % :length = 0 AND {micros} > :first GROUP BY 1, product_id"
    )
    return database.rows(sql, width=width, length=length, first=start - period)


def _stock(levels: list[Row]) -> dict[str, dict[str, Any]]:
    """Return the stock by product, of all shops together: the level, the worst state, and what could not be sold."""
    found: dict[str, dict[str, Any]] = {}
    for row in levels:
        known = found.setdefault(row["product_id"], {"level": 0, "state": "ok", "lost": 0, "lost_value": "0"})
        known["level"] += row["level"] or 0
        known["lost"] += row["lost"] or 0
        known["lost_value"] = exact_sum([known["lost_value"], row["lost_value"]])
        state = row["state"] if row["state"] in _STATES else "ok"
        known["state"] = max(known["state"], state, key=_STATES.index)
    return found


def _anomalies(database: Database, products: list[Row]) -> list[dict[str, Any]]:
    """Return what stands out, the newest first."""
    names = {row["product_id"]: row["item"] or row["product_id"] for row in products} | {WHOLE_SHOP: "whole shop"}
    sql = f"SELECT * FROM {ANOMALIES} ORDER BY window_start DESC, score DESC LIMIT :most"  # noqa: S608
    return [
        {
            "at": seconds(row["window_start"]),
            "name": names.get(row["product_id"], row["product_id"]),
            "is_shop": row["product_id"] == WHOLE_SHOP,
            **{name: row[name] for name in ("seen", "expected", "score")},
        }
        for row in database.rows(sql, most=_MOST_ANOMALIES)
    ]
