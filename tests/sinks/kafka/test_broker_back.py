"""Senders whose broker goes away and comes back, many at once: each message has to arrive, in its order."""

from __future__ import annotations

import threading

import pytest

from sinks.kafka.producer import ProducerSettings
from sources.kafka.client import Brokers
from tests.brokers import running_broker

SENDERS, ROUNDS = 25, 14


@pytest.mark.soak
def test_every_message_is_delivered_however_often_the_broker_goes_away(request):
    with running_broker() as broker:
        how = ProducerSettings(Brokers(broker.servers))
        senders = [how.open() for _ in range(SENDERS)]
        request.addfinalizer(lambda: [sender.close() for sender in senders])
        topics = [broker.create_topic() for _ in senders]
        sent, failures = [0] * SENDERS, []

        def send(number: int, stop: threading.Event) -> None:
            try:
                while not stop.wait(0.02):
                    senders[number].send(topics[number], [b"%d" % (sent[number] + k) for k in range(10)])
                    sent[number] += 10
                senders[number].flush()
            except OSError as error:
                failures.append(error)

        for turn in range(ROUNDS):
            stop = threading.Event()
            threads = [threading.Thread(target=send, args=(number, stop)) for number in range(SENDERS)]
            for thread in threads:
                thread.start()
            stop.wait(0.2 + turn % 5 / 5)
            (broker.kill if turn % 2 else broker.stop)()
            stop.wait(turn % 4)
            broker.start()
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        for topic, number in zip(topics, sent):
            assert [value for *_, value in broker.consume_all(topic)] == [b"%d" % k for k in range(number)]
