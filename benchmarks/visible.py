"""How long until a reader of a SQLite table sees a total that includes a record: what such benchmarks share."""

from __future__ import annotations

import bisect
import contextlib
import math
import sqlite3
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

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


def delays(seen: Sequence[tuple[int, float]], sent: Sequence[float], a_tick: int, warm_up_ticks: int) -> list[float]:
    """Gives how long it took from each tick to the first count that includes it, in milliseconds, shortest first.

    Args:
        seen: counts and when they were seen.
        sent: when each tick's records were sent.
        a_tick: how many records a tick has.
        warm_up_ticks: so many ticks at the beginning are left out.
    """
    counts = [count for count, _ in seen]
    found = []
    for tick in range(warm_up_ticks, len(sent)):
        place = bisect.bisect_left(counts, (tick + 1) * a_tick)
        if place < len(seen):
            found.append(1_000 * (seen[place][1] - sent[tick]))
    return sorted(found)


def figures(noun: str, millis: Sequence[float], a_tick: int, missing: int) -> list[tuple[str, str]]:
    """Gives the first lines of the table: how many, the median, the 99th percentile, the longest, the missing."""
    return [
        (noun, f"{len(millis) * a_tick:,}"),
        ("median", f"{statistics.median(millis):.0f} ms"),
        ("p99", f"{millis[math.ceil(0.99 * len(millis)) - 1]:.0f} ms"),
        ("max", f"{millis[-1]:.0f} ms"),
        (f"{noun} that are in no total", str(missing)),
    ]
