"""What the sources and transforms of this process have done so far, for those who look on; the real counts are metrics.

Workers elsewhere have boards of their own, that nobody sees, and a cluster may tell of them by :func:`set_counts`:
nothing but the progress line and ``--metrics-port`` may depend on this one. For failures that show at the end of the
input, :func:`fail` tells whether somebody looks.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.record_type import Rejected

#: Of the records that were rejected, the first ones are shown.
MAX_REJECTED = 3
#: Notes that nobody has taken yet: so many of the latest.
_MAX_NOTES = 1_000


#: What happened: something was read, an input was asked for records, and a cluster said that it runs the job.
MOVED, ASKED, RUNS = "moved", "asked", "runs"
#: The counts that tell that something was read.
_READING = ("read", "bytes")


class Waiting(NamedTuple):
    """What an input has for us that was not read yet, as far as it knows.

    Attributes:
        bytes: of files that grow, and of what was received.
        messages: of topics, by topic and partition.
    """

    bytes: int = 0
    messages: Mapping[tuple[str, int], int] = {}


#: Globals, as the progress line of a process shows all of it; workers elsewhere have their own, which nobody looks at.
_lock = threading.Lock()
_counts: Counter[str] = Counter()
_watermark: list[int] = []
_notes: deque[str] = deque(maxlen=_MAX_NOTES)
_failures: list[str] = []
_rejected: list[Rejected] = []
_head: list[bytes] = []
_watched = threading.Event()
_moments: dict[str, float] = {}
#: What waits in each input that is open.
_inputs: dict[object, Waiting] = {}
_state: list[str] = []
_total_bytes: list[int] = []


def add(name: str, amount: int) -> None:
    """Add to a count, e.g. ``read`` or ``bytes``."""
    with _lock:
        _counts[name] += amount
        if name in _READING:
            _moments[MOVED] = time.monotonic()


def counts() -> Counter[str]:
    """Return a copy of the counts."""
    with _lock:
        return Counter(_counts)


def set_counts(known: Mapping[str, int]) -> None:
    """Take the counts of workers elsewhere, which this process is told of."""
    with _lock:
        more = {name: max(0, number - _counts[name]) for name, number in known.items()}
        _counts.update(more)
        if any(more.values()):
            _moments[MOVED] = time.monotonic()


def set_moment(name: str) -> None:
    """Note that something happens now."""
    _moments[name] = time.monotonic()


def moment(name: str) -> float | None:
    """Return when something happened last, by the monotonic clock; None for never."""
    return _moments.get(name)


def ask_input(key: object, waiting: Waiting | None) -> None:
    """Note that an input is asked for records, and what waits in it, if that was looked at; to be called often."""
    _moments[ASKED] = time.monotonic()
    if waiting is not None:
        _inputs[key] = waiting


def close_input(key: object) -> None:
    """Forget an input that was read to its end, or closed."""
    _inputs.pop(key, None)


def inputs() -> list[Waiting]:
    """Return what waits in each input that is open."""
    return list(_inputs.values())


def set_state(state: str) -> None:
    """Note what the run is at."""
    _state[:] = [state]


def state() -> str:
    """Return what the run is at; empty where nobody has told."""
    return _state[0] if _state else ""


def expect(total_bytes: int | None) -> None:
    """Note how many bytes there are to read, None where nobody knows."""
    _total_bytes[:] = [] if total_bytes is None else [total_bytes]


def total_bytes() -> int | None:
    """Return how many bytes there are to read, None where nobody knows."""
    return _total_bytes[0] if _total_bytes else None


def set_watermark(micros: int) -> None:
    """Note how far the blocks have come in event time."""
    _watermark[:] = [micros]


def watermark() -> int | None:
    """Return how far the blocks have come, or None where that is not known."""
    return _watermark[0] if _watermark else None


def note(text: str) -> None:
    """Leave a line for a person."""
    _notes.append(text)


def take_notes() -> list[str]:
    """Return the lines that were left since the last time."""
    return [_notes.popleft() for _ in range(len(_notes))]


def show_rejected(records: Sequence[Rejected], head: bytes) -> None:
    """Keep the first records that were rejected, and the first bytes of the block that the first one was in."""
    if len(_rejected) >= MAX_REJECTED or not records:
        return
    with _lock:
        if not _rejected:
            _head[:] = [head]
        _rejected.extend(records[: MAX_REJECTED - len(_rejected)])


def first_rejected() -> list[Rejected]:
    """Return the first records that were rejected in this process, MAX_REJECTED at most."""
    return list(_rejected)


def rejected_head() -> bytes:
    """Return the first bytes of the block that the first rejected record was in; empty where there is none."""
    return _head[0] if _head else b""


def watch() -> None:
    """Say that somebody looks at the failures after the run."""
    _watched.set()


def fail(text: str) -> bool:
    """Note why the run has failed although it goes on to its end; False if nobody would look, and it has to be raised.

    So an input that turns out to be broken at its end fails the run, and what it gave before that is written all the
    same.
    """
    if _watched.is_set():
        _failures.append(text)
    return _watched.is_set()


def failures() -> list[str]:
    """Return what was noted by :func:`fail`."""
    return list(_failures)


def reset() -> None:
    """Forget everything, before a run."""
    with _lock:
        _counts.clear()
        _watermark.clear()
        _rejected.clear()
        _head.clear()
        _moments.clear()
        _inputs.clear()
        _state.clear()
        _total_bytes.clear()
    _notes.clear()
    _failures.clear()
    _watched.clear()
