"""Two writers, one SQLite file: whoever does not wait, or reads before it writes, is told "database is locked".

python -m examples.concurrency.locked_database --seconds 0.5
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from sinks.sql.database import Database
from sinks.sql.url import parse_sql

#: What another process does: it takes the lock, says so, and holds it until it is told to go on.
OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO sales VALUES ('other')")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


def other_writer(path: str) -> subprocess.Popen[str]:
    """Starts it, and waits until it has the lock."""
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None  # noqa: S101
    other.stdout.readline()
    return other


def without_patience(path: str) -> str:
    """Writes, and does not wait."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("INSERT INTO sales VALUES ('mine')")
        except sqlite3.OperationalError as error:
            return str(error)
    return "written"


def reading_first(path: str, other: subprocess.Popen[str]) -> str:
    """Reads, and writes in the same transaction: in between, another one has written, and no patience helps."""
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sales").fetchone()
        other.communicate("go on\n")
        try:
            connection.execute("INSERT INTO sales VALUES ('mine')")
        except sqlite3.OperationalError as error:
            return str(error)
    return "written"


def with_patience(path: str, other: subprocess.Popen[str], seconds: float) -> str:
    """Writes as this project does: takes the lock at once, waits for it, and tries again."""
    threading.Timer(seconds, other.communicate, ["go on\n"]).start()
    with closing(Database(parse_sql(f"sqlite:///{path}")[0])) as database:
        database.transact(lambda connection: connection.execute(sa.text("INSERT INTO sales VALUES ('mine')")))
    other.wait()
    return "written"


def main() -> None:
    """Shows all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long the other one has the lock (default: 0.5)")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "sales.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE sales (who TEXT)")
        other = other_writer(path)
        print(f"without patience: {without_patience(path)}")
        print(f"reading first: {reading_first(path, other)}")
        print(f"with the lock from the beginning, and patience: {with_patience(path, other_writer(path), seconds)}")


if __name__ == "__main__":
    main()
