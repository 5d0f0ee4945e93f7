"""What all views do with rows: find tables, choose windows, and turn values into what JSON has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from pages.database import Database

#: So many windows are shown over time, and so many rows of a window, at most.
MOST_WINDOWS, MOST_ROWS = 300, 500
_DRAWN_PLACES = 4
Row = Mapping[str, Any]


class Window(NamedTuple):
    """A window as tables have it, None for all time, and when it begins and ends in seconds since 1970."""

    start: Any
    end: Any

    @property
    def seconds(self) -> tuple[int | None, int | None]:
        """When it begins and ends."""
        return seconds(self.start), seconds(self.end)


def number(column: str) -> str:
    """Return the SQL that makes a number of a column that may be a decimal, which is a text in SQLite."""
    return f'CAST("{column}" AS DOUBLE PRECISION)'


def seconds(value: Any) -> int | None:
    """Return a time of a database in seconds since 1970."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def text(value: Any) -> Any:
    """Return a value as JSON has it: numbers that are not whole, and times, are texts, with all their digits."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal | float):
        return _digits(Decimal(repr(value)) if isinstance(value, float) else value)
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def drawn(value: Any) -> float:
    """Return a number as it is drawn: rounded, for databases add up in different orders."""
    return round(float(value or 0), _DRAWN_PLACES)


def _digits(value: Decimal) -> str:
    """Return all digits of a decimal, as it stands in SQLite: without zeros at its end."""
    digits = f"{value:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def texts(rows: Iterable[Row], *names: str) -> list[dict[str, Any]]:
    """Return these columns of rows, all if none is named, as JSON has them."""
    return [{name: text(row[name]) for name in names or row} for row in rows]


def exact_sum(values: Iterable[Any]) -> str | None:
    """Return the sum of decimals to the last digit, of those that are there; None where none is."""
    known = [Decimal(str(value)) for value in values if value is not None]
    return _digits(sum(known, Decimal(0))) if known else None


def newest_windows(database: Database, table: str, sums: Mapping[str, str], most: int = MOST_WINDOWS) -> list[Row]:
    """Return the newest windows of a table, the oldest of them first, each with sums over its rows.

    Args:
        database: where it is.
        table: its name.
        sums: the columns that are summed, by the name of the sum.
        most: how many windows.
    """
    values = "".join(f', SUM({number(column)}) AS "{name}"' for name, column in sums.items())
    sql = (
        f'SELECT window_start, window_end{values} FROM "{table}" GROUP BY window_start, window_end '  # noqa: S608
        "ORDER BY window_start DESC, window_end DESC LIMIT :most"
    )
    return database.rows(sql, most=most)[::-1]


def chosen(windows: list[Row], wanted: str) -> Window | None:
    """Return the window that begins at so many seconds, or else the newest one."""
    if not windows:
        return None
    found = next((row for row in windows if str(seconds(row["window_start"])) == wanted), windows[-1])
    return Window(found["window_start"], found["window_end"])


def rows_of(database: Database, table: str, window: Window, by: str, key: str, most: int = MOST_ROWS) -> list[Row]:
    """Return the rows of a window with the greatest values of a column, equal ones by their key."""
    inside = "window_start IS NULL" if window.start is None else "window_start = :start AND window_end = :end"
    edges = {} if window.start is None else {"start": window.start, "end": window.end}
    sql = f'SELECT * FROM "{table}" WHERE {inside} ORDER BY {number(by)} DESC, "{key}" LIMIT :most'  # noqa: S608
    found = database.rows(sql, most=most, **edges)
    # Databases sort texts in ways of their own.
    return sorted(found, key=lambda row: (-float(row[by] or 0), str(row[key])))
