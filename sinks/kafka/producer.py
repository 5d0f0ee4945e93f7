"""Sending messages to Kafka: idempotent, compressed, many on their way at a time, and no failure overlooked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from sources.drain import draining
from sources.kafka.client import BrokerError, Brokers, explain, require_kafka

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

Compression = Literal["lz4", "zstd", "gzip", "snappy", "none"]
#: A message waits so long for others that share its way: most of the throughput, and little of the delay.
LINGER_MILLISECONDS = 20
#: A topic that brokers do not know for so long, from the first message on, is not one that they are still making.
_GONE_MILLISECONDS = 10_000
#: How long brokers may be away before messages are given up, and the job with them.
PATIENCE_SECONDS = 300.0
#: After we were asked to end, brokers that take nothing get so long; and so long is one call that has to wait for them.
_LAST_SECONDS = 5.0
_MOST_MESSAGES = 500_000
_MOST_KIBIBYTES = 131_072
_POLL_SECONDS = 0.1
_CONTACT_SECONDS = 10.0


@dataclass(frozen=True)
class ProducerSettings:
    """How messages are sent.

    Attributes:
        brokers: where to.
        compression: of batches of messages.
        patience_seconds: how long brokers may be away.
        transactional_id: a name that no other sender has, for messages that are all seen or none; empty without.
    """

    brokers: Brokers
    compression: Compression = "lz4"
    patience_seconds: float = PATIENCE_SECONDS
    transactional_id: str = ""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        if self.compression not in get_args(Compression):
            raise ValueError(f"compression must be {', '.join(get_args(Compression))}, got {self.compression!r}")
        if self.patience_seconds <= 0:
            raise ValueError(f"patience_seconds must be positive, got {self.patience_seconds}")

    def open(self) -> Sender:
        """Return what sends; it connects when there is something to send.

        Raises:
            ValueError: an extra is missing.
            BrokerError: the settings cannot be.
        """
        return Sender(self)


class Sender:
    """Send messages; threads take turns, as librdkafka has it.

    The first message that could not be delivered fails every later call: what came after it is not known to be there.
    """

    def __init__(self, how: ProducerSettings) -> None:
        """Connect to nothing yet, unless there are transactions."""
        self._how, self._kafka = how, require_kafka()
        self._failure: BrokerError | None = None
        self._in_transaction = False
        self._waiting, self._moved_at = 0, time.monotonic()
        settings: dict[str, Any] = {
            "enable.idempotence": True,
            "linger.ms": LINGER_MILLISECONDS,
            "compression.type": how.compression,
            "queue.buffering.max.messages": _MOST_MESSAGES,
            "queue.buffering.max.kbytes": _MOST_KIBIBYTES,
            "topic.metadata.propagation.max.ms": _GONE_MILLISECONDS,
            "delivery.timeout.ms": round(1_000 * how.patience_seconds),
            "delivery.report.only.error": True,
            "on_delivery": self._take_report,
            "error_cb": self._take_error,
        }
        if how.transactional_id:
            settings["transactional.id"] = how.transactional_id
            settings["transaction.timeout.ms"] = settings["delivery.timeout.ms"]
        config = how.brokers.config() | settings
        try:
            self._producer = self._kafka.Producer(config)
        except self._kafka.KafkaException as error:
            raise self._error(explain(error)) from None
        if how.transactional_id:
            self._insist(self._producer.init_transactions)

    @property
    def has_failed(self) -> bool:
        """Whether a message could not be delivered, so that this sender is of no more use."""
        return self._failure is not None

    def send(self, topic: str, values: Iterable[bytes], keys: Sequence[bytes | None] | None = None) -> int:
        """Hand messages over, in order, and return their number; wait only where too many are on their way.

        Raises:
            BrokerError: one of these or of earlier ones cannot be delivered.
        """
        produce, number = self._producer.produce, 0
        for number, value in enumerate(values, 1):
            key = None if keys is None else keys[number - 1]
            while True:
                try:
                    produce(topic, value, key)
                    break
                except BufferError:
                    self._producer.poll(_POLL_SECONDS)
                    self._check_waiting()
                except self._kafka.KafkaException as error:
                    told = self._fail if error.args[0].code() == error.args[0]._FATAL else self._error
                    raise told(explain(error), topic) from None
        self._producer.poll(0)
        self._check()
        return number

    def flush(self) -> None:
        """Wait until everything was delivered.

        Raises:
            BrokerError: something was not, or we were asked to end and brokers stay away.
        """
        while self._producer.flush(_POLL_SECONDS):
            self._check_waiting()
        self._check()

    def begin(self) -> None:
        """Begin a transaction, unless one has begun.

        Raises:
            BrokerError: this sender has failed.
        """
        if self._in_transaction:
            return
        try:
            self._producer.begin_transaction()
        except self._kafka.KafkaException as error:
            raise self._fail(explain(error)) from None
        self._in_transaction = True

    def commit(self) -> None:
        """Deliver everything and end the transaction: from now on it is seen.

        Raises:
            BrokerError: it cannot be, or we were asked to end and brokers stay away. Nothing of it will be seen, unless
                brokers went away in the very moment that they ended it.
        """
        if not self._in_transaction:
            return
        try:
            self.flush()
            self._insist(self._producer.commit_transaction)
        except BrokerError:
            self.abort()
            raise
        self._in_transaction = False

    def abort(self) -> None:
        """End the transaction, if there is one, so that nothing of it is ever seen."""
        if self._in_transaction:
            self._in_transaction = False
            self._producer.purge()
            try:
                self._producer.abort_transaction(_LAST_SECONDS)
            except self._kafka.KafkaException as error:
                # The broker ends it by itself after a while.
                self._fail(explain(error))

    def close(self) -> None:
        """Forget what was not flushed, and end the connections."""
        self._producer.purge()
        self._producer.flush(_POLL_SECONDS)

    def _take_report(self, error: KafkaError | None, message: Message) -> None:
        if error is None or error.code() in (error._PURGE_QUEUE, error._PURGE_INFLIGHT):
            return
        is_overdue = error.code() == error._MSG_TIMED_OUT
        reason = f"not delivered within {self._how.patience_seconds:g} s" if is_overdue else explain(error)
        self._fail(reason, message.topic() or "")

    def _take_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == error._AUTHENTICATION:
            self._fail(explain(error))

    def _insist(self, call: Callable[[float], object]) -> None:
        """Call again while brokers are away: for as long as they may be, or until we are asked to end."""
        deadline = time.monotonic() + self._how.patience_seconds
        while True:
            try:
                call(min(_LAST_SECONDS, self._how.patience_seconds))
            except self._kafka.KafkaException as error:
                if not error.args[0].retriable():
                    raise self._fail(explain(error)) from None
                if draining():
                    raise self._fail("nobody answers, and we were asked to end") from None
                if time.monotonic() >= deadline:
                    raise self._fail(f"nobody answered within {self._how.patience_seconds:g} s") from None
            else:
                return
            self._producer.poll(_POLL_SECONDS)
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _check_waiting(self) -> None:
        """Raise what failed, or that we were asked to end and nothing has moved for a while."""
        self._check()
        waiting, now = len(self._producer), time.monotonic()
        if waiting != self._waiting or not draining():
            self._waiting, self._moved_at = waiting, now
        elif now - self._moved_at >= _LAST_SECONDS:
            raise self._error(f"{waiting} messages wait, and we were asked to end")

    def _fail(self, reason: str, topic: str = "") -> BrokerError:
        """Remember the first failure, and return it."""
        self._failure = self._failure or self._error(reason, topic)
        return self._failure

    def _error(self, reason: str, topic: str = "") -> BrokerError:
        return BrokerError(f"cannot send to {self._how.brokers.address}{'/' if topic else ''}{topic}: {reason}")


def count_messages(brokers: Brokers, topic: str) -> int:
    """Return how many messages a topic has ever had: the sum of the offsets at which its partitions end.

    Raises:
        BrokerError: nobody answers, or they refuse.
    """
    from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415 (an extra)
    from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # noqa: PLC0415 (an extra)

    try:
        with AdminClient(brokers.config()) as client:
            partitions = client.list_topics(topic, _CONTACT_SECONDS).topics[topic].partitions
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            asked = dict.fromkeys((TopicPartition(topic, number) for number in partitions), latest)
            ends = client.list_offsets(asked, request_timeout=_CONTACT_SECONDS)
            return sum(int(end.result(2 * _CONTACT_SECONDS).offset) for end in ends.values())
    except KafkaException as error:
        raise BrokerError(f"cannot look at {brokers.address}/{topic}: {explain(error)}") from None


def make_topics(brokers: Brokers, topics: Sequence[str]) -> None:
    """See that brokers answer and have these topics; make those that are missing, as big as brokers usually do.

    Raises:
        BrokerError: nobody answers, they refuse, or a topic cannot be made.
        ValueError: an extra is missing.
    """
    missing = brokers.check(topics)
    if not missing:
        return
    from confluent_kafka import KafkaException  # noqa: PLC0415 (an extra)
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # noqa: PLC0415 (an extra)

    with AdminClient(brokers.config()) as client:
        made = client.create_topics([NewTopic(name) for name in missing], operation_timeout=_CONTACT_SECONDS)
        for name, future in made.items():
            try:
                future.result(2 * _CONTACT_SECONDS)
            except KafkaException as error:
                if error.args[0].code() != error.args[0].TOPIC_ALREADY_EXISTS:
                    raise BrokerError(f"cannot make {brokers.address}/{name}: {explain(error)}") from None
            except NotYet:
                raise BrokerError(f"cannot make {brokers.address}/{name}: nobody answers") from None
