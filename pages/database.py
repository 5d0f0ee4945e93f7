"""A database that views read, and never write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from sinks.sql.url import SQLITE, parse_sql, shown


class Database:
    """A database of results, opened anew for each look at it, read only."""

    def __init__(self, address: str) -> None:
        """Take an address such as ``sqlite:///sales.db``.

        Raises:
            ValueError: it is none.
        """
        url, _ = parse_sql(address)
        self.shown = shown(url)
        self._path = Path(url.database or "") if url.get_backend_name() == SQLITE else None
        if self._path is not None:
            url = url.set(database=f"file:{self._path.absolute()}", query={"mode": "ro", "uri": "true"})
            self._engine = sa.create_engine(url, poolclass=NullPool)
        else:
            options = {"options": "-c default_transaction_read_only=on"}
            self._engine = sa.create_engine(url, pool_size=2, pool_pre_ping=True, connect_args=options)

    @property
    def is_there(self) -> bool:
        """Whether there is something to read; of a server, it is taken for granted."""
        return self._path is None or self._path.exists()

    def tables(self) -> list[str]:
        """Return the names of its tables; none if it is not there yet."""
        if not self.is_there:
            return []
        with self._engine.connect() as connection:
            return sorted(sa.inspect(connection).get_table_names())

    def rows(self, sql: str, **parameters: Any) -> list[Mapping[str, Any]]:
        """Return the rows of a query, with ``:name`` where a parameter stands.

        Raises:
            sqlalchemy.exc.DatabaseError: it cannot be answered, as where a table is not there yet.
        """
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(sql), parameters).mappings()]

    def epoch_seconds(self, column: str) -> str:
        """Return the SQL that makes whole seconds since 1970 of a column with a time."""
        if self._path is not None:
            return f"CAST(strftime('%s', \"{column}\") AS INTEGER)"
        return f'CAST(EXTRACT(EPOCH FROM "{column}") AS BIGINT)'

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()
