"""Trying again while something is away: pauses that double, one warning, and an end."""

from __future__ import annotations

import logging
import time

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
#: What passes sooner is not worth a word.
_TELL_AFTER_SECONDS = 1.0


class Patience:
    """How long something may be away, counted from now on.

    Args:
        name: what the warning calls it.
        seconds: for how long to try again.
    """

    def __init__(self, name: str, seconds: float) -> None:
        """Look at the clock."""
        self._name, self._seconds = name, seconds
        self._began, self._pause, self._is_told = time.monotonic(), _FIRST_PAUSE_SECONDS, False

    @property
    def elapsed_seconds(self) -> float:
        """How long it has been tried."""
        return time.monotonic() - self._began

    def wait(self, reason: str) -> bool:
        """Pause before the next try; return False, at once, where the time is over."""
        left = self._seconds - self.elapsed_seconds
        if left <= 0:
            return False
        if not self._is_told and self.elapsed_seconds >= _TELL_AFTER_SECONDS:
            self._is_told = True
            _log.warning("%s: %s; trying again for %.0f s", self._name, reason, left)
        time.sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        return True
