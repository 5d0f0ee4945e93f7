"""The addresses of databases: ``sqlite:///credit.db?table=regions``, ``postgresql://me@host/shop``."""

from __future__ import annotations

import re

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from schemas.passwords import hold

#: The names of the two kinds of database, as :meth:`sqlalchemy.URL.get_backend_name` gives them.
SQLITE, POSTGRESQL = "sqlite", "postgresql"
#: The schemes of addresses, and what SQLAlchemy calls them.
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_EXPECTED = "sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with ?table=NAME behind it or without"
_TABLE = "table"
#: Whoever makes a table holds this lock in PostgreSQL: two who do it at once would meet an error.
_MAKING_TABLES = 0x7461626C
#: Longer names are cut by PostgreSQL without a word.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def parse_sql(text: str) -> tuple[sa.URL, str]:
    """Parse the address of a database and return it with the name of the table, empty where there is none.

    Its password is held by this process, and not pickled with it (see :class:`schemas.passwords.Password`).

    >>> parse_sql("postgresql://me:secret@db/shop?table=totals")
    (postgresql+psycopg://me:***@db/shop, 'totals')

    Raises:
        ValueError: it is none; the message shows nothing that may be a password.
    """
    try:
        url = sa.make_url(text)
        driver = DRIVERS[url.drivername]
    except (ArgumentError, ValueError, KeyError):
        raise ValueError(f"expected {_EXPECTED}") from None
    url = url.set(drivername=driver)
    if url.get_backend_name() == SQLITE:
        _check_sqlite(url)
    elif text.count("@") > 1:
        # Or the rest of the password would be taken for the host, and shown.
        raise ValueError("expected one @ in the address of a database: one in a user's name or password is written %40")
    elif any("password" in name for name in url.query):
        raise ValueError("expected the password before the host: postgresql://USER:PASSWORD@HOST, or in ~/.pgpass")
    table = url.query.get(_TABLE)
    if table is not None:
        check_table(table if isinstance(table, str) else " ".join(table))
        url = url.difference_update_query([_TABLE])
    return address_of(url), str(table or "")


def address_of(url: str | sa.URL) -> sa.URL:
    """Return the address of a database, whose password, if it has one, is held by this process and not pickled.

    Raises:
        ValueError: it is none; the message shows nothing that may be a password.
    """
    if isinstance(url, str):
        return parse_sql(url)[0]
    return url.set(password=hold(url.password)) if url.password else url


def check_table(name: str) -> None:
    """Check the name of a table.

    Raises:
        ValueError: there may be no table of that name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected the name of a table: letters, digits and _, 63 at most, got {name!r}")


def shown(url: sa.URL) -> str:
    """Return the address as it may be shown: no password, no options.

    >>> shown(parse_sql("postgresql://me:secret@db/shop?sslmode=require")[0])
    'postgresql://me@db/shop'
    """
    plain = sa.URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return plain.render_as_string(hide_password=True)


def _check_sqlite(url: sa.URL) -> None:
    if url.host or url.username or not url.database or url.database.startswith(":"):
        raise ValueError("expected sqlite:///PATH: three slashes and a path, which may begin with a fourth")
    unknown = [name for name in url.query if name != _TABLE]
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} of a SQLite file, expected table")


def make_table(connection: sa.Connection, table: sa.Table) -> sa.Inspector | None:
    """Make a table that is not there; of one that is, return the inspector."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING_TABLES)))
    inspector = sa.inspect(connection)
    if inspector.has_table(table.name):
        return inspector
    table.metadata.create_all(connection)
    return None
