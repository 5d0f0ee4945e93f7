"""Pacing: when the next records of a replay or a simulation are due, by the clock or by their event time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.times import MICROS_PER_SECOND

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pace:
    """How fast records leave; at most one of the three is given, and none means as fast as possible.

    Attributes:
        speed: times event time (60 plays an hour in a minute).
        rate: records a second.
        interval: seconds between two records, drawn evenly between the two bounds.
        seed: of the drawn intervals.
    """

    speed: float | None = None
    rate: float | None = None
    interval: tuple[float, float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: more than one is given, or one is not positive.
        """
        given = [name for name in ("speed", "rate", "interval") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of speed, rate and interval, got {' and '.join(given)}")
        for name in ("speed", "rate"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive, got {value!r}")
        if self.interval is not None and not 0 <= self.interval[0] <= self.interval[1] < math.inf:
            raise ValueError(f"interval must be two ascending numbers of seconds, got {self.interval!r}")

    @property
    def is_paced(self) -> bool:
        """Whether records have to wait at all."""
        return self.speed is not None or self.rate is not None or self.interval is not None

    def schedule(self, sent: int = 0, first_time: int | None = None) -> Schedule:
        """Start the clock of a schedule of which ``sent`` records have left already.

        ``first_time`` is the event time (microseconds) that is played now, where a stream is taken up in its middle.
        """
        return Schedule(self, sent, first_time)


class Schedule:
    """Tells how many records are due. Give it the elapsed time; it never sleeps and never reads a clock."""

    def __init__(self, pace: Pace, sent: int, first_time: int | None) -> None:
        """Use :meth:`Pace.schedule`."""
        self._pace = pace
        self._first_time = first_time
        self._sent = 0
        self._next_due = 0.0
        self._gaps = np.random.default_rng([pace.seed, sent])

    def due(self, elapsed: float, times: Times, most: int | None = None) -> int:
        """Return how many of the next records may leave now, and count them as sent.

        Args:
            elapsed: seconds since the schedule began.
            times: event times in microseconds of the records that wait, in order; only the speed looks at them.
            most: how many wait, where ``times`` is empty because nobody needs them.
        """
        waiting = len(times) if most is None else most
        pace = self._pace
        if pace.rate is not None:
            count = min(waiting, max(0, math.floor(elapsed * pace.rate) + 1 - self._sent))
        elif pace.speed is not None:
            if self._first_time is None and len(times):
                self._first_time = int(times[0])
            horizon = (self._first_time or 0) + int(elapsed * pace.speed * MICROS_PER_SECOND)
            # A record out of order is due when the ones before it are: the order of the stream is kept.
            count = int(np.searchsorted(np.maximum.accumulate(times), horizon, side="right")) if len(times) else 0
        elif pace.interval is not None:
            count = 0
            while count < waiting and self._next_due <= elapsed:
                self._next_due += float(self._gaps.uniform(*pace.interval))
                count += 1
        else:
            count = waiting
        self._sent += count
        return count

    def wait(self, elapsed: float, next_time: int | None = None) -> float:
        """Return the seconds until the next record is due; ``next_time`` is its event time, for the speed."""
        pace = self._pace
        if pace.rate is not None:
            return max(0.0, self._sent / pace.rate - elapsed)
        if pace.speed is not None:
            if next_time is None or self._first_time is None:
                return 0.0
            return max(0.0, (next_time - self._first_time) / MICROS_PER_SECOND / pace.speed - elapsed)
        if pace.interval is not None:
            return max(0.0, self._next_due - elapsed)
        return 0.0
