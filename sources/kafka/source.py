"""Kafka as a source: topics, read by partition, in blocks of messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from schemas.record_type import RecordType
from sources import progress as board
from sources.address import Address
from sources.kafka.checkpoint import KAFKA_MARK_CODER, KafkaMark
from sources.kafka.client import BrokerError, Brokers, explain
from sources.kafka.consumer import PartitionConsumer
from sources.kafka.messages import Decode
from sources.kafka.monitor import Start, consumer_config, count_partitions, find_starts
from sources.kafka.partitions import PartitionId
from sources.kafka.security import KafkaSecurity
from sources.kafka.settings import COMMITTED, DEFAULT_READERS, KafkaSettings
from sources.reader import MarkCoder


@dataclass(frozen=True)
class KafkaTopics(KafkaSettings):
    """Reads topics of Kafka, and emits their messages in blocks, one message a line.

    A block has messages of one topic. The origin of a record is ``topic[partition]@offset``. Messages without a value
    (tombstones) are passed over and counted; empty ones, and those with line breaks that cannot be mended, are rejected
    (see :class:`sources.kafka.messages.MessageCutter`). Only what was committed is read of transactions.

    It splits by partition, into at most ``max_readers`` parts; partitions that are added later go to the one whose turn
    it is (see :func:`sources.kafka.partitions.reader_of`), and are read from their earliest message. With
    ``max_records`` one reader reads all, and so it should be where a runner does not keep their watermarks apart (see
    :func:`sources.read.most_readers`). A topic that is not there yet is waited for, and so is a broker that goes
    away. A topic that is deleted while it is read ends everything with a :class:`sources.kafka.client.BrokerError`.

    A checkpoint mark has the offset of the next message of each partition, so that a reader made from it, in any
    process, gives exactly what follows. If that was deleted meanwhile, it fails and says so, or goes on with the
    earliest there is and counts what it missed. Offsets are committed for ``group`` when a mark is finalized, for those
    who look at its lag: nothing here depends on them, unless ``start`` is ``committed``.

    The watermark is that of :class:`sources.kafka.partitions.PartitionWatermark`. It knows no wall clock but in one
    case: a
    reader whose partitions are all idle, while others of the same source are in another process where it cannot see
    how far they are, promises the time of now less ``idle_partition_seconds``.

    The end comes after ``idle_timeout_seconds`` in which no reader in this process had a message, though the broker
    answered; after ``max_records``; or when a drain was asked for.

    The attributes are those of :class:`sources.kafka.settings.KafkaSettings`.
    """

    def check(self) -> None:
        """Connect once: to be called before a job is submitted. A topic that is not there yet is none of its concern.

        Raises:
            BrokerError: nobody answers, or they refuse.
            ValueError: an extra is missing.
        """
        self.brokers.check(self.topics, group=self.group if self.start == COMMITTED else "")

    def split(self, desired_num_splits: int, options: Any = None) -> list[KafkaTopics]:  # noqa: ARG002
        """Split by partition, and fix the start offsets; return the source itself if the broker does not answer."""
        if self.readers > 1:
            return [self]
        try:
            counts, pinned = self._look()
        except BrokerError as error:
            board.note(f"{error}; reading goes on with one reader")
            return [self]
        source = self if pinned is None else replace(self, pinned=tuple(sorted(pinned.items())))
        wanted = min(desired_num_splits, self.max_readers, sum(counts.values()))
        if self.max_records is not None or wanted <= 1:
            return [source]
        return [replace(source, reader=number, readers=wanted) for number in range(wanted)]

    def begin(self, mark: KafkaMark | None) -> PartitionConsumer:
        """Return a reading that has opened nothing yet, at the start or right behind the mark."""
        return PartitionConsumer(self, mark)

    def get_checkpoint_mark_coder(self) -> MarkCoder:
        """Return the coder of :class:`sources.kafka.checkpoint.KafkaMark`."""
        return KAFKA_MARK_CODER

    def _look(self) -> tuple[dict[str, int], dict[PartitionId, int] | None]:
        """Return the numbers of partitions, and the offsets to begin with, None for the earliest.

        Raises:
            BrokerError: the broker does not answer.
        """
        from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415 - an extra

        try:
            consumer = Consumer(consumer_config(self.brokers, self.group))
            try:
                counts = count_partitions(consumer, self.brokers, self.topics)
                if self.start == "earliest":
                    return counts, None
                places = [PartitionId(topic, number) for topic, count in counts.items() for number in range(count)]
                return counts, find_starts(consumer, places, self.start)
            finally:
                consumer.close()
        except KafkaException as error:
            raise BrokerError(f"no answer from {self.brokers.address}: {explain(error)}") from None


@dataclass(frozen=True)
class KafkaInput:
    """How ``kafka://`` addresses are read; the attributes are those of :class:`KafkaTopics`, and how to get in.

    Where ``max_readers`` is None, it depends on the runner: see :func:`sources.read.most_readers`.
    """

    security: KafkaSecurity = KafkaSecurity()
    start: Start = "earliest"
    idle_partition_seconds: float = 10.0
    on_missing_offset: str = "fail"
    group: str = ""
    max_readers: int | None = None
    decode: Decode | None = None

    def source(self, address: Address, record_type: RecordType, **options: Any) -> KafkaTopics:
        """Return the source of an address.

        Raises:
            ValueError: it names no topic.
        """
        return KafkaTopics(
            Brokers(address.host, self.security),
            address.topics,
            record_type,
            start=self.start,
            idle_partition_seconds=self.idle_partition_seconds,
            on_missing_offset=self.on_missing_offset,
            group=self.group,
            max_readers=DEFAULT_READERS if self.max_readers is None else self.max_readers,
            decode=self.decode,
            **options,
        )
