"""Signals that come twice: ``timeout`` sends one to a program and the same one to its group, which is meant once."""

from __future__ import annotations

import time
from collections.abc import Callable

#: The same signal again within so long is the one before.
ECHO_SECONDS = 0.5


class Echoes:
    """Tells a signal that was sent twice from one that somebody sent again.

    Attributes:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember no signal yet."""
        self.clock = clock
        self._counted: dict[int, float] = {}

    def is_echo(self, number: int) -> bool:
        """Return whether the signal ``number`` that has just come is one that was counted within ECHO_SECONDS."""
        now = self.clock()
        counted = self._counted.get(number)
        if counted is not None and now - counted < ECHO_SECONDS:
            return True
        self._counted[number] = now
        return False
