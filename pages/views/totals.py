"""The totals of a window, whatever columns they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.views import Watched
from pages.views.rows import MOST_ROWS, chosen, newest_windows, seconds, texts
from sinks.sql.upsert import OWN_COLUMNS

TABLE = "totals"
_OWN = ("window_start", "window_end", *OWN_COLUMNS)


def read(watched: Watched, query: Mapping[str, str]) -> Any:
    """Return the windows, and the rows of the one that was asked for."""
    database = watched.database
    if TABLE not in database.tables():
        return None
    windows = newest_windows(database, TABLE, {})
    window = chosen(windows, query.get("window", ""))
    if window is None:
        return None
    inside = "window_start IS NULL" if window.start is None else "window_start = :start AND window_end = :end"
    edges = {} if window.start is None else {"start": window.start, "end": window.end}
    rows = database.rows(f"SELECT * FROM {TABLE} WHERE {inside} LIMIT :most", most=MOST_ROWS, **edges)  # noqa: S608
    columns = [name for name in rows[0] if name not in _OWN]
    return {
        "windows": [[seconds(row["window_start"]), seconds(row["window_end"]), None] for row in windows],
        "chosen": window.seconds,
        "final": all(row["final"] for row in rows),
        "columns": columns,
        "rows": [list(row.values()) for row in texts(rows, *columns)],
    }
