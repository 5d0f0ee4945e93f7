"""The drain: one switch for the whole process, set by Ctrl-C, that asks every reader to finish what it has and end.

A drained reader stops receiving, hands out the whole records that wait already, and reports the end of its stream, so
that open windows are flushed; cancelling a job drops them. It reaches the readers of this process, and those of others
that watch the same file.
"""

from __future__ import annotations

import os
import threading
import time

#: Set once somebody has asked for a drain.
DRAIN = threading.Event()
#: How often it is looked whether a file is there.
_LOOK_SECONDS = 0.2
#: The files that this process watches: a worker has them from the one job that it works for.
_watched: set[str] = set()
_watching = threading.Lock()


def drain() -> None:
    """Ask every reader in this process to end; asking again changes nothing. Safe in a signal handler."""
    DRAIN.set()


def draining() -> bool:
    """Return whether a drain was asked for."""
    return DRAIN.is_set()


def reset() -> None:
    """Take the request back, for a process that runs another job afterwards."""
    DRAIN.clear()


def watch_file(path: str) -> None:
    """Drain once a file is there, as in a worker of a job whose program is another process; return at once."""
    with _watching:
        if path in _watched:
            return
        _watched.add(path)
    threading.Thread(target=_await_file, args=(path,), name="drain", daemon=True).start()


def _await_file(path: str) -> None:
    while not os.path.exists(path):  # noqa: PTH110 - a path of another machine may be none here
        time.sleep(_LOOK_SECONDS)
    drain()
