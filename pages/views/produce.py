"""What sells best in a window, and what is spent from window to window, as the tables of ``produce`` have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pages.views import Watched
from pages.views.rows import chosen, drawn, exact_sum, newest_windows, number, rows_of, seconds, texts

TABLE = "produce"
#: So many windows a spark line has.
_SPARK = 24
_COLUMNS = ("upc", "description", "quantity", "scale", "spend", "rows")


def read(watched: Watched, query: Mapping[str, str]) -> Any:
    """Return the windows, and the best sellers of the one that was asked for."""
    database = watched.database
    if TABLE not in database.tables():
        return None
    windows = newest_windows(database, TABLE, {"spend": "spend", "rows": "rows"})
    window = chosen(windows, query.get("window", ""))
    if window is None:
        return None
    rows = rows_of(database, TABLE, window, "spend", "upc")
    newest = windows[-_SPARK:]
    sparks: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(newest))
    if newest[0]["window_start"] is not None and len(newest) > 1:
        places = {row["window_start"]: place for place, row in enumerate(newest)}
        sql = f"SELECT window_start, upc, {number('spend')} AS spend FROM {TABLE} WHERE window_start >= :first"  # noqa: S608
        for row in database.rows(sql, first=newest[0]["window_start"]):
            if row["window_start"] in places:
                sparks[row["upc"]][places[row["window_start"]]] += drawn(row["spend"])
    return {
        "windows": [[seconds(row["window_start"]), seconds(row["window_end"]), drawn(row["spend"])] for row in windows],
        "chosen": window.seconds,
        "final": all(row["final"] for row in rows),
        "spend": exact_sum(row["spend"] for row in rows),
        "rows": [{**row, "spark": sparks.get(str(row["upc"]), [])} for row in texts(rows, *_COLUMNS)],
    }
