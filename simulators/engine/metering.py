"""Metering: lets the records of a stream out when they are due."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from simulators.engine.batch import Batch
from sources.pacing import Pace

#: The shortest rest, so that a fast stream leaves in handfuls and not record by record.
TICK_SECONDS = 0.002


class Clock:
    """Elapsing seconds, and rests that end early when somebody calls stop."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> float:
        """Return seconds since some fixed moment; they never go back."""
        return time.monotonic()

    def rest(self, seconds: float) -> None:
        """Wait, but no longer than until the stop."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """End every rest, now and from now on."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether stop was called."""
        return self._stopped.is_set()


def metered(batches: Iterable[Batch], pace: Pace, clock: Clock) -> Iterator[Batch]:
    """Yield the records of batches in their order, none before it is due; end when the clock is stopped.

    Time begins to count when the first batch has been made. A taker that is too slow gets what has become due
    meanwhile at once.
    """
    schedule = pace.schedule()
    began: float | None = None
    for batch in batches:
        began = clock.now() if began is None else began
        at = 0
        while at < batch.rows and not clock.is_stopped:
            if not pace.is_paced:
                yield batch
                break
            elapsed = clock.now() - began
            count = schedule.due(elapsed, batch.times[at:])
            if count:
                yield batch.cut(at, at + count)
                at += count
            else:
                clock.rest(max(TICK_SECONDS, schedule.wait(elapsed, int(batch.times[at]))))
        if clock.is_stopped:
            return


class Supply:
    """Takes records off a stream a few at a time.

    ``take`` gives up to so many as soon as one is due, and None at the end; ``put_back`` takes the last ones back.
    """

    def __init__(self, pieces: Iterator[Batch]) -> None:
        """Return the pieces are those of :func:`metered`."""
        self._pieces = pieces
        self._piece: Batch | None = None
        self._at = 0

    def take(self, most: int) -> Batch | None:
        """Return the next records, at least one and at most ``most``; wait until they are due."""
        if not self.has_more():
            return None
        assert self._piece is not None  # noqa: S101 - for the type checker
        taken = self._piece.cut(self._at, min(self._at + most, self._piece.rows))
        self._at += taken.rows
        return taken

    def put_back(self, taken: Batch) -> None:
        """Take back what the last ``take`` gave, so that the next one gives it again."""
        self._at -= taken.rows

    def has_more(self) -> bool:
        """Return whether a record is left; wait until it is due."""
        while self._piece is None or self._at >= self._piece.rows:
            self._piece = next(self._pieces, None)
            self._at = 0
            if self._piece is None:
                return False
        return True
