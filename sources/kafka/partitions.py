"""Partitions of Kafka: which reader has which, what was taken of each, and the watermark that they allow together.

Pure: times are given to it, nothing is asked for and nothing is locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

#: A partition of which nothing is known yet begins with its earliest message.
EARLIEST = -2


class PartitionId(NamedTuple):
    """A partition by its topic and its number."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """Return what origins of records show."""
        return f"{self.topic}[{self.partition}]"


def reader_of(topic: int, partition: int, readers: int) -> int:
    """Return which of the readers has a partition, by the places of its topic and its own.

    Topics begin with different readers, so that several with one partition each are spread, too. A partition that is
    added moves none of the others.

    >>> [reader_of(0, partition, 2) for partition in range(4)]
    [0, 1, 0, 1]
    """
    return (topic + partition) % readers


@dataclass(eq=False)
class Partition:
    """What a reader knows of one of its partitions.

    Attributes:
        place: which it is.
        offset: that of the next message to hand out; EARLIEST until it is known.
        heard: when something of it came last, or it was first listened to.
        is_caught_up: whether everything that it had was handed out when it was last looked at.
        promised: the greatest event time taken from it, in microseconds; None before the first.
    """

    place: PartitionId
    offset: int
    heard: float
    is_caught_up: bool = False
    promised: int | None = None


class Standing(NamedTuple):
    """The partitions of one reader, and until when its broker is known to have had nothing more for them."""

    partitions: tuple[Partition, ...]
    listened: float


class PartitionWatermark:
    """The event time that a reader of partitions may promise.

    It is the least event time reached by those of its partitions that count, less ``disorder_micros``, and never goes
    back. A partition counts until all that it had was handed out, and ``idle_seconds`` longer: time in which nobody
    looked, or its broker was away, is not idle. Before the first message of one that counts, nothing is promised.

    Where none counts, the reader goes along with its siblings, the other readers of the same source: with the least
    of their partitions that count; where none of theirs does either, with the greatest event time taken from any. So a
    partition that is idle never holds the others, and what comes in one after it was idle may be late.

    >>> watermark = PartitionWatermark(idle_seconds=10.0, disorder_micros=5)
    >>> partition = Partition(PartitionId("sales", 0), offset=7, heard=0.0, promised=100)
    >>> watermark.move(Standing((partition,), listened=0.0), [])
    95
    """

    def __init__(self, idle_seconds: float, disorder_micros: int = 0, value: int | None = None) -> None:
        """Start at ``value``, where an earlier reader had promised that; None has promised nothing."""
        self.value = value
        self._idle_seconds = idle_seconds
        self._disorder_micros = disorder_micros

    def move(self, own: Standing, siblings: Iterable[Standing], otherwise: int | None = None) -> int | None:
        """Move on as far as the partitions allow, and return the value.

        Args:
            own: the reader's partitions.
            siblings: those of the other readers.
            otherwise: the event time to take where no partition counts, in place of the greatest that was taken.
        """
        counting = self._counting(own)
        known = list(own.partitions)
        if not counting:
            others = list(siblings)
            counting = [partition for standing in others for partition in self._counting(standing)]
            known += [partition for standing in others for partition in standing.partitions]
        promises = [partition.promised for partition in counting]
        reached: int | None = None
        if not promises:
            taken = [partition.promised for partition in known if partition.promised is not None]
            reached = max(taken, default=None) if otherwise is None else otherwise
        elif None not in promises:
            reached = min(promise for promise in promises if promise is not None)
        if reached is not None:
            reached -= self._disorder_micros
            self.value = reached if self.value is None else max(self.value, reached)
        return self.value

    def _counting(self, standing: Standing) -> list[Partition]:
        return [
            partition
            for partition in standing.partitions
            if not (partition.is_caught_up and standing.listened - partition.heard >= self._idle_seconds)
        ]
