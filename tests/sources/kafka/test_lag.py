"""How many messages of a partition were not read yet, as a reader tells while it reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sources import drain
from sources import progress as board
from sources.kafka.partitions import PartitionId
from tests.brokers import Broker
from tests.fakes import Driver
from tests.sources.kafka.test_source import sale, topics


@pytest.fixture(autouse=True)
def _board() -> Iterator[None]:
    board.reset()
    drain.reset()
    yield
    board.reset()


def test_the_lag_of_each_partition_is_what_was_not_handed_out(kafka: Broker) -> None:
    topic = kafka.create_topic(partitions=2)
    kafka.produce(topic, [sale(n) for n in range(100)], partition=0)
    reader = topics(kafka, topic, max_block_bytes=400).create_reader(None, None)
    driver = Driver(reader)
    try:
        driver.until_records(1)
        first, second = PartitionId(topic, 0), PartitionId(topic, 1)
        read = driver.data.count(b"\n")
        assert read < 100
        assert reader.reading.waiting().messages[first] == 100 - read
        driver.until_records(100).until(lambda _: second in reader.reading.waiting().messages)
        assert reader.reading.waiting().messages == {first: 0, second: 0}
        assert len(board.inputs()) == 1
    finally:
        reader.close()
    assert reader.reading.waiting() == board.Waiting()
    assert not board.inputs()
