"""How long tests wait for what has to happen: longer than any busy machine takes; it costs nothing when all is well."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 300


def wait_for(is_so: Callable[[], object], tell: Callable[[], object] = str) -> None:
    """Wait until something is so; fail with what ``tell`` returns where it never is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.02)
