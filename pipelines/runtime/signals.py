"""Ctrl-C and SIGTERM: the first drains, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from sources.signals import Echoes

#: After Ctrl-C the exit status is 130, after SIGTERM 143: what a shell makes of a program that a signal has ended.
_SIGNALLED = 128
_PATIENCE = 2


class Signals:
    """Counts Ctrl-C and SIGTERM. The first may ask for a drain; any other ends what the main thread is at.

    A third one, should the main thread be stuck, ends the process. The echo of a signal is not counted. The handlers
    that were there before come back when the context ends. Only the main thread may set any, so in another one the
    signals are left to whoever has them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._echoes = Echoes(clock)
        self.count = 0
        self.status = _SIGNALLED
        self._is_end = False
        self.on_first: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._notice) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _notice(self, number: int, frame: Any) -> None:  # noqa: ARG002
        # No printing in here: the main thread may be in the middle of it.
        if self._echoes.is_echo(number):
            return
        self.count += 1
        self.status = _SIGNALLED + number
        if self.count > _PATIENCE:
            os._exit(self.status)
        if self.count == 1 and self.on_first is not None:
            self.on_first()
        else:
            self._is_end = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """End what the main thread is at, if that is due: what a handler raises is lost in the middle of a fork."""
        if self._is_end:
            raise KeyboardInterrupt
