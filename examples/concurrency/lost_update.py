"""Two processes add to one number: both read it, both write it, and one of the two is lost.

python -m examples.concurrency.lost_update
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

TIMES = 50


def read_then_write(path: str, both: Barrier) -> None:
    """Adds by reading the number, and writing it when the other one has read it, too."""
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        (before,) = connection.execute("SELECT number FROM total").fetchone()
        both.wait(30)
        connection.execute("UPDATE total SET number = ?", (before + 1,))


def in_the_database(path: str, both: Barrier) -> None:
    """Has the database add, which does one after the other."""
    both.wait(30)
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        for _ in range(TIMES):
            connection.execute("UPDATE total SET number = number + 1")


def by_key(path: str, both: Barrier) -> None:
    """Writes what it knows under a key of its own: doing it twice changes nothing, and the sum is for readers."""
    both.wait(30)
    name = multiprocessing.current_process().name
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        for _ in range(2):
            connection.execute(
                "INSERT INTO parts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET number = excluded.number",
                (name, TIMES),
            )


def run(way: object, path: str) -> None:
    """Does it in two processes at once."""
    spawn = multiprocessing.get_context("spawn")
    both = spawn.Barrier(2)
    processes = [spawn.Process(target=way, args=(path, both)) for _ in range(2)]  # type: ignore[arg-type]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def number(connection: sqlite3.Connection, query: str = "SELECT number FROM total") -> int:
    """Gives the one number of a query."""
    return int(connection.execute(query).fetchone()[0])


def main() -> None:
    """Shows all three."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "totals.db")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE total (number INTEGER)")
            connection.execute("CREATE TABLE parts (name TEXT PRIMARY KEY, number INTEGER)")
            connection.execute("INSERT INTO total VALUES (0)")
            run(read_then_write, path)
            print(f"read, then write: {number(connection)} of 2")
            connection.execute("UPDATE total SET number = 0")
            run(in_the_database, path)
            print(f"the database adds: {number(connection)} of {2 * TIMES}")
            run(by_key, path)
            told = number(connection, "SELECT sum(number) FROM parts")
            print(f"each under its key, twice: {told} of {2 * TIMES}")


if __name__ == "__main__":
    main()
