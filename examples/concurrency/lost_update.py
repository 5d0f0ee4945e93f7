"""Processes add to one number: all read it, all write it, and all but one of the additions are lost.

python -m examples.concurrency.lost_update --workers 2
"""

from __future__ import annotations

import argparse
import multiprocessing
import sqlite3
import tempfile
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

TIMES = 50


def read_then_write(path: str, both: Barrier) -> None:
    """Adds by reading the number, and writing it when the others have read it, too."""
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


def run(way: object, path: str, workers: int) -> None:
    """Does it in so many processes at once."""
    spawn = multiprocessing.get_context("spawn")
    both = spawn.Barrier(workers)
    processes = [spawn.Process(target=way, args=(path, both)) for _ in range(workers)]  # type: ignore[arg-type]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def number(connection: sqlite3.Connection, query: str = "SELECT number FROM total") -> int:
    """Gives the one number of a query."""
    return int(connection.execute(query).fetchone()[0])


def main() -> None:
    """Shows all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="how many processes add (default: 2)")
    workers = parser.parse_args().workers
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "totals.db")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE total (number INTEGER)")
            connection.execute("CREATE TABLE parts (name TEXT PRIMARY KEY, number INTEGER)")
            connection.execute("INSERT INTO total VALUES (0)")
            run(read_then_write, path, workers)
            print(f"read, then write: {number(connection)} of {workers}")
            connection.execute("UPDATE total SET number = 0")
            run(in_the_database, path, workers)
            print(f"the database adds: {number(connection)} of {workers * TIMES}")
            run(by_key, path, workers)
            told = number(connection, "SELECT sum(number) FROM parts")
            print(f"each under its key, twice: {told} of {workers * TIMES}")


if __name__ == "__main__":
    main()
