"""Sending messages to a real broker: each is there once, and none is lost without a word."""

from __future__ import annotations

import pickle
import threading
import uuid
from collections.abc import Iterator

import pytest

from sinks.kafka.producer import ProducerSettings, Sender, make_topics
from sources import drain
from sources.kafka.client import BrokerError, Brokers
from sources.kafka.security import KafkaSecurity
from tests.brokers import Broker

NUMBERS = [b"%d" % number for number in range(2_000)]


@pytest.fixture
def sender(kafka: Broker) -> Iterator[Sender]:
    sender = ProducerSettings(Brokers(kafka.servers)).open()
    yield sender
    sender.close()


def values(broker: Broker, topic: str) -> list[bytes | None]:
    return [value for _, _, _, value in broker.consume_all(topic)]


def test_messages_are_there_in_order_with_their_keys(kafka: Broker, sender: Sender) -> None:
    topic = kafka.create_topic()
    assert sender.send(topic, NUMBERS, [None, *NUMBERS[1:]]) == len(NUMBERS)
    sender.flush()
    assert [(key, value) for _, _, key, value in kafka.consume_all(topic)] == list(
        zip([None, *NUMBERS[1:]], NUMBERS, strict=True)
    )


def test_equal_keys_share_a_partition(kafka: Broker, sender: Sender) -> None:
    topic = kafka.create_topic(partitions=4)
    sender.send(topic, NUMBERS, [b"k%d" % (number % 20) for number in range(len(NUMBERS))])
    sender.flush()
    places: dict[bytes | None, set[int]] = {}
    for partition, _, key, _ in kafka.consume_all(topic):
        places.setdefault(key, set()).add(partition)
    assert len(places) == 20
    assert all(len(found) == 1 for found in places.values())


@pytest.mark.parametrize("how", [pytest.param("stop", marks=pytest.mark.soak), "kill"])
def test_a_broker_that_comes_back_has_every_message_once(own_kafka: Broker, how: str) -> None:
    topic = own_kafka.create_topic()
    sender = ProducerSettings(Brokers(own_kafka.servers)).open()
    try:
        sender.send(topic, NUMBERS[:500])
        getattr(own_kafka, how)()
        sender.send(topic, NUMBERS[500:1_500])
        again = threading.Timer(1, own_kafka.start)
        again.start()
        sender.flush()
        again.join()
        sender.send(topic, NUMBERS[1_500:])
        sender.flush()
    finally:
        sender.close()
    assert values(own_kafka, topic) == NUMBERS


def test_a_transaction_outlives_a_broker_that_comes_back(own_kafka: Broker) -> None:
    topic = own_kafka.create_topic()
    own_kafka.stop()
    again = threading.Timer(1, own_kafka.start)
    again.start()
    sender = ProducerSettings(Brokers(own_kafka.servers), transactional_id=uuid.uuid4().hex).open()
    again.join()
    try:
        sender.begin()
        sender.send(topic, NUMBERS[:1_000])
        own_kafka.stop()
        sender.send(topic, NUMBERS[1_000:])
        again = threading.Timer(1, own_kafka.start)
        again.start()
        sender.commit()
        again.join()
    finally:
        sender.close()
    assert values(own_kafka, topic) == NUMBERS


def test_messages_that_stay_undelivered_fail_in_one_line(own_kafka: Broker) -> None:
    topic = own_kafka.create_topic()
    sender = ProducerSettings(Brokers(own_kafka.servers), patience_seconds=6).open()
    try:
        sender.send(topic, NUMBERS[:10])
        sender.flush()
        own_kafka.stop()
        sender.send(topic, NUMBERS[10:])
        with pytest.raises(
            BrokerError, match=f"^cannot send to kafka://{own_kafka.servers}/{topic}: not del.* within 6 s$"
        ):
            sender.flush()
        with pytest.raises(BrokerError):  # it stays so
            sender.flush()
    finally:
        sender.close()


def test_who_is_asked_to_end_does_not_wait_for_brokers_that_are_away(own_kafka: Broker) -> None:
    topic = own_kafka.create_topic()
    sender = ProducerSettings(Brokers(own_kafka.servers)).open()
    try:
        sender.send(topic, NUMBERS[:10])
        sender.flush()
        own_kafka.stop()
        sender.send(topic, NUMBERS)
        drain.drain()
        with pytest.raises(BrokerError, match="2000 messages wait, and we were asked to end"):
            sender.flush()
    finally:
        drain.reset()
        sender.close()


def test_who_is_asked_to_end_does_not_wait_for_a_transaction_either(own_kafka: Broker) -> None:
    topic = own_kafka.create_topic()
    sender = ProducerSettings(Brokers(own_kafka.servers), transactional_id=uuid.uuid4().hex).open()
    try:
        sender.begin()
        sender.send(topic, NUMBERS[:10])
        sender.flush()
        own_kafka.pause()
        drain.drain()
        with pytest.raises(BrokerError, match="nobody answers, and we were asked to end"):
            sender.commit()
        assert sender.has_failed
    finally:
        drain.reset()
        sender.close()
        own_kafka.unpause()


def test_a_message_that_is_too_large_is_told(kafka: Broker, sender: Sender) -> None:
    topic = kafka.create_topic()
    with pytest.raises(BrokerError, match=f"{topic}: .*too large"):
        sender.send(topic, [b"x" * 2_000_000])


def test_transactions_are_seen_whole_or_not_at_all(kafka: Broker) -> None:
    topic = kafka.create_topic()
    sender = ProducerSettings(Brokers(kafka.servers), transactional_id=uuid.uuid4().hex).open()
    try:
        sender.begin()
        sender.send(topic, [b"dropped"] * 100)
        sender.flush()
        assert values(kafka, topic) == []
        sender.abort()
        sender.begin()
        sender.begin()
        sender.send(topic, [b"kept"] * 100)
        sender.commit()
        sender.commit()
    finally:
        sender.close()
    assert values(kafka, topic) == [b"kept"] * 100
    assert len(kafka.consume_all(topic, isolation="read_uncommitted")) == 200


def test_topics_that_are_missing_are_made(kafka: Broker) -> None:
    there, missing = kafka.create_topic(partitions=3), f"made-{uuid.uuid4().hex[:8]}"
    make_topics(Brokers(kafka.servers), [there, missing])
    make_topics(Brokers(kafka.servers), [there, missing])
    assert kafka.partitions(there) == [0, 1, 2]
    assert kafka.partitions(missing)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compression": "best"}, "compression must be lz4, zstd, gzip, snappy, none, got 'best'"),
        ({"patience_seconds": 0}, "patience_seconds must be positive, got 0"),
    ],
)
def test_values_are_checked(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProducerSettings(Brokers("127.0.0.1:1"), **changes)


def test_settings_travel_and_show_no_password() -> None:
    security = KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", "me", "s3cret-word")
    sending = ProducerSettings(Brokers("127.0.0.1:1", security))
    assert pickle.loads(pickle.dumps(sending)) == sending
    assert "s3cret-word" not in repr(sending)
