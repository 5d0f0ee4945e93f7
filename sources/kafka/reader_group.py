"""The readers of one source of Kafka that are open in this process: they share a scout, and how far others are."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sources import progress as board
from sources.kafka.client import Brokers
from sources.kafka.monitor import LAST_COMMIT_SECONDS, LOOK_SECONDS, ClusterMonitor
from sources.kafka.partitions import PartitionId, Standing

#: Readers of the same source begin at about the same time: one that has not come by then is in another process.
ELSEWHERE_SECONDS = 30.0
#: A partition is found to be idle by a look at the topics, of which there are so many in that time.
_LOOKS_PER_IDLE_TIME = 5
_SHORTEST_LOOK_SECONDS = 0.2
#: How long the end of a scout is waited for; one whose broker is away ends by itself.
_LEAVE_SECONDS = 1.0


class Source(Protocol):
    """What siblings have in common."""

    @property
    def token(self) -> str:
        """Names the source, whichever part of it is read."""

    @property
    def brokers(self) -> Brokers:
        """Who is asked."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What is read."""

    @property
    def group(self) -> str:
        """For whom offsets are committed."""

    @property
    def idle_partition_seconds(self) -> float:
        """How long a partition is waited for."""

    @property
    def readers(self) -> int:
        """In how many parts it is read."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds that go on evenly."""


@dataclass(eq=False)
class ReaderGroup:
    """The readers of one source in this process.

    Attributes:
        scout: asks the broker for all of them.
        opened: when the first of them began.
        heard: when one of them last had a message.
        standings: how far each is, by its token.
        seen: the numbers of those that have ever been here.
        tombstones: how many messages without a value were passed over, of each topic.
    """

    scout: ClusterMonitor
    opened: float
    heard: float
    standings: dict[str, Standing] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    tombstones: Counter[str] = field(default_factory=Counter)
    users: int = 0

    def others(self, token: str) -> list[Standing]:
        """Return how far the readers but one are."""
        return [standing for other, standing in list(self.standings.items()) if other != token]

    def are_elsewhere(self, readers: int, now: float) -> bool:
        """Return whether some of so many readers are in another process."""
        return len(self.seen) < readers and now - self.opened >= ELSEWHERE_SECONDS

    def pass_over(self, topic: str, count: int) -> None:
        """Count messages without a value; the first ones are told of at once, the others at the end."""
        if not self.tombstones[topic]:
            board.note(f"messages of {topic} without a value (tombstones) are passed over")
        self.tombstones[topic] += count
        board.add("tombstones", count)


#: The readers of this process by the token of their source; who reads in another process has a group there, and what is
#: known of that one comes from the broker.
_SIBLINGS: dict[str, ReaderGroup] = {}
_LOCK = threading.Lock()


def join(source: Source) -> ReaderGroup:
    """Return the siblings of a source, and start their scout if they are the first; :func:`leave` has to follow."""
    with _LOCK:
        siblings = _SIBLINGS.get(source.token)
        if siblings is None:
            often = source.idle_partition_seconds / _LOOKS_PER_IDLE_TIME
            look_seconds = max(_SHORTEST_LOOK_SECONDS, min(often, LOOK_SECONDS))
            scout = ClusterMonitor(source.brokers, source.topics, source.group, source.clock, look_seconds)
            now = source.clock()
            siblings = _SIBLINGS[source.token] = ReaderGroup(scout, now, now)
            scout.start()
        siblings.users += 1
        return siblings


def leave(source: Source, siblings: ReaderGroup, patience: float = _LEAVE_SECONDS) -> None:
    """Let go of the siblings; the last one ends the scout, and waits for that for so many seconds."""
    with _LOCK:
        siblings.users -= 1
        if siblings.users:
            return
        del _SIBLINGS[source.token]
    siblings.scout.stop()
    siblings.scout.join(patience)
    for topic, count in siblings.tombstones.items():
        board.note(f"passed over {count:,} messages of {topic} without a value (tombstones)")


def commit(source: Source, offsets: Mapping[PartitionId, int]) -> None:
    """Commit offsets for the group of a source; where none of its readers is open any more, this waits for it."""
    siblings = join(source)
    try:
        siblings.scout.commit(offsets)
    finally:
        leave(source, siblings, LAST_COMMIT_SECONDS)
