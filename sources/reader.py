"""What readers of blocks have in common: how Beam is told of the last block, and how one reader goes on from another.

A runner may begin the next bundle in another instance of the reading DoFn, whose cache of readers is another one,
before it has let go of the first. So what is open (files, connections, a consumer, a pace) is a :class:`Reading`, apart
from the reader that Beam sees. A reader that is made from a mark takes over the reading that gave the mark, if that is
open.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import UnboundedReader
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from schemas.elements.block import Block
from sources import progress as board

#: How often an input is asked what waits in it, for those who look on.
_LOOK_SECONDS = 1.0


class TimedBlock(NamedTuple):
    """A block that was taken, and the event time of its first record where that could be read."""

    block: Block
    micros: int | None


class Reading(ABC):
    """What is open of a source, and how far it was read.

    Attributes:
        token: names it, in marks.
        taken: the block of the last :meth:`advance` that was True.
        is_ended: whether nothing will come any more.
        owner: the reader that has it, which alone may close it.
    """

    token: str
    taken: TimedBlock | None = None
    is_ended: bool = False
    owner: BlockReader | None = None

    @property
    @abstractmethod
    def promised(self) -> int | None:
        """The watermark, in microseconds; None for none."""

    def open(self) -> None:  # noqa: B027 - files are open already
        """Begin to read, if that has not begun."""

    @abstractmethod
    def advance(self) -> bool:
        """Take the next block; return False where there is none now, or at the end. Never waits."""

    @abstractmethod
    def mark(self) -> Any:
        """Return the mark behind everything handed out so far."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open; may be called again."""

    def waiting(self) -> board.Waiting:
        """Return what is there and was not taken, as far as that is known without asking anybody."""
        return board.Waiting()

    def is_at(self, mark: Any) -> bool:
        """Return whether a reader may go on with this, behind the mark."""
        return bool(self.mark() == mark)


#: What is open in this process, by the token of its marks.
_OPEN: dict[str, Reading] = {}


class BlockReader(UnboundedReader):
    """Hands out the blocks of a reading, one at a time.

    ``start`` and ``advance`` are False where nothing is there now, or at the end, which the watermark MAX_TIMESTAMP
    tells. ``close`` may be called at any time and again; it does nothing where a later reader has the reading.
    """

    def __init__(self, reading: Reading) -> None:
        """Take the reading over."""
        self.reading = reading
        self._look_due = 0.0
        reading.owner = self
        _OPEN[reading.token] = reading

    def start(self) -> bool:
        """Begin to read, and take the first block."""
        self.reading.open()
        return self.advance()

    def advance(self) -> bool:
        """Take the next block."""
        has_block = not self.reading.is_ended and self.reading.advance()
        if self.reading.is_ended:
            board.close_input(self.reading.token)
        else:
            now = time.monotonic()
            is_due = now >= self._look_due
            board.ask_input(self.reading.token, self.reading.waiting() if is_due else None)
            self._look_due = now + _LOOK_SECONDS if is_due else self._look_due
        return has_block

    def get_current(self) -> Block:
        """Return the block of the last call that was True."""
        return self._known().block

    def get_current_timestamp(self) -> Timestamp:
        """Return the event time of the block's first record, or else the watermark, or else now."""
        micros = self._known().micros
        if micros is None:
            micros = self.reading.promised
        return Timestamp.now() if micros is None else Timestamp(micros=micros)

    def get_watermark(self) -> Timestamp:
        """Return the watermark, MAX_TIMESTAMP at the end."""
        if self.reading.is_ended:
            return MAX_TIMESTAMP
        promised = self.reading.promised
        return MIN_TIMESTAMP if promised is None else Timestamp(micros=promised)

    def get_checkpoint_mark(self) -> Any:
        """Return the mark behind everything handed out so far."""
        return self.reading.mark()

    def close(self) -> None:
        """Close the reading, unless a later reader goes on with it."""
        if self.reading.owner is not self:
            return
        self.reading.close()
        board.close_input(self.reading.token)
        if _OPEN.get(self.reading.token) is self.reading:
            del _OPEN[self.reading.token]

    def _known(self) -> TimedBlock:
        if self.reading.taken is None:
            raise ValueError("no block: start or advance has to have been True")
        return self.reading.taken


def resume(mark: Any, begin: Callable[[Any], Reading]) -> BlockReader:
    """Return a reader behind a mark: with the open reading that gave the mark, or else with one that ``begin`` makes.

    Args:
        mark: None for the beginning.
        begin: takes the mark.
    """
    reading = None if mark is None else _OPEN.get(mark.token)
    if reading is None or not reading.is_at(mark):
        reading = begin(mark)
    return BlockReader(reading)


class MarkCoder(Coder):
    """Codes marks as JSON lists, the same bytes for equal marks: Beam finds a parked reader by them.

    Args:
        make: makes a mark of what a list has.
        to_list: makes the list, of a mark that is no tuple.
    """

    def __init__(self, make: Callable[..., Any], to_list: Callable[[Any], list[Any]] = list) -> None:
        self._make, self._to_list = make, to_list

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a mark."""
        return json.dumps(self._to_list(value)).encode()

    def decode(self, encoded: bytes) -> Any:
        """Return the mark of the bytes."""
        return self._make(*json.loads(encoded))

    def is_deterministic(self) -> bool:
        """Return True."""
        return True
