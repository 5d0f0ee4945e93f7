"""One reading of partitions of Kafka: its consumer, what waits to be handed out, and how far it is."""

from __future__ import annotations

import math
import uuid
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.elements.block import NOTHING_IS_LATE, Block
from schemas.record_type import Dialect
from schemas.times import MICROS_PER_SECOND
from sources import progress as board
from sources.drain import draining
from sources.kafka import reader_group as siblings
from sources.kafka.checkpoint import KafkaMark
from sources.kafka.client import BrokerError, explain
from sources.kafka.messages import MessageCutter, Portion
from sources.kafka.monitor import Beginnings, consumer_config, find_beginnings, find_bounds
from sources.kafka.partitions import EARLIEST, Partition, PartitionId, PartitionWatermark, Standing, reader_of
from sources.kafka.settings import KafkaSettings
from sources.reader import Reading, TimedBlock
from sources.watermark import plausible_micros

if TYPE_CHECKING:
    from confluent_kafka import Consumer


#: The most messages that are taken at once: more gain nothing, fewer cost more each.
MAX_MESSAGES = 10_000
#: How much librdkafka fetches ahead, for one reader. It keeps the messages beside that, some 100 bytes each.
_AHEAD_KILOBYTES = 16 << 10
#: How long a broker that has nothing new may wait before it says so: the end of a partition is noticed as late.
_LONG_POLL_MILLISECONDS = 100


class _Missing(NamedTuple):
    """An offset that a broker does not have, and the bounds of what it has."""

    wanted: int
    bounds: Future[tuple[int, int]]


