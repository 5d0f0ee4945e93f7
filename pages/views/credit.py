"""The flow of each region, since the start and in the last minutes, as the tables of ``credit`` have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.database import Database
from pages.views import Watched
from pages.views.rows import Window, chosen, drawn, exact_sum, newest_windows, number, rows_of, seconds, texts
from schemas.times import parse_duration
from sinks.charts.colors import colors_of

KEY = "account_region"
TABLE, LAST, RANKS = "credit", "credit_last_", "_ranks"
_COLUMNS = (KEY, "count", "sum", "mean", "share")
#: A window slides by a tenth of its length; behind the last record come those that are only partly filled.
_PARTLY_FILLED = 9


def read(watched: Watched, query: Mapping[str, str]) -> Any:
    """Return the totals since the start, and those of the last minutes that were asked for, over event time."""
    database = watched.database
    tables = database.tables()
    if TABLE not in tables:
        return None
    rows = rows_of(database, TABLE, Window(None, None), "sum", KEY)
    lasts = sorted(
        (name.removeprefix(LAST) for name in tables if name.startswith(LAST) and not name.endswith(RANKS)),
        key=_length,
    )
    last = query.get("last", "") if query.get("last", "") in lasts else (lasts or [""])[0]
    is_over = bool(rows) and all(row["final"] for row in rows)
    found = _last(database, f"{LAST}{last}", is_over=is_over) if last else {}
    regions = sorted({str(row[KEY]) for row in rows} | set(found.get("flow", {})))
    ranks = {
        "start": _ranks(database, f"{TABLE}{RANKS}", Window(None, None)) if f"{TABLE}{RANKS}" in tables else [],
        "last": _ranks(database, f"{LAST}{last}{RANKS}", found["window"]) if f"{LAST}{last}{RANKS}" in tables else [],
    }
    return {
        "colors": colors_of(regions),
        "rows": texts(rows, *_COLUMNS),
        "sum": exact_sum(row["sum"] for row in rows),
        "count": sum(row["count"] for row in rows),
        "lasts": lasts,
        "last": last,
        "ends": found.get("ends", []),
        "flow": found.get("flow", {}),
        "newest": {"window": found["window"].seconds, "rows": texts(found["rows"], *_COLUMNS)} if found else None,
        "ranks": ranks,
    }


def _length(name: str) -> int:
    try:
        return parse_duration(name)
    except ValueError:
        return 0


def _last(database: Database, table: str, *, is_over: bool) -> dict[str, Any]:
    """Return the flow of each region in the newest windows, and the rows of the newest one."""
    windows = newest_windows(database, table, {})
    if is_over:
        windows = windows[: -min(_PARTLY_FILLED, len(windows) - 1)] if len(windows) > 1 else windows
    newest = chosen(windows, "")
    if newest is None:
        return {}
    places = {row["window_end"]: place for place, row in enumerate(windows)}
    sql = (
        f'SELECT window_end, account_region, {number("sum")} AS flow FROM "{table}" '  # noqa: S608
        "WHERE window_start >= :first"
    )
    flow: dict[str, list[float]] = {}
    for row in database.rows(sql, first=windows[0]["window_start"]):
        if row["window_end"] in places:
            line = flow.setdefault(str(row[KEY]), [0.0] * len(windows))
            line[places[row["window_end"]]] = drawn(row["flow"])
    ends = [seconds(row["window_end"]) for row in windows]
    return {"ends": ends, "flow": flow, "window": newest, "rows": rows_of(database, table, newest, "sum", KEY)}


def _ranks(database: Database, table: str, window: Window) -> list[dict[str, Any]]:
    found = rows_of(database, table, window, "value", KEY)
    return texts(sorted(found, key=lambda row: (row["ranking"], row["rank"])), "ranking", "rank", KEY, "value")
