"""Databases: one connection per process, transactions that are tried again, errors of one line."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from sinks.files.atomic import SinkError, make_folder, one_line_errors, temporary_beside
from sinks.patience import Patience
from sinks.shared import Shared
from sinks.sql.url import SQLITE, address_of, shown

_T = TypeVar("_T")

#: How long a database may be away before results are given up, and the job with them.
RETRY_SECONDS = 60.0
#: How long SQLite itself waits for another writer, before we try again.
_BUSY_SECONDS = 5.0
#: So that a server that is gone from the network is noticed; an address may say otherwise.
_POSTGRESQL_LIMITS = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
#: Since this version a unique key may count missing values as equal.
_OLDEST_POSTGRESQL = 15

_PASSING_IN_SQLITE = ("locked", "busy")
#: What the server calls errors that pass: connection lost, shutting down, too many clients, deadlock, lock timeout.
_PASSING_CODES = ("08", "57P0", "53300", "40001", "40P01", "55P03")
#: While connecting there are no codes; this is what is said where trying again is of no use.
_REFUSED = ("authentication failed", "does not exist", "pg_hba.conf", "permi", "no password", "support SSL", "certifi")
_BEFORE_THE_REASON = (" failed: ", "FATAL: ")


class Database:
    """A database that this process writes to, over one connection, which is opened when it is first needed.

    Threads take turns. :meth:`close` may be called at any time; what comes after it connects again.
    """

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._connection: sa.Connection | None = None
        self._engine: sa.Engine | None = None
        #: Which file it was when it was opened first, of SQLite.
        self._file: tuple[int, int] | None = None

    def transact(self, work: Callable[[sa.Connection], _T], retry_seconds: float = RETRY_SECONDS) -> _T:
        """Do the work in one transaction, and again from its start while the database is away or busy.

        Args:
            work: what to do; as a connection may break in the middle of a commit, doing it twice must do no harm.
            retry_seconds: for how long to try again; 0 for one attempt.

        Raises:
            SinkError: it cannot be done; the message is one line, and says nothing of the password.
        """
        patience: Patience | None = None
        while True:
            with self._lock:
                try:
                    return self._attempt(work)
                except DBAPIError as error:
                    self._hang_up()
                    reason, is_passing = self._reason(error), _is_passing(error)
            if not is_passing or not retry_seconds:
                raise self.error(reason)
            patience = patience or Patience(shown(self.url), retry_seconds)
            if not patience.wait(reason):
                raise self.error(f"{reason}; tried for {retry_seconds:g} s")

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            self._hang_up()

    def error(self, reason: str) -> SinkError:
        """Return the error that names the database and the reason."""
        return SinkError(f"cannot write to {shown(self.url)}: {reason}")

    def _attempt(self, work: Callable[[sa.Connection], _T]) -> _T:
        if self._engine is None:
            self._engine = self._make_engine()
        self._check_file()
        if self._connection is None:
            self._connection = self._engine.connect()
        if self._file is None and self.url.get_backend_name() == SQLITE:
            self._file = _file_of(self.url)
        with self._connection.begin():
            done = work(self._connection)
        self._check_file()
        return done

    def look(self) -> None:
        """See that the file of SQLite that was written to is still there.

        Raises:
            SinkError: it was removed, or another one is in its place.
        """
        with self._lock:
            self._check_file()

    def _check_file(self) -> None:
        # A file that was removed takes rows all the same, as long as it is open, and loses them.
        if self._file is not None and _file_of(self.url) != self._file:
            raise self.error("the file was removed or replaced while it was written; what was written to it is gone")

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):  # it may be broken, that is why
                self._connection.close()
        self._connection = None

    def _make_engine(self) -> sa.Engine:
        options: dict[str, Any] = {"poolclass": sa.NullPool, "hide_parameters": True}
        if self.url.get_backend_name() == SQLITE:
            with one_line_errors(shown(self.url)):
                make_folder(_path(self.url).parent)
            # Without an isolation level the driver leaves it to us to begin. Our own lock keeps the threads apart.
            arguments = {"timeout": _BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
            engine = sa.create_engine(self.url, connect_args=arguments, **options)
            sa.event.listen(engine, "connect", _keep_a_log)
            sa.event.listen(engine, "begin", _begin_as_writer)
            return engine
        limits = {name: value for name, value in _POSTGRESQL_LIMITS.items() if name not in self.url.query}
        try:
            return sa.create_engine(self.url, connect_args=limits, **options)
        except ImportError:
            raise self.error("psycopg is missing: pip install 'transaction-streams[postgresql]'") from None

    def _reason(self, error: DBAPIError) -> str:
        """Return the one line of a message that tells most."""
        lines = [line.strip() for line in str(error.orig).splitlines()] or [type(error.orig).__name__]
        line = next((line for line in lines if _BEFORE_THE_REASON[0] in line), lines[0])
        for words in _BEFORE_THE_REASON:
            line = line.rpartition(words)[2].strip()
        password = str(self.url.password or "")
        return line.replace(password, "***") if password else line


#: Steps of a process share a connection; each process has its own.
DATABASES: Shared[sa.URL, Database] = Shared(Database, Database.close)


def _file_of(url: sa.URL) -> tuple[int, int] | None:
    """Return what tells the file of a SQLite database from others, None where it is not there."""
    try:
        found = _path(url).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_sql(url: str | sa.URL, table: str = "") -> None:
    """Find out, before anything runs, whether a database can be written; make no more than a SQLite file's folder.

    Args:
        url: its address.
        table: the table that is to be written, whether it is there or not.

    Raises:
        ValueError: it is no address.
        SinkError: it cannot be written; the message is one line.
    """
    parsed = address_of(url)
    with closing(Database(parsed)) as database:
        if parsed.get_backend_name() == SQLITE:
            _check_file(database, _path(parsed))
        else:
            database.transact(lambda connection: _check_rights(connection, database, table), retry_seconds=0)


def _check_file(database: Database, path: Path) -> None:
    with one_line_errors(shown(database.url)):
        if not path.exists():
            probe = temporary_beside(path)
            make_folder(path.parent)
            probe.touch(exist_ok=False)
            probe.unlink(missing_ok=True)
            return
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            for command in ("BEGIN IMMEDIATE", "PRAGMA schema_version", "ROLLBACK"):
                connection.execute(command)
    except sqlite3.Error as error:
        raise database.error(str(error)) from None


def _check_rights(connection: sa.Connection, database: Database, table: str) -> None:
    version = int((connection.dialect.server_version_info or (0,))[0])
    if version < _OLDEST_POSTGRESQL:
        raise database.error(f"expected PostgreSQL {_OLDEST_POSTGRESQL} or newer, got {version}")
    if connection.scalar(sa.text("SHOW transaction_read_only")) == "on":
        raise database.error("the server is read-only")
    name = f'"{table}"'
    if table and connection.scalar(sa.select(sa.func.to_regclass(name))):
        rights = sa.func.has_table_privilege(name, "INSERT"), sa.func.has_table_privilege(name, "UPDATE")
        if not connection.scalar(sa.select(sa.and_(*rights))):
            raise database.error(f"permission denied for table {table}")
    elif not connection.scalar(sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        raise database.error("permission denied to create a table")


def _path(url: sa.URL) -> Path:
    return Path(str(url.database))


def _is_passing(error: DBAPIError) -> bool:
    """Return whether trying again may help."""
    if isinstance(error.orig, sqlite3.Error):
        return any(word in str(error.orig) for word in _PASSING_IN_SQLITE)
    code = getattr(error.orig, "sqlstate", None)
    if code:
        return str(code).startswith(_PASSING_CODES)
    if error.connection_invalidated:
        return True
    return isinstance(error, OperationalError) and not any(words in str(error.orig) for words in _REFUSED)


def _keep_a_log(connection: sqlite3.Connection, _: object) -> None:
    """Set write-ahead logging, so that readers read on while somebody writes; the file keeps it."""
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")


def _begin_as_writer(connection: sa.Connection) -> None:
    """Take the lock at once: a reader that becomes a writer in mid-transaction may be told that it is too late."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