class PartitionConsumer(Reading):
    """What one reader reads, after the mark that it was made with, until it is closed.

    A later reader may take it over as it is, if it is at its mark.

    Attributes:
        token: names it, in marks.
        is_ended: whether nothing more will come.
        is_closed: whether it was closed.
        owner: the reader that has it, which alone may close it.
        watermark: what it promises.
    """

    def __init__(self, source: KafkaSettings, mark: KafkaMark | None) -> None:
        """Open nothing yet."""
        self.token = uuid.uuid4().hex if mark is None else mark.token
        self.is_closed = False
        self.watermark = PartitionWatermark(
            source.idle_partition_seconds, source.disorder_micros, mark and mark.watermark
        )
        self._source = source
        # A copy: a record type that has cached something pickles otherwise, and Beam looks readers up by that.
        self._record_type = replace(source.record_type)
        self._cut = MessageCutter(
            source.max_block_bytes,
            is_json=self._record_type.form.is_json,
            by_second=self._record_type.takes_arrival,
            decode=source.decode,
        )
        self._plain = Dialect(separator=self._record_type.separator)
        self._dialects: dict[str, Dialect] = {}
        self._siblings: siblings.ReaderGroup | None = None
        self._consumer: Consumer | None = None
        self._partitions: dict[PartitionId, Partition] = {}
        # Of partitions that are not assigned yet.
        self._resumed: dict[PartitionId, int] = dict(mark.offsets) if mark else {}
        self._records = mark.records if mark else 0
        self._has_begun = bool(mark and mark.has_begun)
        self._counts: dict[str, int] | None = None
        self._beginnings: Future[Beginnings] | None = None
        self._waiting: deque[Portion] = deque()
        self._tombstones: dict[PartitionId, int] = {}
        self._caught_up: dict[PartitionId, int] = {}
        self._missing: dict[PartitionId, _Missing] = {}
        self._listened = self._returned = -math.inf

    def open(self) -> None:
        """Begin to read, if it has not begun.

        Raises:
            BrokerError: the settings are of no use.
            ValueError: an extra is missing.
        """
        if self._consumer is not None:
            return
        from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415 - an extra

        config = consumer_config(self._source.brokers, self._source.group) | {
            "fetch.wait.max.ms": _LONG_POLL_MILLISECONDS,
            "fetch.error.backoff.ms": 100,
            # Its default, a second, would be waited whenever that much is there.
            "fetch.queue.backoff.ms": 10,
            "max.partition.fetch.bytes": 2 << 20,
            "queued.max.messages.kbytes": _AHEAD_KILOBYTES,
            "max.poll.interval.ms": 86_400_000,
            "error_cb": self._on_error,
        }
        try:
            self._consumer = Consumer(config)
        except KafkaException as error:
            raise BrokerError(f"cannot read {self._source.brokers.address}: {explain(error)}") from None
        self._siblings = siblings.join(self._source)
        self._siblings.seen.add(self._source.reader)
        self._assign(self._resumed, {})
        self._resumed = {}

    @property
    def promised(self) -> int | None:
        """See :class:`Reading`."""
        return self.watermark.value

    def is_at(self, mark: KafkaMark) -> bool:
        """Return whether it is at the mark, and has not ended."""
        return not self.is_ended and super().is_at(mark)

    def advance(self) -> bool:
        """Take the next block, if one is there; never waits.

        Raises:
            BrokerError: nothing more can be read; the message says why.
        """
        taken = self._next()
        if taken is not None:
            self.taken = taken
            board.add("bytes", len(taken.block.data))
        return taken is not None

    def _next(self) -> TimedBlock | None:
        """Take what comes next, if anything is there; never waits.

        Raises:
            BrokerError: nothing more can be read; the message says why.
        """
        assert self._siblings is not None  # noqa: S101 - opened before
        promised = self.watermark.value
        # Without its id nobody could tell a topic from one of that name that is made later.
        is_ready = bool(self._waiting) and self._topic_of(self._waiting[0]) in self._siblings.scout.ids
        if not is_ready:
            if self._siblings.scout.failure is not None:
                raise self._siblings.scout.failure
            limit = self._source.max_records
            if draining() or (limit is not None and self._records >= limit):
                self.is_ended = True
                return None
        if not self._waiting:
            self._mend()
            self._look()
            self._fetch(None if limit is None else limit - self._records)
        taken = None
        if self._waiting and self._topic_of(self._waiting[0]) in self._siblings.scout.ids:
            portion = self._waiting.popleft()
            self._records += portion.records
            taken = self._timed(portion, promised)
        if not self._waiting:
            self._settle()
        self._move()
        if taken is None and not self._waiting and self._is_idle():
            self.is_ended = True
        return taken

    def waiting(self) -> board.Waiting:
        """Return how many messages each partition has that were not handed out, by what the broker told last."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        lags: dict[tuple[str, int], int] = {}
        if self._consumer is not None:
            for place, partition in self._partitions.items():
                low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
                if high >= 0:  # something was fetched
                    lags[place] = max(0, high - max(low, partition.offset))
        return board.Waiting(messages=lags)

    def mark(self) -> KafkaMark:
        """Return where it is."""
        known = {place: found.offset for place, found in self._partitions.items() if found.offset != EARLIEST}
        return KafkaMark(
            self.token,
            self._resumed | known,
            self._records,
            self.watermark.value,
            self._has_begun,
            partial(siblings.commit, self._source) if self._source.group and self._source.commits else None,
        )

    def close(self) -> None:
        """Close the consumer and let go of the siblings; calling it again does nothing."""
        self.is_closed = True
        if self._siblings is not None:
            self._siblings.standings.pop(self.token, None)
            siblings.leave(self._source, self._siblings)
            self._siblings = None
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _on_error(self, error: Any) -> None:
        """Have the scout look what is wrong: it tells of it, once for all readers."""
        if self._siblings is not None and error.code() == error._ALL_BROKERS_DOWN:
            self._siblings.scout.look_soon()

    def _assign(self, offsets: dict[PartitionId, int], earliest: dict[PartitionId, int]) -> None:
        """Begin to read partitions; ``earliest`` tells where those begin of which the offset is EARLIEST."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        assert self._consumer is not None  # noqa: S101
        now = self._source.clock()
        self._partitions |= {place: Partition(place, offset, now) for place, offset in offsets.items()}
        if offsets:
            places = [TopicPartition(*place, earliest.get(place, offset)) for place, offset in offsets.items()]
            self._consumer.incremental_assign(places)

    def _look(self) -> None:
        """Find partitions that are new."""
        assert self._siblings is not None  # noqa: S101
        scout = self._siblings.scout
        if self._beginnings is not None:
            if not self._beginnings.done():
                return
            self._assign(*self._beginnings.result())
            self._beginnings, self._has_begun = None, True
        counts = scout.partitions
        if counts is self._counts or counts is None:
            return
        source = self._source
        new = [
            place
            for number, topic in enumerate(source.topics)
            for place in (PartitionId(topic, partition) for partition in range(counts.get(topic, 0)))
            if reader_of(number, place.partition, source.readers) == source.reader and place not in self._partitions
        ]
        self._counts = counts
        start = source.start
        if self._has_begun or source.pinned is not None:
            start = "earliest"
            pinned = {} if self._has_begun else dict(source.pinned or ())
            self._assign({place: pinned[place] for place in new if place in pinned}, {})
            new = [place for place in new if place not in pinned]
        if new:
            self._beginnings = scout.ask(partial(find_beginnings, places=new, start=start))
        else:
            self._has_begun = True

    def _fetch(self, left: int | None) -> None:
        """Take what the consumer has ready."""
        assert self._consumer is not None  # noqa: S101
        assert self._siblings is not None  # noqa: S101
        wanted = MAX_MESSAGES if left is None else min(left, MAX_MESSAGES)
        messages = self._consumer.consume(wanted, 0)
        now = self._source.clock()
        scout = self._siblings.scout
        if scout.returned > self._returned:
            # Those who send had lost their broker as well: they get their time anew.
            self._returned = scout.returned
            self._siblings.heard = max(self._siblings.heard, now)
            for known in self._partitions.values():
                known.heard = max(known.heard, now)
        if len(messages) < wanted:
            self._listened = max(self._listened, scout.answered)
        if not messages:
            return
        errors = list(map(type(messages[0]).error, messages))
        # By identity: an error that is compared with None raises something else.
        if [error for error in errors if error is not None]:
            for message, error in zip(messages, errors, strict=True):
                if error is not None:
                    self._take_error(message)
            messages = [message for message, error in zip(messages, errors, strict=True) if error is None]
        portions, tombstones = self._cut(messages)
        self._waiting.extend(portions)
        for place, passed in tombstones.items():
            self._siblings.pass_over(place.topic, passed.messages)
            self._tombstones[place] = passed.offset
        self._siblings.heard = now
        for place in {place for portion in portions for place in portion.ends} | tombstones.keys():
            found = self._partitions[place]
            found.heard, found.is_caught_up = now, False

    def _take_error(self, message: Any) -> None:
        """Take what is no message: the end of a partition, for now, or an error."""
        from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

        error, place = message.error(), PartitionId(message.topic(), message.partition())
        code = error.code()
        assert self._siblings is not None  # noqa: S101
        if code == KafkaError._PARTITION_EOF:
            self._caught_up[place] = message.offset()
        elif code == KafkaError._AUTO_OFFSET_RESET:
            bounds = self._siblings.scout.ask(partial(find_bounds, place=place))
            self._missing[place] = _Missing(message.offset(), bounds)
        elif code in {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION} or error.fatal():
            raise BrokerError(f"cannot read {place} of {self._source.brokers.address}: {explain(error)}")
        elif code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise self._source.brokers.refusal(place.topic, error)
        else:  # it passes, or the scout finds out that it does not
            self._siblings.scout.look_soon()

    def _mend(self) -> None:
        """Resume behind missing offsets, or fail where that is not allowed."""
        for place in [place for place, missing in self._missing.items() if missing.bounds.done()]:
            wanted, bounds = self._missing.pop(place)
            low, high = bounds.result()
            offset = self._partitions[place].offset
            if low <= wanted <= high or offset == EARLIEST:
                self._reassign(place, offset, low)
                continue
            is_deleted = wanted < low
            if self._source.on_missing_offset == "fail":
                which = f"the earliest there is {low}" if is_deleted else f"it has {low} to {high}: was it made anew?"
                raise BrokerError(
                    f"{place} has no offset {wanted}, where reading was to go on; {which}"
                    f"{'' if is_deleted else ';'} (--on-missing-offset earliest goes on at {low})"
                )
            if is_deleted:
                board.note(f"{low - wanted:,} messages of {place} were deleted before they were read")
                board.add("deleted", low - wanted)
            else:
                board.note(f"{place} ends at {high}, and {wanted} was to be read: going on at its earliest, {low}")
            self._reassign(place, low, low)

    def _reassign(self, place: PartitionId, offset: int, earliest: int) -> None:
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        assert self._consumer is not None  # noqa: S101
        earlier = self._partitions[place]
        self._consumer.incremental_unassign([TopicPartition(*place)])
        self._assign({place: offset}, {place: earliest} if offset == EARLIEST else {})
        self._partitions[place].promised = earlier.promised

    @staticmethod
    def _topic_of(portion: Portion) -> str:
        """Return the topic of a portion: it has messages of one."""
        return next(iter(portion.ends)).topic

    def _timed(self, portion: Portion, promised: int | None) -> TimedBlock:
        """Make a block, and take note of the offsets and event times in it."""
        assert self._siblings is not None  # noqa: S101
        topic = self._topic_of(portion)
        arrival = portion.arrival or self._source.arrivals()
        dialect = self._dialect(topic, portion)
        first_time: int | None = None
        now = max(self._source.wall_clock(), self._source.arrivals())
        for place, ends in portion.ends.items():
            partition = self._partitions[place]
            partition.offset = ends.offset
            if portion.fault:
                continue
            for record in (ends.first, ends.last):
                micros = plausible_micros(self._record_type, record, dialect, arrival, now)
                if micros is not None:
                    first_time = micros if first_time is None else first_time
                    partition.promised = micros if partition.promised is None else max(partition.promised, micros)
        watermark = NOTHING_IS_LATE if promised is None else promised
        scope = self._siblings.scout.ids[topic]
        block = Block(portion.data, portion.spans, dialect, watermark, portion.fault, arrival, scope)
        return TimedBlock(block, first_time)

    def _dialect(self, topic: str, portion: Portion) -> Dialect:
        """Return how the records of a topic are written; its first one here tells."""
        if topic not in self._dialects and not portion.fault:
            found = self._plain
            if self._source.sniff is not None and self._record_type.form.has_dialects:
                try:
                    found = self._source.sniff(portion.data[: portion.data.find(b"\n") + 1], self._record_type)
                except ValueError:
                    found = self._plain
            # No message is a header row.
            self._dialects[topic] = found._replace(header=(), skip=0)
        return self._dialects.get(topic, self._plain)

    def _settle(self) -> None:
        """Take note of where the partitions are once nothing of them waits."""
        for place, offset in self._tombstones.items():
            partition = self._partitions[place]
            partition.offset = max(partition.offset, offset)
        self._tombstones.clear()
        for place, offset in self._caught_up.items():
            partition = self._partitions[place]
            if offset >= partition.offset and place not in self._missing:
                partition.offset, partition.is_caught_up = offset, True
        self._caught_up.clear()

    def _move(self) -> None:
        """Move the watermark."""
        assert self._siblings is not None  # noqa: S101
        own = Standing(tuple(self._partitions.values()), self._listened)
        self._siblings.standings[self.token] = own
        if not self._has_begun:
            return
        others = self._siblings.others(self.token)
        source, otherwise = self._source, None
        if source.readers > 1 and self._siblings.are_elsewhere(source.readers, source.clock()):
            otherwise = source.arrivals() - round(source.idle_partition_seconds * MICROS_PER_SECOND)
        self.watermark.move(own, others, otherwise)

    def _is_idle(self) -> bool:
        """Return whether no reader has had a message for so long that this is the end."""
        assert self._siblings is not None  # noqa: S101
        timeout = self._source.idle_timeout_seconds
        return (
            timeout is not None
            and self._listened - self._siblings.heard >= timeout
            and all(partition.is_caught_up for partition in self._partitions.values())
            and self._beginnings is None
        )
