"""What readers of blocks have in common: how Beam is told of the last block, and of what may still come."""

from __future__ import annotations

from typing import NamedTuple

from apache_beam.io.unbounded_source import UnboundedReader
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from schemas.elements.block import Block


class BlockReader(UnboundedReader):
    """Hands out one block at a time. A subclass takes them, and has the three properties."""

    @property
    def taken(self) -> TimedBlock | None:
        """What the last call of ``start`` or ``advance`` that was True has taken."""
        raise NotImplementedError

    @property
    def promised(self) -> int | None:
        """The watermark, in microseconds; None for none."""
        raise NotImplementedError

    @property
    def is_ended(self) -> bool:
        """Whether nothing will come any more."""
        raise NotImplementedError

    def get_current(self) -> Block:
        """Gives the block of the last call that was True."""
        return self._known().block

    def get_current_timestamp(self) -> Timestamp:
        """Gives the event time of the block's first record, or the watermark, or now."""
        micros = self._known().micros
        if micros is None:
            micros = self.promised
        return Timestamp.now() if micros is None else Timestamp(micros=micros)

    def get_watermark(self) -> Timestamp:
        """Gives the promise, MAX_TIMESTAMP at the end."""
        if self.is_ended:
            return MAX_TIMESTAMP
        return MIN_TIMESTAMP if self.promised is None else Timestamp(micros=self.promised)

    def _known(self) -> TimedBlock:
        if self.taken is None:
            raise ValueError("no block: start or advance has to have been True")
        return self.taken


class TimedBlock(NamedTuple):
    """A block that was taken, and the event time of its first record where that could be read."""

    block: Block
    micros: int | None
