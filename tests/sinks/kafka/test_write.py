"""Results and records as messages of a real broker."""

from __future__ import annotations

import gc
import json
import pickle
from collections.abc import Iterator
from decimal import Decimal

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from confluent_kafka import Consumer, TopicPartition
from hypothesis import given

from schemas.avro.wire_format import ValueFormat
from schemas.elements.block import Block, Span
from schemas.elements.frames import RECORD, Batch, Result
from sinks.files.atomic import SinkError
from sinks.files.json_text import json_lines
from sinks.files.table_layout import lay_out
from sinks.kafka.producer import ProducerSettings
from sinks.kafka.write import (
    Topic,
    WriteMessages,
    WriteTopic,
    document_message,
    record_messages,
    result_messages,
)
from sinks.lines.render import Layout
from sources.kafka.client import Brokers
from sources.kafka.security import KafkaSecurity
from tests.brokers import Broker
from tests.patience import PATIENCE_SECONDS, wait_for
from tests.sinks.frames import frames
from transforms.untyped.json_fields import FIELD

HOUR = 3_600_000_000
NOWHERE = Topic(ProducerSettings(Brokers("127.0.0.1:1")), "2.totals")


def topic_of(broker: Broker, name: str, *, transactional: bool = False) -> Topic:
    return Topic(ProducerSettings(Brokers(broker.servers)), name, transactional)


def result(hour: int, rows: int, pane: int = 0, *, final: bool = True) -> Result:
    bounds = hour * HOUR, (hour + 1) * HOUR
    frame = pl.DataFrame(
        {
            "upc": [f"{number:013}" for number in range(rows)],
            "spend": [Decimal(f"{number}.50") for number in range(rows)],
        },
        schema_overrides={"spend": pl.Decimal(38, 9), "upc": pl.String},
    )
    return Result(*bounds, pane, final, frame)


def batch(*values: str) -> Batch:
    data = b"".join(b"%s\n" % value.encode() for value in values)
    rows = pl.DataFrame({RECORD: range(len(values)), FIELD + "k": list(values)}, schema_overrides={RECORD: pl.UInt32})
    return Batch(rows, Block(data, (Span(0, "here", 0),)))


@given(frames())
def test_each_row_is_a_message_with_what_files_have_and_when_it_was_given(rows: pl.DataFrame) -> None:
    given_early = Result(0, HOUR, 3, False, rows)
    values, keys = result_messages(NOWHERE, [given_early], ("upc",))
    marked = lay_out(given_early, ("upc",)).with_columns(
        pl.lit(3, pl.Int64).alias("pane"), pl.lit(value=False).alias("final")
    )
    assert b"".join(value + b"\n" for value in values) == json_lines(marked)
    assert keys is not None
    assert [None if key is None else key.decode() for key in keys] == sorted(
        rows["upc"].to_list(), key=lambda key: (key is not None, key)
    )


def test_a_key_of_several_columns_has_them_in_order() -> None:
    rows = pl.DataFrame(
        {"rank": [1, 2], "ranking": ["count", None], "at": [None, None]}, schema_overrides={"at": pl.Date}
    )
    found = result_messages(NOWHERE, [Result(None, None, 0, True, rows)], ("ranking", "rank", "at"))
    assert found.keys is not None
    assert set(found.keys) == {b"count|1|", b"|2|"}


def test_a_document_is_one_message_by_window() -> None:
    values, keys = document_message(result(0, 2), "upc", ("spend",))
    assert [json.loads(value) for value in values] == [{"0000000000000": [0.5], "0000000000001": [1.5]}]
    assert keys == [b"19700101T000000Z-19700101T010000Z"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="no column 'sku'"):
        result_messages(NOWHERE, [result(0, 1)], ("sku",))


def test_records_leave_as_they_came_with_a_key_or_without() -> None:
    assert record_messages(NOWHERE, batch("b", "a"), Layout()) == ([b"b", b"a"], None)
    assert record_messages(NOWHERE, batch("b", "a"), Layout(), "k") == ([b"b", b"a"], [b"b", b"a"])
    rows = pl.DataFrame({"item": ["x"], "price": [Decimal("1.50")], "_hidden": [1]})
    plain = Batch(rows, batch("x").block)
    assert record_messages(NOWHERE, plain, None, "item") == ([b'{"item":"x","price":1.5}'], [b"x"])


