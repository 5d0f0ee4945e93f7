"""Tables of databases as outputs."""

# ruff: noqa: ARG002 - kinds of outputs are asked the same things, and not all matter to each
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
import sqlalchemy as sa

from sinks.lines.render import Layout
from sinks.output import RECORDS, Output, OutputSettings, Table
from sinks.sql.database import DATABASES, check_sql
from sinks.sql.insert import InsertRecords
from sinks.sql.url import SQLITE, parse_sql, shown
from sinks.sql.write import WriteTable
from transforms.untyped.infer_schema import Shape

_NANOS_PER_MICRO = 1_000


@dataclass(frozen=True)
class SqlOutput(Output):
    """A database.

    Attributes:
        url: where it is; it shows itself without its password.
        table: the name of the table, where the address has one.
    """

    url: sa.URL
    table: str = ""
    unit = "row"
    is_table = True

    @classmethod
    def parse(cls, text: str) -> SqlOutput:
        """Return the output of an address.

        Raises:
            ValueError: it is none; the message shows nothing that may be a password.
        """
        url, table = parse_sql(text)
        return cls(shown(url), url, table)

    @property
    def identity(self) -> str:
        """The database and the table."""
        database = self.url.database or ""
        if self.url.get_backend_name() == SQLITE:
            return f"sqlite {os.path.realpath(database)} {self.table}"
        return f"{self.url.host} {self.url.port} {database} {self.table}"

    @property
    def has_password(self) -> bool:
        """Whether there is a password in the address."""
        return bool(self.url.password)

    @property
    def shared_file(self) -> str:
        """The file of SQLite."""
        return str(self.url.database) if self.url.host is None and self.url.database else ""

    @property
    def named_table(self) -> str:
        """The table that the address names."""
        return self.table

    def check(self, tables: Sequence[Table], settings: OutputSettings) -> None:
        """See that the tables can be written."""
        for table in tables:
            check_sql(self.url, self._table(table))

    def check_records(self) -> None:
        """See that the table of records can be written."""
        check_sql(self.url, self._table(RECORDS))

    def result_writer(self, table: Table, settings: OutputSettings) -> beam.PTransform:
        """Return the transform that keeps the newest row of each window and key; it is that of a new run."""
        run = time.time_ns() // _NANOS_PER_MICRO
        return WriteTable(self.url, self._table(table), table.key, replace_window=table.shrinks, run=run)

    def record_writer(self, layout: Layout | None, settings: OutputSettings, key: str = "") -> beam.PTransform:
        """Return the transform that inserts each record once."""
        if layout is None:
            raise ValueError(f"{self.path!r} takes no rows of JSON: expected a topic or a path ending in .jsonl")
        return InsertRecords(self.url, self._table(RECORDS), layout.columns, layout.numbers, declared=layout.declared)

    @contextmanager
    def held(self) -> Iterator[Callable[[], None]]:
        """Keep the connection."""
        database = DATABASES.borrow(self.url)
        try:
            yield database.look
        finally:
            DATABASES.give_back(self.url, database)

    def choose_layout(
        self,
        style: str | None,
        shape: Shape,
        columns: tuple[str, ...],
        template: tuple[str, ...],
    ) -> Layout:
        """Choose the columns of the table."""
        known = (columns or shape.names) if shape.form != "lines" else ()
        return Layout("csv", known, shape.native, declared=shape.declared)

    def _table(self, table: Table) -> str:
        if not self.table:
            return table.name
        return f"{self.table}_{table.part.replace('-', '_')}" if table.part else self.table
