"""A process dies half-way: half a file looks like a whole one, and to begin again doubles what was done already.

python -m examples.concurrency.half_way
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sinks.files.atomic import temporary_beside

LINES = [f"record {number}\n" for number in range(10)]
HALF = 5


def die() -> None:
    """Ends at once, as by a power cut: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def straight_into_the_file(folder: Path, *, dies: bool) -> None:
    """Writes line by line under the name that everybody reads, and dies in the middle of one."""
    with (folder / "straight.txt").open("w") as file:
        for number, line in enumerate(LINES):
            if dies and number == HALF:
                file.write(line[:3])
                file.flush()
                die()
            file.write(line)


def whole_or_not(folder: Path, *, dies: bool) -> None:
    """Writes another file, and renames it when it is whole."""
    target = folder / "whole.txt"
    temporary = temporary_beside(target)
    with temporary.open("w") as file:
        file.writelines(LINES[:HALF])
        file.flush()
        if dies:
            die()
        file.writelines(LINES[HALF:])
    temporary.replace(target)


def row_by_row(folder: Path, *, dies: bool) -> None:
    """Commits each row; begins at the first one again."""
    with closing(sqlite3.connect(folder / "rows.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows (line TEXT)")
        for number, line in enumerate(LINES):
            if dies and number == HALF:
                die()
            connection.execute("INSERT INTO rows VALUES (?)", (line,))


def by_key(folder: Path, *, dies: bool) -> None:
    """The same, but each row has a key that says where it came from."""
    with closing(sqlite3.connect(folder / "keys.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows (position INTEGER PRIMARY KEY, line TEXT)")
        for number, line in enumerate(LINES):
            if dies and number == HALF:
                die()
            connection.execute("INSERT INTO rows VALUES (?, ?) ON CONFLICT DO NOTHING", (number, line))


def run(way: Callable[..., None], folder: Path, *, dies: bool) -> None:
    """Does it in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=way, args=(folder,), kwargs={"dies": dies})
    process.start()
    process.join()


def count(path: Path) -> int:
    """Counts the rows of a database."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])


def main() -> None:
    """Shows all four."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(straight_into_the_file, folder, dies=True)
        left = (folder / "straight.txt").read_text()
        print(f"straight into the file: {left.count('record')} lines of {len(LINES)}, the last one {left[-3:]!r}")
        run(whole_or_not, folder, dies=True)
        print(f"whole or not: a file is there {(folder / 'whole.txt').exists()}")
        run(whole_or_not, folder, dies=False)
        print(f"begun again: {len((folder / 'whole.txt').read_text().splitlines())} lines of {len(LINES)}")
        for way, file in ((row_by_row, "rows.db"), (by_key, "keys.db")):
            run(way, folder, dies=True)
            run(way, folder, dies=False)
            print(f"{way.__name__}, begun again: {count(folder / file)} rows of {len(LINES)}")


if __name__ == "__main__":
    main()
