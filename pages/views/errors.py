"""Visitors that met a server error by hour of the day, and by weekday, as the tables of ``errors`` have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pages.views import Watched

TABLE, BY_DATE = "errors", "errors_by_date"
_HOURS, _DAYS = 24, 7


def read(watched: Watched, query: Mapping[str, str]) -> Any:  # noqa: ARG001 - a view may have a query
    """Return the 24 counts, and those of each weekday."""
    database = watched.database
    tables = database.tables()
    if TABLE not in tables:
        return None
    hours = [0] * _HOURS
    for row in database.rows(f"SELECT hour, visitors FROM {TABLE}"):  # noqa: S608
        hours[row["hour"]] = row["visitors"]
    days = [[0] * _HOURS for _ in range(_DAYS)]
    dates: set[date] = set()
    if BY_DATE in tables:
        for row in database.rows(f"SELECT date, hour, visitors FROM {BY_DATE}"):  # noqa: S608
            day = row["date"] if isinstance(row["date"], date) else date.fromisoformat(row["date"])
            dates.add(day)
            days[day.weekday()][row["hour"]] += row["visitors"]
    return {
        "hours": hours,
        "days": days,
        "dates": [str(min(dates)), str(max(dates))] if dates else [],
        "times": [sum(each.weekday() == day for each in dates) for day in range(_DAYS)],
    }
