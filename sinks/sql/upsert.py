"""Rows into a table: its columns from the types of a frame, and the statements that keep the newest of each row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sinks.files.json_text import json_text
from sinks.files.table_layout import DECIMAL_DIGITS, WINDOW_COLUMNS
from sinks.sql.url import POSTGRESQL, SQLITE, make_table

#: What the table has besides the columns of the results. A greater (run, pane) is newer.
RUN, PANE, FINAL = "run", "pane", "final"
OWN_COLUMNS = (RUN, PANE, FINAL)
#: In SQLite no text and no number equals it, so that it may stand for a missing value.
_MISSING: sa.ColumnElement[Any] = sa.literal_column("x''")
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Window(NamedTuple):
    """A window of a batch, with how new its rows are."""

    start: str | None
    end: str | None
    run: int
    pane: int


class Upsert:
    """The statements for one table.

    Args:
        backend: ``sqlite`` or ``postgresql``.
        name: the table.
        schema: the columns of the frames, OWN_COLUMNS among them.
        key: the columns that, with those of the window, tell the rows apart.

    Raises:
        ValueError: a column has a type that no table has.
    """

    def __init__(self, backend: str, name: str, schema: pl.Schema, key: tuple[str, ...]) -> None:
        self._backend = backend
        self._schema = schema
        columns = [sa.Column(column, column_type(dtype, backend, column)) for column, dtype in schema.items()]
        self.table = sa.Table(name, sa.MetaData(), *columns)
        self._key = (*WINDOW_COLUMNS, *key)
        if backend == SQLITE:
            sa.Index(f"{name}_key", *map(self._comparable, self._key), unique=True)
        else:
            self.table.append_constraint(sa.UniqueConstraint(*self._key, postgresql_nulls_not_distinct=True))
        self._insert = self._make_insert()

    def prepare(self, connection: sa.Connection) -> str:
        """Make the table, if it is not there; return what is wrong with it, or an empty text."""
        inspector = make_table(connection, self.table)
        if inspector is None:
            return ""
        dialect = connection.dialect
        found = {column["name"]: column["type"].compile(dialect) for column in inspector.get_columns(self.table.name)}
        for column in self.table.columns:
            expected = column.type.compile(dialect)
            if found.get(column.name) != expected:
                got = found.get(column.name, "none")
                return f"table {self.table.name} is another one: expected column {column.name} {expected}, got {got}"
        return ""

    def write(self, connection: sa.Connection, rows: pl.DataFrame) -> None:
        """Write the rows of :meth:`in_sql`, unless newer ones are there."""
        if rows.height:
            connection.execute(self._insert, rows.to_dicts())

    def replace(self, connection: sa.Connection, rows: pl.DataFrame, windows: Iterable[Window]) -> None:
        """Write the rows in place of all that the table has of their windows, unless it has newer ones."""
        if self._backend == POSTGRESQL:
            # Between looking what is there and writing nobody else may write; all may read.
            connection.exec_driver_sql(f'LOCK TABLE "{self.table.name}" IN SHARE ROW EXCLUSIVE MODE')
        run, pane = self.table.c[RUN], self.table.c[PANE]
        outdated = []
        for window in windows:
            edges = zip(WINDOW_COLUMNS, window[:2], strict=True)
            is_inside = sa.and_(*(self._equals(name, edge) for name, edge in edges))
            newest = sa.select(run, pane).where(is_inside).order_by(run.desc(), pane.desc()).limit(1)
            there = connection.execute(newest).first()
            if there is not None and tuple(there) > window[2:]:
                outdated.append(window[:2])
            else:
                connection.execute(sa.delete(self.table).where(is_inside))
        if outdated:
            edges_of = pl.DataFrame(outdated, schema=dict.fromkeys(WINDOW_COLUMNS, pl.String), orient="row")
            rows = rows.join(edges_of, on=WINDOW_COLUMNS, how="anti", nulls_equal=True, maintain_order="left")
        self.write(connection, rows)

    def in_sql(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows as they are handed to the driver: numbers, booleans, and texts for everything else."""
        return rows.select(_in_sql(name, dtype, self._backend) for name, dtype in self._schema.items())

    def _make_insert(self) -> sa.Insert:
        newer = {column.name for column in self.table.columns} - set(self._key)
        there = sa.tuple_(self.table.c[RUN], self.table.c[PANE])
        key: list[Any] = [self._comparable(name) if self._backend == SQLITE else name for name in self._key]
        insert = (sqlite.insert if self._backend == SQLITE else postgresql.insert)(self.table)
        excluded = insert.excluded
        return insert.on_conflict_do_update(
            index_elements=key,
            set_={name: excluded[name] for name in sorted(newer)},
            where=sa.tuple_(excluded[RUN], excluded[PANE]) >= there,
        )

    def _comparable(self, name: str) -> sa.ColumnElement[Any]:
        """Return the values of a column as SQLite can tell them apart, missing ones as well."""
        return sa.func.coalesce(self.table.c[name], _MISSING)

    def _equals(self, name: str, value: str | None) -> sa.ColumnElement[bool]:
        column = self.table.c[name]
        if self._backend == SQLITE:
            return self._comparable(name) == (_MISSING if value is None else value)
        return column.is_(None) if value is None else column == sa.cast(sa.literal(value, sa.Text), column.type)


def column_type(dtype: pl.DataType, backend: str, name: str) -> sa.types.TypeEngine[Any]:
    """Return the type of a table's column for the values of a frame's.

    Raises:
        ValueError: there is none.
    """
    if dtype.is_integer():
        return sa.BigInteger()
    if dtype.is_float():
        return sa.Double()
    if isinstance(dtype, pl.Boolean):
        return sa.Boolean()
    if isinstance(dtype, (pl.String, pl.Null)) or dtype.is_nested():
        return sa.Text()
    exact: sa.types.TypeEngine[Any] | None = None
    if isinstance(dtype, pl.Decimal):
        exact = sa.Numeric(DECIMAL_DIGITS, dtype.scale)
    elif isinstance(dtype, pl.Datetime):
        exact = sa.DateTime(timezone=True)
    elif isinstance(dtype, pl.Date):
        exact = sa.Date()
    if exact is None:
        raise ValueError(f"a table has no type for {name!r}, which is {dtype}")
    return sa.Text() if backend == SQLITE else exact  # SQLite would make floats of them


def _in_sql(name: str, dtype: pl.DataType, backend: str) -> pl.Expr:
    value = pl.col(name)
    if dtype.is_integer():
        return value.cast(pl.Int64)
    if isinstance(dtype, pl.String):
        # PostgreSQL has no texts with this character.
        return value.str.replace_all("\0", _UNREADABLE, literal=True) if backend == POSTGRESQL else value
    if isinstance(dtype, pl.Datetime):
        return moment_text(value).alias(name)
    if isinstance(dtype, pl.Date):
        return value.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.Decimal) or dtype.is_nested():
        return pl.when(value.is_not_null()).then(json_text(value, dtype)).alias(name)
    return value.cast(pl.String) if isinstance(dtype, pl.Null) else value


def moment_text(value: pl.Expr) -> pl.Expr:
    """Return times as ISO 8601, in a form whose texts are ordered as the times are: with a ``Z`` they would not be."""
    fraction = pl.when(value.dt.microsecond() != 0).then(value.dt.strftime(".%6f")).otherwise(pl.lit(""))
    return pl.format("{}{}+00:00", value.dt.strftime("%Y-%m-%dT%H:%M:%S"), fraction)
