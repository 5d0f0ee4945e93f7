"""What the sources and transforms of this process have done so far, for a progress line; the real counts are metrics.

Workers elsewhere have boards of their own, that nobody sees: nothing but the progress line may depend on this one.
"""

from __future__ import annotations

import threading
from collections import Counter

_lock = threading.Lock()
_counts: Counter[str] = Counter()
_watermark: list[int] = []


def add(name: str, amount: int) -> None:
    """Adds to a count, e.g. ``read`` or ``bytes``."""
    with _lock:
        _counts[name] += amount


def counts() -> Counter[str]:
    """Gives a copy of the counts."""
    with _lock:
        return Counter(_counts)


def set_watermark(micros: int) -> None:
    """Notes how far the blocks have come in event time."""
    _watermark[:] = [micros]


def watermark() -> int | None:
    """Gives how far the blocks have come, or None where that is not known."""
    return _watermark[0] if _watermark else None


def reset() -> None:
    """Forgets everything, before a run."""
    with _lock:
        _counts.clear()
        _watermark.clear()