@pytest.mark.parametrize("transactional", [False, True])
def test_results_in_are_messages_out_on_every_runner(
    kafka: Broker, options: PipelineOptions, *, transactional: bool
) -> None:
    name = kafka.create_topic(partitions=2)
    results = [result(hour, 5 + hour, pane, final=pane > 0) for hour in range(4) for pane in range(2)]
    with beam.Pipeline(options=options) as pipeline:
        # One bundle has several windows.
        made = pipeline | beam.Create([0]) | beam.FlatMap(lambda _: results).with_output_types(Result)
        written = made | WriteTopic(topic_of(kafka, name, transactional=transactional), ("upc",))
        assert_that(written | beam.Map(lambda one: one.rows) | beam.CombineGlobally(sum), equal_to([52]))
    found = [json.loads(value or b"") for *_, value in kafka.consume_all(name)]
    assert len(found) == 52
    assert {(row["window_start"], row["upc"], row["pane"], row["final"]) for row in found} == {
        (f"1970-01-01T{hour:02}:00:00Z", f"{number:013}", pane, pane > 0)
        for hour in range(4)
        for pane in range(2)
        for number in range(5 + hour)
    }


def test_a_bundle_whose_messages_cannot_be_delivered_fails_in_one_line(kafka: Broker, fn_api: PipelineOptions) -> None:
    name = kafka.create_topic(config={"max.message.bytes": "1000"})
    pipeline = beam.Pipeline(options=fn_api)
    made = pipeline | beam.Create([0]) | beam.Map(lambda _: batch("x" * 5_000)).with_output_types(Batch)
    # Compressed it would be small enough.
    topic = Topic(ProducerSettings(Brokers(kafka.servers), "none"), name)
    made | WriteMessages(topic, Layout())
    with pytest.raises(SinkError, match=f"cannot send to kafka://{kafka.servers}/{name}: .*too large"):
        pipeline.run()


def end_of(servers: str, topic: str) -> int:
    """Return how many messages a topic of one partition has got, those of open transactions too."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "tests", "isolation.level": "read_uncommitted"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_SECONDS)[1]
    finally:
        consumer.close()


@pytest.mark.parametrize("transactional", [False, True])
def test_a_bundle_that_fails_elsewhere_is_not_seen_if_it_is_a_transaction(
    kafka: Broker, fn_api: PipelineOptions, *, transactional: bool
) -> None:
    name, servers = kafka.create_topic(), kafka.servers

    def give(_: int) -> Iterator[Batch]:
        yield batch("a", "b")
        wait_for(lambda: end_of(servers, name) >= 2)  # the messages have left
        raise OSError("the disk is on fire")

    pipeline = beam.Pipeline(options=fn_api)
    made = pipeline | beam.Create([0]) | beam.FlatMap(give).with_output_types(Batch)
    made | WriteMessages(topic_of(kafka, name, transactional=transactional), Layout())
    with pytest.raises(OSError, match="the disk is on fire"):
        pipeline.run()
    gc.collect()
    assert [value for *_, value in kafka.consume_all(name)] == ([] if transactional else [b"a", b"b"])


def test_a_bundle_is_tried_again_with_a_sender_that_has_not_failed(kafka: Broker) -> None:
    name = kafka.create_topic(config={"max.message.bytes": "1000"})
    small, large = batch("a", "b"), batch("x" * 5_000)
    topic = Topic(ProducerSettings(Brokers(kafka.servers), "none"), name)
    first, second = (WriteMessages(topic, Layout()).step() for _ in range(2))
    try:
        for step in (first, second):
            step.start_bundle()
            step.process(small)
            assert [written.value.rows for written in step.finish_bundle()] == [2]
        first.start_bundle()
        first.process(large)
        with pytest.raises(SinkError, match="too large"):
            list(first.finish_bundle())
        for step in (first, second):
            step.start_bundle()
            step.process(small)
            assert [written.value.rows for written in step.finish_bundle()] == [2]
    finally:
        first.teardown()
        second.teardown()
    assert [value for *_, value in kafka.consume_all(name)] == [b"a", b"b"] * 4


def test_transforms_travel_and_show_no_password() -> None:
    security = KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", "me", "s3cret-word")
    topic = Topic(ProducerSettings(Brokers("127.0.0.1:1", security)), "sales")
    assert pickle.loads(pickle.dumps(topic)) == topic
    assert topic.address == "kafka://127.0.0.1:1/sales"
    assert "s3cret-word" not in f"{topic!r} {WriteTopic(topic, ('upc',))!r} {WriteMessages(topic)!r}"


def test_a_record_that_does_not_fit_is_told_with_the_topic() -> None:
    topic = Topic(ProducerSettings(Brokers("127.0.0.1:1")), "sales", values=ValueFormat("avro"))
    with pytest.raises(
        SinkError, match=r"cannot write to kafka://127\.0\.0\.1:1/sales: a record fits none of our own Avro"
    ):
        record_messages(topic, batch('{"a":1}'), Layout())
