"""What is read of topics of Kafka, and how."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from schemas.record_type import RecordType
from sources.kafka.client import Brokers
from sources.kafka.messages import Decode
from sources.kafka.monitor import Start
from sources.kafka.partitions import PartitionId
from sources.source import BlockSource

#: What ``start`` may be, besides a time.
COMMITTED = "committed"
STARTS = ("earliest", "latest", COMMITTED)
#: What to do about an offset that is not there any more.
ON_MISSING_OFFSET = ("fail", "earliest")
#: Into how many parts topics are split at most, where nothing is said of it.
DEFAULT_READERS = 4


@dataclass(frozen=True)
class KafkaSettings(BlockSource):
    """What all readers of some topics have in common, and which part of them each one reads.

    Attributes:
        brokers: where they are, and how to get in.
        topics: at least one.
        record_type: tells where the event time of a record is. Where records may have none, the time of the message,
            to the second, takes its place.
        disorder_micros: by how much records of one partition may be out of order.
        start: where to begin: ``earliest``, ``latest``, ``committed`` (by ``group``; the earliest where that has
            committed nothing), or with the first message that is as late as a time in microseconds.
        idle_partition_seconds: a partition without messages for so long no longer holds the watermark.
        idle_timeout_seconds: end after so long without messages; None never does.
        on_missing_offset: ``fail``, or go on with the ``earliest``.
        max_records: end after so many records; None never does.
        group: for whom offsets are committed; an empty text for nobody.
        commits: whether they are; without that, the group only tells where to begin.
        max_readers: the most parts to split into.
        max_block_bytes: the most that one block holds (one message may be longer).
        sniff: finds the dialect of delimited records from one; without it, fields are separated as the type says.
        decode: makes lines of values; None where they are lines.
        clock: seconds that go on evenly.
        wall_clock: microseconds of UTC; ``arrivals`` likewise, and they never jump.
        reader: the number of this part.
        readers: how many parts there are.
        pinned: where the partitions begin that were there when it was split; None before that.
        token: names the source, whichever part of it is read.
    """

    brokers: Brokers
    topics: tuple[str, ...]
    record_type: RecordType
    start: Start = "earliest"
    idle_partition_seconds: float = 10.0
    on_missing_offset: str = "fail"
    group: str = ""
    commits: bool = True
    max_readers: int = DEFAULT_READERS
    max_block_bytes: int = field(default=4 << 20, kw_only=True)
    decode: Decode | None = None
    reader: int = 0
    readers: int = 1
    pinned: tuple[tuple[PartitionId, int], ...] | None = None
    token: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one cannot be; the message shows it.
        """
        if not self.topics:
            raise ValueError(f"expected {self.brokers.address}/topic, got no topic")
        if len(set(self.topics)) < len(self.topics):
            raise ValueError(f"expected each topic once, got {','.join(self.topics)}")
        super().__post_init__()
        self.check_positive("idle_partition_seconds", "max_readers")
        if not isinstance(self.start, int) and self.start not in STARTS:
            raise ValueError(f"start must be one of {', '.join(STARTS)}, or microseconds, got {self.start!r}")
        if self.on_missing_offset not in ON_MISSING_OFFSET:
            raise ValueError(f"on_missing_offset must be fail or earliest, got {self.on_missing_offset!r}")
        if self.start == COMMITTED and not self.group:
            raise ValueError("start committed needs a group: there are no offsets without one")
