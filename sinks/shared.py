"""What the steps of a process write to together: opened by the first of them, closed when the last has given it back.

Beam's own ``Shared`` lets go of an object whenever nobody refers to it, and closes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Shared(Generic[_Key, _Value]):
    """One value a key, for as long as somebody has it; of each process its own, so that it may be a global.

    Args:
        make: opens the value of a key.
        close: closes a value; called once everybody has given it back.
        has_failed: tells whether a value is of no more use, so that who borrows next gets another one.
    """

    def __init__(
        self,
        make: Callable[[_Key], _Value],
        close: Callable[[_Value], None],
        has_failed: Callable[[_Value], bool] = lambda _: False,
    ) -> None:
        """Open nothing yet."""
        self._make, self._close, self._has_failed = make, close, has_failed
        self._lock = threading.Lock()
        self._lent: dict[_Key, tuple[_Value, int]] = {}

    def borrow(self, key: _Key) -> _Value:
        """Return the value of a key, open; to be given back as often. What ``make`` raises is passed on."""
        with self._lock:
            known = self._lent.get(key)
            value, times = (self._make(key), 0) if known is None or self._has_failed(known[0]) else known
            self._lent[key] = value, times + 1
            return value

    def give_back(self, key: _Key, value: _Value) -> None:
        """Close the value, once everybody has given it back; one that had failed, each time."""
        with self._lock:
            known, times = self._lent.get(key, (None, 0))
            if known is value:
                if times > 1:
                    self._lent[key] = value, times - 1
                    return
                del self._lent[key]
        self._close(value)
