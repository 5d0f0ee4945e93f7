"""What a stateful step keeps: frames that are merged as they come, and when it gives the next early result.

Beam wants each state and timer to be a name of the step's own class. So they stand there, and are handed over here.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl
from apache_beam.utils.timestamp import Timestamp

from schemas.times import MICROS_PER_SECOND

#: Gives seconds of real time.
Clock = Callable[[], float]
_MICROS_PER_MILLI = 1_000


def not_before(micros: int) -> Timestamp:
    """Return the time to set a timer for; runners cut it off to milliseconds, so that it might come too early."""
    return Timestamp(micros=-(-micros // _MICROS_PER_MILLI) * _MICROS_PER_MILLI)


class Base(NamedTuple):
    """What is known of the frame that was written last, without looking at it.

    Attributes:
        version: how often one was written; 0 for never.
        bytes: how big it is.
    """

    version: int = 0
    bytes: int = 0


class _Merged(NamedTuple):
    """A frame, and of what it was merged: the whole of that version and so many parts."""

    version: int
    parts: int
    frame: pl.DataFrame


class CompactedState:
    """Frames in state: a whole, and the parts that came since it was written.

    The whole is written anew when the parts are as big: so each row is written some few times in all. A worker that
    remembers what it has merged reads new parts only; the state has it all, for any other worker. A step adds to its
    parts, and leaves all else to this, or else what is remembered is not what there is.
    """

    def __init__(self, merge: Callable[[Sequence[pl.DataFrame]], pl.DataFrame], remembered: int = 256) -> None:
        """Take what makes one frame of several, and for how many keys a worker remembers that."""
        self._merge = merge
        self._most = remembered
        self._remembered: OrderedDict[Hashable, _Merged] = OrderedDict()

    def gather(self, whole: Any, parts: Any, known: Base, key: Hashable = None) -> tuple[pl.DataFrame, int]:
        """Merge all there is of a key; give that, without a column if it is nothing, and the bytes of the parts."""
        new = list(parts.read())
        merged = self._remembered.get(key)
        if merged is not None and merged.version == known.version and merged.parts <= len(new):
            frames = [merged.frame, *new[merged.parts :]]
        else:
            frames = [*([whole.read()] if known.version else []), *new]
        if not frames:
            return pl.DataFrame(), 0
        frame = self._merge(frames) if len(frames) > 1 else frames[0]
        self._remember(key, _Merged(known.version, len(new), frame))
        return frame, sum(int(part.estimated_size()) for part in new)

    def keep(self, whole: Any, parts: Any, known: Base, key: Hashable = None) -> tuple[pl.DataFrame, Base]:
        """Gather, and write that if the parts are as big as the whole."""
        frame, new_bytes = self.gather(whole, parts, known, key)
        if new_bytes and new_bytes >= known.bytes:
            known = self.write(frame, whole, parts, known, key)
        return frame, known

    def write(self, frame: pl.DataFrame, whole: Any, parts: Any, known: Base, key: Hashable = None) -> Base:
        """Write a frame in the place of all that was, and give what is to be known of it."""
        whole.write(frame)
        parts.clear()
        self._remember(key, _Merged(known.version + 1, 0, frame))
        return Base(known.version + 1, int(frame.estimated_size()))

    def forget(self, key: Hashable = None) -> None:
        """Forget what was merged of a key whose states are cleared."""
        self._remembered.pop(key, None)

    def _remember(self, key: Hashable, merged: _Merged) -> None:
        self._remembered[key] = merged
        self._remembered.move_to_end(key)
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)


class EarlyPane(NamedTuple):
    """How far a key is with its early results, in microseconds of real time.

    Attributes:
        pane: the number of the next one.
        given: when the last one was due.
        due: when the next one is; None if nothing has come since the last.
    """

    pane: int = 0
    given: int = 0
    due: int | None = None


@dataclass(frozen=True)
class EmitSchedule:
    """How often early results are given, while something comes.

    A timer asks for the next one. The timer of a key that is always busy may have to wait for long (Prism), so that
    whatever comes asks, too: the one that is first gets it.

    Attributes:
        every_micros: how long after each other, in real time; 0 for never.
        clock: gives seconds of real time.
        at_once: whether what comes after a pause is given at once, and not ``every_micros`` later.
    """

    every_micros: int
    clock: Clock = time.time
    at_once: bool = False

    def ask(self, early: EarlyPane, timer: Any) -> tuple[EarlyPane, bool]:
        """Tell, when something has come, whether a result is due; set the timer for one if none is awaited."""
        if not self.every_micros:
            return early, False
        now = self._now()
        if early.due is not None:
            return early, early.due <= now
        due = max(now, early.given + self.every_micros) if self.at_once else now + self.every_micros
        timer.set(Timestamp(micros=due))
        return early._replace(due=due), False

    def given(self, early: EarlyPane) -> EarlyPane:
        """Return what is to be known when the result is given that was awaited; its pane is ``early.pane``."""
        return EarlyPane(early.pane + 1, max(early.due or 0, self._now() - self.every_micros))

    def _now(self) -> int:
        return int(self.clock() * MICROS_PER_SECOND)
