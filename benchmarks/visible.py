"""How long until a reader of a SQLite table sees a total that includes a record: what such benchmarks share.

Records go out in ticks, at a steady rate, so that a total tells which of them are included.
"""

from __future__ import annotations

import bisect
import contextlib
import math
import sqlite3
import statistics
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Cost
from benchmarks.report import table
from benchmarks.window_latency import TICK_SECONDS

#: How often the table is looked at.
LOOK_SECONDS = 0.005


class Watcher(threading.Thread):
    """Takes down each new count of a table, and when it was seen.

    Attributes:
        seen: the counts, rising, each with the time of the look that first saw it.
    """

    def __init__(self, database: Path, query: str) -> None:
        """Looks by ``query``, which gives one number, into a database that need not be there yet."""
        super().__init__(daemon=True)
        self.seen: list[tuple[int, float]] = []
        self._database = database
        self._query = query
        self._stop_looking = threading.Event()

    @property
    def count(self) -> int:
        """The latest count."""
        return self.seen[-1][0] if self.seen else 0

    def run(self) -> None:
        """Looks until it is stopped."""
        while not self._database.exists() and not self._stop_looking.wait(LOOK_SECONDS):
            pass
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            while not self._stop_looking.wait(LOOK_SECONDS):
                with contextlib.suppress(sqlite3.OperationalError):  # the table is not there yet
                    count = connection.execute(self._query).fetchone()[0] or 0
                    if count > self.count:
                        self.seen.append((count, time.time()))

    def stop(self) -> None:
        """Ends it, and waits until it has."""
        self._stop_looking.set()
        self.join()


class Sender(threading.Thread):
    """Sends records in ticks, at a steady rate, for so many seconds.

    Attributes:
        sent: the moments just before each tick's records were sent.
        slowest_tick_seconds: by how much it was behind at worst; a sender that stammers measures itself.
        a_tick: how many records a tick has.
        stop: ends it before.
    """

    def __init__(self, rate: int, seconds: int) -> None:
        """Takes records a second, and seconds."""
        super().__init__(daemon=True)
        self.sent: list[float] = []
        self.slowest_tick_seconds = 0.0
        self.a_tick = round(rate * TICK_SECONDS)
        self.stop = threading.Event()
        self._ticks = round(seconds / TICK_SECONDS)

    def send_ticks(self, send: Callable[[float], None]) -> None:
        """Calls ``send`` with the time whenever a tick is due."""
        start = time.time()
        for tick in range(self._ticks):
            due = start + tick * TICK_SECONDS
            time.sleep(max(0.0, due - time.time()))
            if self.stop.is_set():
                return
            now = time.time()
            self.slowest_tick_seconds = max(self.slowest_tick_seconds, now - due)
            self.sent.append(now)
            send(now)


def parse_arguments(argv: Sequence[str] | None, module: str, about: str | None, noun: str, rate: int) -> Namespace:
    """Parses the command line: for how many seconds, and how many records a second."""
    parser = ArgumentParser(prog=f"python -m {module}", description=(about or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=rate, help=f"{noun} a second (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.seconds < 1 or options.rate < 1 / TICK_SECONDS:
        parser.error(f"seconds must be positive, and the rate at least {1 / TICK_SECONDS:g}")
    return options


def delays(seen: Sequence[tuple[int, float]], sender: Sender, warm_up_seconds: float) -> list[float]:
    """Gives how long it took from each tick to the first count that includes it, in milliseconds, shortest first.

    Args:
        seen: counts and when they were seen.
        sender: which sent them.
        warm_up_seconds: so much of the beginning is left out.
    """
    counts = [count for count, _ in seen]
    found = []
    for tick in range(round(warm_up_seconds / TICK_SECONDS), len(sender.sent)):
        place = bisect.bisect_left(counts, (tick + 1) * sender.a_tick)
        if place < len(seen):
            found.append(1_000 * (seen[place][1] - sender.sent[tick]))
    return sorted(found)


def figures(noun: str, who: str, millis: Sequence[float], sender: Sender, missing: int, cost: Cost) -> str:
    """Gives the table: how many, how long, how many are missing, and what the sender and the pipeline were at."""
    lines = [
        (noun, f"{len(millis) * sender.a_tick:,}"),
        ("median", f"{statistics.median(millis):.0f} ms"),
        ("p99", f"{millis[math.ceil(0.99 * len(millis)) - 1]:.0f} ms"),
        ("max", f"{millis[-1]:.0f} ms"),
        (f"{noun} that are in no total", str(missing)),
        (f"the {who} was behind by at most", f"{1_000 * sender.slowest_tick_seconds:.0f} ms"),
        ("cores busy, starting up included", f"{cost.cores_busy:.2f}"),
    ]
    return table(("", "figure"), lines)


def verdict(millis: Sequence[float], aim_seconds: float) -> str:
    """Gives what was to be reached, and whether it was."""
    median = statistics.median(millis)
    answer = "yes" if median <= 1_000 * aim_seconds else "NO"
    return f"- median at most {aim_seconds:g} s: {answer} ({median:.0f} ms)"
