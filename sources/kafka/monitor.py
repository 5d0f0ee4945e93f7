"""The scout of a source of Kafka: the thread that waits for the answers of a broker, so that no reader has to."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sources import progress as board
from sources.kafka.client import BrokerError, Brokers, explain
from sources.kafka.partitions import EARLIEST, PartitionId

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaException

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Where reading begins: a word, or a time in microseconds.
Start = str | int
#: How often the scout looks at the topics, and while something is missing.
LOOK_SECONDS = 2.0
SHORT_LOOK_SECONDS = 0.25
#: How long it waits for an answer; without one the broker is away.
ANSWER_SECONDS = 3.0
#: A broker that has just started may not know its topics yet, or its users: so long it has to say so.
CERTAIN_SECONDS = 5.0
#: Offsets are committed at most so often, and so long the last ones are waited for.
COMMIT_SECONDS = 0.5
LAST_COMMIT_SECONDS = 10.0
#: The group of consumers without a group: librdkafka wants a name; nothing is committed under it.
_NO_GROUP = "transaction-streams"
_MICROS_PER_MILLI = 1_000
#: An id of sixteen zero bytes is none.
_NO_ID = "A" * 22


def consumer_config(brokers: Brokers, group: str) -> dict[str, Any]:
    """Return what all consumers here are set to. None joins its group: partitions are assigned by us."""
    return {
        **brokers.config(),
        "group.id": group or _NO_GROUP,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "allow.auto.create.topics": False,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1_000,
        "socket.timeout.ms": 10_000,
    }


def find_starts(consumer: Consumer, places: Sequence[PartitionId], start: Start) -> dict[PartitionId, int]:
    """Return the offset of each partition to begin with; EARLIEST where nothing was committed.

    Raises:
        KafkaException: the broker does not answer.
    """
    from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

    if start == "earliest" or not places:
        return dict.fromkeys(places, EARLIEST)
    found: dict[PartitionId, int] = {}
    if start == "committed":
        committed = consumer.committed([TopicPartition(*place) for place in places], timeout=ANSWER_SECONDS)
        return {PartitionId(at.topic, at.partition): at.offset if at.offset >= 0 else EARLIEST for at in committed}
    if isinstance(start, int):
        millis = -(-start // _MICROS_PER_MILLI)
        asked = [TopicPartition(*place, millis) for place in places]
        at_time = consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS)
        found = {PartitionId(at.topic, at.partition): at.offset for at in at_time if at.offset >= 0}
    for place in places:
        if place not in found:  # the latest, or nothing is as late as that time
            found[place] = consumer.get_watermark_offsets(TopicPartition(*place), timeout=ANSWER_SECONDS)[1]
    return found


class Beginnings(NamedTuple):
    """Where to begin: the offsets by what was asked for, and of those that are EARLIEST, which that is just now."""

    offsets: dict[PartitionId, int]
    earliest: dict[PartitionId, int]


def find_beginnings(consumer: Consumer, places: Sequence[PartitionId], start: Start) -> Beginnings:
    """Return where to begin. To ask librdkafka for the earliest message itself takes half a second longer.

    Raises:
        KafkaException: the broker does not answer.
    """
    offsets = find_starts(consumer, places, start)
    earliest = [place for place, offset in offsets.items() if offset == EARLIEST]
    return Beginnings(offsets, {place: find_bounds(consumer, place)[0] for place in earliest})


def find_bounds(consumer: Consumer, place: PartitionId) -> tuple[int, int]:
    """Return the earliest offset of a partition, and the one behind its last message.

    Raises:
        KafkaException: the broker does not answer.
    """
    from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

    low, high = consumer.get_watermark_offsets(TopicPartition(*place), timeout=ANSWER_SECONDS)
    return low, high


def count_partitions(consumer: Consumer, brokers: Brokers, topics: Iterable[str]) -> dict[str, int]:
    """Return the number of partitions of each topic that is there.

    Raises:
        BrokerError: a topic must not be read, or its name cannot be.
        KafkaException: the broker does not answer, or does not know yet.
    """
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - an extra

    absences = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
    counts = {}
    for topic in topics:
        found = consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        if found.error is None:
            counts[topic] = len(found.partitions)
        elif found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise brokers.refusal(topic, found.error)
        elif found.error.code() == KafkaError.TOPIC_EXCEPTION:
            raise BrokerError(f"cannot read the topic {topic}: {explain(found.error)}")
        elif found.error.code() not in absences:
            raise KafkaException(found.error)
    return counts


def find_topic_ids(brokers: Brokers, topics: Sequence[str]) -> dict[str, str]:
    """Return the ids of topics that are there; an empty text for one that has none, at brokers older than 2.8.

    A topic that is deleted and made again has another one, and so has one of that name in another cluster.

    Raises:
        KafkaException: the broker does not answer, or does not know yet.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicCollection  # noqa: PLC0415 - an extra
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

    found = {}
    with AdminClient(brokers.config()) as client:
        asked = client.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
        for topic, answer in asked.items():
            try:
                found[topic] = str(answer.result(2 * ANSWER_SECONDS).topic_id).replace(_NO_ID, "")
            except KafkaException as error:
                if error.args[0].code() != KafkaError._UNSUPPORTED_FEATURE:
                    raise
                found[topic] = ""
    return found


