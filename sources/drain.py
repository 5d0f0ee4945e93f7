"""The drain: one switch for the whole process, set by Ctrl-C, that asks every reader to finish what it has and end.

A drained reader stops receiving, hands out the whole records that wait already, and reports the end of its stream, so
that open windows are flushed; cancelling a job drops them. It reaches the readers of this process only.
"""

from __future__ import annotations

import threading

#: Set once somebody has asked for a drain.
DRAIN = threading.Event()


def drain() -> None:
    """Ask every reader in this process to end; asking again changes nothing. Safe in a signal handler."""
    DRAIN.set()


def draining() -> bool:
    """Return whether a drain was asked for."""
    return DRAIN.is_set()


def reset() -> None:
    """Take the request back, for a process that runs another job afterwards."""
    DRAIN.clear()
