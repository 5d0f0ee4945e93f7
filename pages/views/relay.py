"""The newest records, as the table of ``relay`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.views import Watched
from pages.views.rows import texts

TABLE = "records"
#: What tells the records of a table apart, in the order of its primary key.
_KEY = ("relay", "arrival", "origin", "position")
_MOST = 100


def read(watched: Watched, query: Mapping[str, str]) -> Any:  # noqa: ARG001 - a view may have a query
    """Return the newest records with their columns, the newest first."""
    database = watched.database
    if TABLE not in database.tables():
        return None
    order = ", ".join(f"{name} DESC" for name in _KEY)
    rows = database.rows(f"SELECT * FROM {TABLE} ORDER BY {order} LIMIT :most", most=_MOST)  # noqa: S608
    columns = [name for name in (rows[0] if rows else ()) if name not in _KEY]
    return {
        "columns": columns,
        "rows": [
            {"place": f"{row['origin']}:{row['position']}", "cells": list(values.values())}
            for row, values in zip(rows, texts(rows, *columns), strict=True)
        ]
        if columns
        else [],
    }
