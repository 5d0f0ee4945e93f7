"""Reading for views: once for all browsers that ask for the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from pages.views import Watched, view_of

#: What was read is good for so long, and no more than so many different ones are kept.
_FRESH_SECONDS, _MOST = 0.25, 100


class Reader:
    """Keeps what views have read for a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[object, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def read(self, name: str, watched: Watched, query: Mapping[str, str]) -> Any:
        """Return what a view has read, or ``{"error": line}`` where it cannot."""
        key = name, tuple(sorted(query.items()))
        with self._lock:  # one at a time: whoever waits gets what was read meanwhile
            kept = self._kept.get(key)
            if kept is not None and self._clock() < kept[0] + _FRESH_SECONDS:
                return kept[1]
            try:
                found = view_of(name).read(watched, query) if watched.database.is_there else None
            except DBAPIError as error:
                found = {"error": str(error.orig).partition("\n")[0]}
            while len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._clock(), found
            return found
