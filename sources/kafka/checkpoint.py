"""Where a reader of Kafka stood: its checkpoint mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apache_beam.io.unbounded_source import CheckpointMark

from sources.kafka.partitions import PartitionId
from sources.reader import MarkCoder

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
        """Return the broker, for those who look at the lag of a group. Best effort: no reader depends on it."""
        if self.commit is not None and self.offsets:
            self.commit(self.offsets)


def _to_list(mark: KafkaMark) -> list[Any]:
    offsets = sorted((*place, offset) for place, offset in mark.offsets.items())
    return [mark.token, offsets, mark.records, mark.watermark, mark.has_begun]


def _make_mark(token: str, offsets: list[list[Any]], *others: Any) -> KafkaMark:
    return KafkaMark(token, {PartitionId(topic, number): offset for topic, number, offset in offsets}, *others)


#: Codes a :class:`KafkaMark`.
KAFKA_MARK_CODER = MarkCoder(_make_mark, _to_list)
