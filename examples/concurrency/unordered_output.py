"""Several workers, one output: each writes when it is done, and the order is lost; half a line may stand in another.

python -m examples.concurrency.unordered_output --workers 6 --seconds 0.12
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from sinks.lines.line_file import FileLines

RECORDS = [f"record {number}" for number in range(6)]


def work(record: str, seconds: float) -> str:
    """Takes longer for the first ones, as it happens: so long for the very first."""
    time.sleep(seconds * (1 - int(record.split()[1]) / len(RECORDS)))
    return record


def as_they_finish(path: Path, workers: int, seconds: float) -> None:
    """Every worker writes its own line."""

    def work_and_write(record: str) -> None:
        with path.open("a") as file:
            file.write(work(record, seconds) + "\n")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work_and_write, RECORDS))


def in_parts(path: Path) -> None:
    """Two writers write their lines in two steps each."""
    both = threading.Barrier(2)

    def write(name: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{name} begins, ".encode())
        both.wait()
        os.write(descriptor, f"{name} ends\n".encode())
        os.close(descriptor)

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write, "ab"))


def by_one_writer(path: Path, workers: int, seconds: float) -> None:
    """Workers give their lines back; one writer writes them in order, each in one step."""
    with ThreadPoolExecutor(workers) as pool, closing(FileLines(str(path)).open()) as file:
        for record in pool.map(work, RECORDS, [seconds] * len(RECORDS)):
            file.write(f"{record}\n".encode())


def main() -> None:
    """Shows both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=len(RECORDS), help=f"so many work (default: {len(RECORDS)})")
    parser.add_argument("--seconds", type=float, default=0.12, help="how long the slowest works (default: 0.12)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        as_they_finish(path / "a.txt", given.workers, given.seconds)
        lines = (path / "a.txt").read_text().splitlines()
        print(f"each writes when it is done: in order {lines == RECORDS}")
        in_parts(path / "b.txt")
        whole = [line for line in (path / "b.txt").read_text().splitlines() if line.count("begins") == 1]
        print(f"two write in parts: whole lines {len(whole)} of 2")
        by_one_writer(path / "c.txt", given.workers, given.seconds)
        print(f"one writer: in order {(path / 'c.txt').read_text().splitlines() == RECORDS}")


if __name__ == "__main__":
    main()
