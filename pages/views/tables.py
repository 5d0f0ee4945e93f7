"""The tables of any database as they are: what a view shows that knows nothing better."""

from __future__ import annotations

from typing import Any

from pages.database import Database

_ROWS = 20


def newest_rows(database: Database, most: int = _ROWS) -> list[dict[str, Any]] | None:
    """Return for each table its name and some rows, of windows the newest; None if there is no table."""
    found = []
    for table in database.tables():
        rows = database.rows(f'SELECT * FROM "{table}" LIMIT :most', most=most)  # noqa: S608 (a name that is there)
        found.append({"name": table, "rows": [{name: _text(value) for name, value in row.items()} for row in rows]})
    return found or None


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
