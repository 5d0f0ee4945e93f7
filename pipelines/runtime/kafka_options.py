"""The options of every pipeline for Kafka: how topics are read and written, and how to get in."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from abc import abstractmethod
from typing import Any, get_args

from command_line.arguments import positive, positive_duration
from command_line.credentials import read_security
from command_line.option import Group, Option
from command_line.value_options import VALUE_OPTIONS, read_value_format
from schemas.avro.wire_format import ValueFormat, make_decoder
from schemas.paths import real_path
from schemas.record_type import RecordType
from schemas.times import MICROS_PER_SECOND, parse_duration, read_iso_time, to_micros
from sinks.kafka.producer import Compression
from sinks.output import Output
from sources.address import Address
from sources.kafka.client import CLIENT_ID
from sources.kafka.monitor import Start
from sources.kafka.security import KafkaSecurity
from sources.kafka.settings import DEFAULT_READERS, ON_MISSING_OFFSET, STARTS
from sources.kafka.source import KafkaInput

#: How long a partition of Kafka is waited for.
DEFAULT_IDLE_PARTITION = "10s"
#: Of the names of topics so many characters are in the name of a group, and behind them a digest of so many bytes.
_SHOWN_CHARACTERS, _DIGEST_BYTES = 100, 6


def read_start(text: str) -> Start:
    """Return where to begin to read topics: a word, or the microseconds of a time."""
    if text in STARTS:
        return text
    try:
        return to_micros(read_iso_time(text))
    except ValueError:
        raise ValueError(f"expected {', '.join(STARTS)} or a time such as 2022-08-30T12:00:00Z, got {text!r}") from None


KAFKA = Group(
    "Kafka",
    Option(
        "--from",
        "where to begin to read topics: earliest, latest, a time such as 2022-08-30T12:00:00Z, or committed, "
        "what --kafka-group has committed (default: earliest)",
        "WHERE",
        check=read_start,
        dest="from_where",
    ),
    Option(
        "--idle-partition",
        "a partition that had no message for so long no longer holds back the others "
        f"(default: {DEFAULT_IDLE_PARTITION})",
        "TIME",
        check=positive_duration,
        default=DEFAULT_IDLE_PARTITION,
    ),
    Option(
        "--on-missing-offset",
        "what to do where the messages to go on with were deleted: fail, or go on with the earliest there is, "
        "and tell how many are missing (default: fail)",
        choices=ON_MISSING_OFFSET,
        default=ON_MISSING_OFFSET[0],
    ),
    Option(
        "--kafka-group",
        "the group for which offsets are committed, for --from committed and for those who look at its lag "
        "(default: one of this command, named by the pipeline, the topics, and what is done with them)",
        "NAME",
    ),
    Option(
        "--kafka-readers",
        "how many readers share the partitions, at most, on a runner such as Flink; DirectRunner and Prism "
        f"have one (default: {DEFAULT_READERS})",
        "N",
        type=positive,
    ),
    Option(
        "--kafka-security",
        "how to get in at the brokers, passwords and all (default: from the environment, KAFKA_USERNAME and the like)",
        "FILE.toml",
    ),
    Option(
        "--kafka-compression",
        "how messages that are written are compressed (default: lz4)",
        choices=get_args(Compression),
        default="lz4",
    ),
    Option(
        "--kafka-transactional",
        "let readers see the messages of a bundle together or not at all, not each as it is written",
        values="flag",
    ),
    *VALUE_OPTIONS,
    is_rare=True,
)


class KafkaOptions(argparse.Namespace):
    """The values of the options for Kafka; properties give them parsed.

    Attributes:
        pipeline: the name of the pipeline.
    """

    pipeline: str

    @property
    @abstractmethod
    def inputs(self) -> list[Address]:
        """Where records come from."""

    @property
    @abstractmethod
    def job(self) -> dict[str, Any]:
        """The options that say what is made of the input."""

    @property
    @abstractmethod
    def destinations(self) -> list[Output]:
        """Everything that results are written to."""

    @property
    def security(self) -> KafkaSecurity:
        """How to get in at the brokers of Kafka.

        Raises:
            ValueError: the file, or the environment, does not say; the message is one line.
        """
        return read_security(self.kafka_security, os.environ)

    @property
    def values(self) -> ValueFormat:
        """How the values of messages are written, in topics that are read and in those that are written to.

        Raises:
            ValueError: options do not go together, or a file cannot be used; the message is one line.
        """
        security, schemas = self.kafka_security, self.avro_schema or ()
        form, registry = self.value_format, self.schema_registry
        values = read_value_format(form, registry, schemas, security, os.environ)
        is_used = any(address.scheme == "kafka" for address in self.inputs) or any(
            out.is_topic for out in self.destinations
        )
        if not values.is_json and not is_used:
            raise ValueError(
                f"--value-format {values.form} is for topics of Kafka: there is no kafka://host:port/topic"
            )
        return values

    @property
    def start(self) -> Start:
        """Where to begin to read topics."""
        return read_start(self.from_where or STARTS[0])

    @property
    def kafka_group_name(self) -> str:
        """The group of consumers: the one that was named, or else that of this command, which no other has.

        A command is another one if it reads, writes or does something else. How long it runs, and how it gets in, is
        not asked; nor is where the brokers are, since they keep the offsets.
        """
        named: str | None = self.kafka_group
        if named:
            return named
        topics = sorted({topic for address in self.inputs for topic in address.topics})
        job = {
            "topics": topics,
            "files": sorted(real_path(address.path) for address in self.inputs if address.scheme == "file"),
            "others": sorted(address.text for address in self.inputs if address.scheme not in ("file", "kafka")),
            "outputs": sorted(output.identity for output in self.destinations),
            "job": self.job,
        }
        digest = hashlib.blake2b(json.dumps(job, sort_keys=True, default=str).encode(), digest_size=_DIGEST_BYTES)
        return ".".join([CLIENT_ID, self.pipeline, "+".join(topics)[:_SHOWN_CHARACTERS], digest.hexdigest()])

    def kafka_input(self, record_type: RecordType) -> KafkaInput:
        """How topics of such records are read.

        Raises:
            ValueError: an option for Kafka is given, and nothing of it is read; or how to get in is not known; or
                values are Avro, which becomes JSON, and the records are none.
            RegistryError: the schema registry is not there, or refuses.
        """
        values = self.values
        asked = self.from_where
        if not any(address.scheme == "kafka" for address in self.inputs):
            if asked:
                raise ValueError(f"--from {asked} is for topics of Kafka: there is no kafka://host:port/topic to read")
            return KafkaInput()
        if not values.is_json and not record_type.form.is_json:
            raise ValueError(f"--value-format {values.form} gives records as JSON, and a {record_type.name} is none")
        if values.registry is not None:
            values.registry.check()
        return KafkaInput(
            self.security,
            self.start,
            parse_duration(self.idle_partition) / MICROS_PER_SECOND,
            self.on_missing_offset,
            self.kafka_group_name,
            self.kafka_readers,
            None if values.is_json else make_decoder(values),
        )