class ClusterMonitor(threading.Thread):
    """Looks at topics again and again, answers questions, and commits offsets, all with a consumer of its own.

    Attributes:
        partitions: the number of partitions of each topic that is there; None before the first answer. It never gets
            less, and it is replaced, not changed.
        ids: of each of these topics, its id, an empty text where the brokers give none; replaced as well.
        answered: when the latest question was put that was answered.
        returned: when the broker answered again after it had been away.
        failure: why nothing more can be read.
    """

    def __init__(
        self, brokers: Brokers, topics: tuple[str, ...], group: str, clock: Callable[[], float], look_seconds: float
    ) -> None:
        """Ask nothing yet."""
        super().__init__(name="KafkaScout", daemon=True)
        self.partitions: dict[str, int] | None = None
        self.ids: dict[str, str] = {}
        self.answered = self.returned = -math.inf
        self.failure: Exception | None = None
        self._brokers, self._topics, self._group, self._clock = brokers, topics, group, clock
        self._look_seconds = look_seconds
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._questions: deque[tuple[Callable[[Consumer], Any], Future[Any]]] = deque()
        self._due = self._commit_due = 0.0
        self._is_away = False
        self._noted_missing: set[str] = set()
        self._absent_since: dict[str, float] = {}
        self._refused_since: float | None = None
        self._refusal = ""
        self._committing = threading.Lock()
        self._to_commit: dict[PartitionId, int] = {}
        self._committed: dict[PartitionId, int] = {}
        self._commits_under_way = 0

    def ask(self, question: Callable[[Consumer], _T]) -> Future[_T]:
        """Put a question to the broker; it is repeated until there is an answer."""
        future: Future[_T] = Future()
        self._questions.append((question, future))
        self._wake.set()
        return future

    def look_soon(self) -> None:
        """Have the topics looked at as soon as can be: something seems to be wrong."""
        self._due = min(self._due, time.monotonic() + SHORT_LOOK_SECONDS)
        self._wake.set()

    def commit(self, offsets: Mapping[PartitionId, int]) -> None:
        """Commit offsets some time soon, those of a group that has a name; once they are, they are not again."""
        if self._group:
            with self._committing:
                self._to_commit.update(offsets)
            self._wake.set()

    def stop(self) -> None:
        """Ask the thread to end; it commits what is left and closes what it has open."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Work until the end."""
        from confluent_kafka import Consumer  # noqa: PLC0415 - an extra

        try:
            consumer = Consumer(
                consumer_config(self._brokers, self._group) | {"error_cb": self._on_error, "on_commit": self._on_commit}
            )
            try:
                while not self._stopping.is_set():
                    self._work(consumer)
                    # It hears of a commit's end only when it asks.
                    self._wake.wait(SHORT_LOOK_SECONDS / 5 if self._commits_under_way else SHORT_LOOK_SECONDS)
                    self._wake.clear()
                self._commit_last(consumer)
            finally:
                consumer.close()
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread: the readers raise it
            self.failure = error

    def _work(self, consumer: Consumer) -> None:
        refusal = _poll_refusal(consumer)
        if refusal:
            board.note(f"offsets of the group {self._group} are not committed: {refusal}")
        if time.monotonic() >= self._due:
            self._look(consumer)
        while self._questions and not self._is_away:
            question, future = self._questions[0]
            if not self._try(partial(_answer, question, future, consumer)):
                break
            self._questions.popleft()
        if time.monotonic() >= self._commit_due and not self._is_away:
            self._commit(consumer)

    def _look(self, consumer: Consumer) -> None:
        """Count the partitions of all topics."""
        asked = self._clock()
        counts: dict[str, int] = {}
        if self._try(lambda: counts.update(count_partitions(consumer, self._brokers, self._topics))):
            self._note_absent(counts)
            known = self.partitions
            counts = {topic: max(count, (known or {}).get(topic, 0)) for topic, count in counts.items()}
            if self._is_away:
                self._is_away = False
                self.returned = asked
                board.add("reconnects", 1)
                board.note(f"{self._brokers.address} answers again")
            self._refused_since = None
            self.answered = asked
            unnamed = [topic for topic in counts if topic not in self.ids]
            if unnamed:
                self._try(lambda: self._find_ids(unnamed))
            if counts != known:
                self.partitions = {**(known or {}), **counts}
        is_short = self._is_away or self._absent_since or self.partitions is None or self.partitions.keys() - self.ids
        self._due = time.monotonic() + (SHORT_LOOK_SECONDS if is_short else self._look_seconds)

    def _find_ids(self, topics: Sequence[str]) -> None:
        """Ask for the ids of topics."""
        self.ids = self.ids | find_topic_ids(self._brokers, topics)

    def _try(self, action: Callable[[], None]) -> bool:
        """Do something that the broker has to answer; return whether it has."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        try:
            action()
        except KafkaException as error:
            _LOGGER.info("no answer from %s: %s", self._brokers.address, explain(error))
            if not self._is_away and _means_away(error):
                self._is_away = True
                board.note(f"lost {self._brokers.address}: {explain(error)}; waiting for it")
            return False
        return True

    def _note_absent(self, counts: Mapping[str, int]) -> None:
        """Tell of topics that are not there yet; one that has gone ends everything."""
        now = time.monotonic()
        for topic in self._topics:
            if topic in counts:
                self._absent_since.pop(topic, None)
                continue
            since = self._absent_since.setdefault(topic, now)
            if self.partitions is not None and topic in self.partitions:
                if now - since >= CERTAIN_SECONDS:
                    raise BrokerError(f"the topic {topic} of {self._brokers.address} was deleted")
            elif topic not in self._noted_missing:
                self._noted_missing.add(topic)
                board.note(f"there is no topic {topic} at {self._brokers.address} yet; waiting for it")

    def _on_error(self, error: Any) -> None:
        """Take note of an error that belongs to no question; one of who we are lasts, or it is none."""
        if error.code() != error._AUTHENTICATION:
            return
        now = time.monotonic()
        self._refused_since = now if self._refused_since is None else self._refused_since
        if now - self._refused_since >= CERTAIN_SECONDS and self.failure is None:
            self.failure = BrokerError(f"{self._brokers.address} does not let us in any more: {explain(error)}")

    def _commit(self, consumer: Consumer) -> None:
        """Begin to commit what has changed."""
        from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415 - an extra

        with self._committing:
            changed = {place: at for place, at in self._to_commit.items() if self._committed.get(place) != at}
            self._to_commit.clear()
        if not changed:
            return
        self._commit_due = time.monotonic() + COMMIT_SECONDS
        self._committed |= changed
        with suppress(KafkaException):  # best effort
            consumer.commit(offsets=[TopicPartition(*place, at) for place, at in changed.items()], asynchronous=True)
            self._commits_under_way += 1

    def _on_commit(self, error: Any, partitions: Any) -> None:
        self._commits_under_way -= 1
        if error is None:
            return
        _LOGGER.info("offsets of the group %s were not committed: %s", self._group, explain(error))
        if error.code() in {error.GROUP_AUTHORIZATION_FAILED, error.TOPIC_AUTHORIZATION_FAILED}:
            return
        with self._committing:  # to be tried again, unless more is to be committed by now
            for at in partitions or ():
                place = PartitionId(at.topic, at.partition)
                if self._committed.get(place) == at.offset:
                    del self._committed[place]
                    self._to_commit.setdefault(place, at.offset)

    def _commit_last(self, consumer: Consumer) -> None:
        deadline = time.monotonic() + LAST_COMMIT_SECONDS
        while not self._is_away and time.monotonic() < deadline:
            if not self._commits_under_way and time.monotonic() >= self._commit_due:
                self._commit(consumer)
                if not self._commits_under_way:
                    return
            consumer.poll(0.02)
        if self._commits_under_way or self._to_commit:
            board.note(
                f"the last offsets of the group {self._group} are not committed: --from committed reads those again"
            )


def _answer(question: Callable[[Consumer], _T], future: Future[_T], consumer: Consumer) -> None:
    future.set_result(question(consumer))


def _poll_refusal(consumer: Consumer) -> str | None:
    """Let a consumer without partitions work, and return why its group must not be used, if it says so."""
    message = consumer.poll(0)
    error = None if message is None else message.error()
    return explain(error) if error is not None and error.code() == error.GROUP_AUTHORIZATION_FAILED else None


def _means_away(error: KafkaException) -> bool:
    """Return whether a broker is away that gives no answer; else it does not know it yet."""
    from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

    return error.args[0].code() in {
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
    }
