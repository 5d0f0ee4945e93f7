"""Where a reader of Kafka stood: its checkpoint mark."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import CheckpointMark

from sources.kafka.partitions import PartitionId

#: Tells the broker what a group of consumers is done with.
Commit = Callable[[Mapping[PartitionId, int]], None]


@dataclass(frozen=True)
class KafkaMark(CheckpointMark):
    """Where a reader stood.

    Attributes:
        token: names the reader, and those that were resumed from it.
        offsets: of each partition, the offset of the next message; one of which nothing is known yet is not there.
        records: how many it had handed out.
        watermark: what it had promised, in microseconds, None for nothing.
        has_begun: whether it had found the partitions to begin with; those that are new after that are read from their
            earliest message.
        commit: commits the offsets; it is not encoded.
    """

    token: str
    offsets: Mapping[PartitionId, int] = field(default_factory=dict)
    records: int = 0
    watermark: int | None = None
    has_begun: bool = False
    commit: Commit | None = field(default=None, compare=False, repr=False)

    def finalize_checkpoint(self) -> None:
        """Tells the broker, for those who look at the lag of a group. Best effort: no reader depends on it."""
        if self.commit is not None and self.offsets:
            self.commit(self.offsets)


class KafkaMarkCoder(Coder):
    """Codes a :class:`KafkaMark` as JSON, the same bytes for equal marks."""

    def encode(self, value: KafkaMark) -> bytes:
        """Gives the bytes of a mark."""
        offsets = sorted((*place, offset) for place, offset in value.offsets.items())
        return json.dumps([value.token, offsets, value.records, value.watermark, value.has_begun]).encode()

    def decode(self, encoded: bytes) -> KafkaMark:
        """Gives the mark of the bytes."""
        token, offsets, records, watermark, has_begun = json.loads(encoded)
        places = {PartitionId(topic, partition): offset for topic, partition, offset in offsets}
        return KafkaMark(token, places, records, watermark, has_begun)

    def is_deterministic(self) -> bool:
        """Equal marks have equal bytes: Beam finds a parked reader by them."""
        return True
