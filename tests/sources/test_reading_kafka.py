"""Topics among the addresses that are read, and one small run on Prism, whose windows close while it runs."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult, PipelineState, create_runner

from schemas.elements.frames import Batch, Result
from sources import drain
from sources.address import parse_address
from sources.kafka.client import BrokerError
from sources.kafka.source import KafkaInput, KafkaTopics
from sources.read import Read, most_readers
from tests.brokers import Broker
from tests.patience import PATIENCE_SECONDS
from tests.sources.kafka.test_source import SALE, sale
from tests.sources.test_backlog import START
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Count
from transforms.parse.parser import parse_as
from transforms.windows import Windows

_MINUTE = 60_000_000
#: What the pipeline of this process has given: the start of a window, its rows, and whether that is final.
_GIVEN: list[tuple[int, int, bool]] = []
#: The rows that it has read, a block each.
_READ: list[int] = []


def reading(*texts: str, **options) -> Read:
    return Read(tuple(map(parse_address, texts)), SALE, **options)


def keep(result: Result) -> None:
    assert result.window_start is not None
    rows = int(result.rows["rows"].sum())
    _GIVEN.append(((result.window_start - START) // _MINUTE, rows, result.final))


def test_each_address_is_a_source_with_the_options_of_live_input(kafka: Broker) -> None:
    names = [kafka.create_topic() for _ in range(3)]
    kept = KafkaInput(start="latest", idle_partition_seconds=3, group="g", max_readers=2)
    read = reading(
        kafka.address(*names[:2]), kafka.address(names[2]), live_disorder_micros=7, max_records=9, kafka=kept
    )
    first, second = pickle.loads(pickle.dumps(read))._sources
    assert isinstance(first, KafkaTopics)
    assert (first.topics, second.topics) == (tuple(names[:2]), (names[2],))
    assert first.token != second.token
    assert (first.disorder_micros, first.max_records, first.start) == (7, 9, "latest")
    assert (first.idle_partition_seconds, first.group, first.max_readers) == (3, "g", 2)
    assert read.total_bytes is None


@pytest.mark.parametrize(
    ("runner", "asked", "most"),
    [
        ("DirectRunner", 4, 1),
        ("PrismRunner", 4, 1),
        ("FnApiRunner", 4, 1),
        ("PortableRunner", None, 1),
        ("PortableRunner", 3, 3),
        ("FlinkRunner", None, 4),
        ("FlinkRunner", 3, 3),
    ],
)
def test_only_a_runner_that_keeps_watermarks_apart_has_several_readers(
    runner: str, asked: int | None, most: int
) -> None:
    assert most_readers(create_runner(runner), asked) == most


def test_an_address_without_a_topic_is_one_line(kafka: Broker) -> None:
    with pytest.raises(ValueError, match=r"expected kafka://.*/topic, got no topic"):
        reading(kafka.address())


def test_a_broker_that_refuses_is_one_line(kafka: Broker) -> None:
    with pytest.raises(BrokerError, match=r"^[^\n]+$"):
        reading(f"kafka://{kafka.endpoint('SASL_SSL')}/x", kafka=KafkaInput())


def count(batch: Batch) -> None:
    _READ.append(batch.rows.height)


@contextmanager
def windows_of(read: Read, prism: PipelineOptions) -> Iterator[PipelineResult]:
    """Counts rows a minute into _GIVEN, and rows that were read into _READ, while the block runs; then drains."""
    drain.reset()
    _GIVEN.clear()
    _READ.clear()
    pipeline = beam.Pipeline(options=prism)
    batches = (pipeline | read | parse_as(SALE))["records"]
    batches | "CountRead" >> beam.Map(count)
    totals = batches | Aggregate((), {"rows": Count()}, Windows(_MINUTE))
    totals | beam.Map(keep)
    result = pipeline.run()
    try:
        yield result
        drain.drain()
        ending = threading.Thread(target=result.wait_until_finish, daemon=True)
        ending.start()
        ending.join(PATIENCE_SECONDS)
        assert not ending.is_alive()
    finally:
        drain.reset()
        if not PipelineState.is_terminal(result.state):
            result.cancel()


def wait_until(is_so: Callable[[], bool], result: PipelineResult) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, (_GIVEN, sum(_READ))
        assert not PipelineState.is_terminal(result.state)
        time.sleep(0.1)


def test_windows_close_while_it_runs_and_every_message_is_in_one(kafka: Broker, prism: PipelineOptions) -> None:
    topic = kafka.create_topic(partitions=3)
    kafka.produce(topic, [sale(second) for second in range(120)])
    with windows_of(
        reading(kafka.address(topic), kafka=KafkaInput(idle_partition_seconds=PATIENCE_SECONDS)), prism
    ) as result:
        for minute in range(2, 5):
            kafka.produce(topic, [sale(second) for second in range(60 * minute, 60 * minute + 60)])
            wait_until(lambda last=minute - 1: any(window == last for window, *_ in _GIVEN), result)
    assert sorted(_GIVEN) == [(minute, 60, True) for minute in range(5)]


@pytest.mark.parametrize("topics", [1, 2])
def test_windows_wait_for_a_partition_that_is_behind(kafka: Broker, prism: PipelineOptions, topics: int) -> None:
    names = [kafka.create_topic(partitions=2 // topics) for _ in range(topics)]
    # So long that it is read for several bundles, in which the other one has nothing.
    kafka.produce(names[-1], [sale(second // 1_000) for second in range(200_000)], partition=2 // topics - 1)
    read = reading(*map(kafka.address, names), kafka=KafkaInput(idle_partition_seconds=PATIENCE_SECONDS))
    with windows_of(read, prism) as result:
        wait_until(lambda: sum(_READ) == 200_000, result)
        time.sleep(1)
        assert not _GIVEN
        kafka.produce(names[0], [sale(second) for second in range(200)], partition=0)
        wait_until(lambda: sum(_READ) == 200_200, result)
    assert sorted(_GIVEN) == [(0, 60_060, True), (1, 60_060, True), (2, 60_060, True), (3, 20_020, True)]
