"""Topics of Kafka as outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam

from sinks.kafka.producer import ProducerSettings
from sinks.kafka.write import Topic, WriteMessages, WriteTopic
from sinks.lines.render import Layout
from sinks.output import RECORDS, Output, OutputSettings, Table
from sources.address import parse_address
from sources.kafka.client import Brokers


@dataclass(frozen=True)
class TopicOutput(Output):
    """A topic; further tables have topics of their own."""

    unit = "message"
    is_topic = True

    @classmethod
    def parse(cls, text: str) -> TopicOutput:
        """Return the output of an address.

        Raises:
            ValueError: it is none, or has not just one topic.
        """
        address = parse_address(text)
        if len(address.topics) != 1:
            raise ValueError(f"expected kafka://HOST:PORT/TOPIC with one topic to write to, got {text!r}")
        return cls(f"kafka://{address.host}/{address.path}")

    def counted(self, table: Table) -> str:
        """Return the address of the topic of a table."""
        return f"{self.path}-{table.part}" if table.part else self.path

    def topics(self, tables: Sequence[Table], settings: OutputSettings) -> list[Topic]:
        """Return the topics of tables."""
        return [self.topic(settings, table) for table in tables]

    def topic(self, settings: OutputSettings, table: Table = RECORDS) -> Topic:
        """Return the topic of a table, or that of single records."""
        address = parse_address(self.counted(table))
        producer = ProducerSettings(Brokers(address.host, settings.security), settings.kafka_compression)
        return Topic(producer, address.path, settings.kafka_transactional, settings.values)

    def result_writer(self, table: Table, settings: OutputSettings) -> beam.PTransform:
        """Return the transform that sends a message per row."""
        topic = self.topic(settings, table)
        if table.document and not topic.values.is_json:
            raise ValueError("one document for each window has no schema: leave out --value-format")
        return WriteTopic(topic, table.key, table.document)

    def record_writer(self, layout: Layout | None, settings: OutputSettings, key: str = "") -> beam.PTransform:
        """Return the transform that sends a message per record."""
        return WriteMessages(self.topic(settings), layout, key)
