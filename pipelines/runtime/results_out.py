"""From options to sources and sinks: what every pipeline does before its first transform and after its last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import apache_beam as beam

from pipelines.runtime.going_on import check_going_on
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.paths import check_paths
from pipelines.runtime.written import CountWritten
from schemas.record_type import RecordType
from sinks.address import Output, check_takes_results
from sinks.files.atomic import check_writable
from sinks.files.rejected import WriteRejected
from sinks.files.write import WriteResults
from sinks.kafka.producer import ProducerSettings, make_topics
from sinks.lines.line_file import FileLines, check_lines
from sources.address import Address, parse_address
from sources.kafka.client import Brokers
from sources.read import ReadAddresses

if TYPE_CHECKING:
    from sinks.kafka.write import Topic

_NANOS_PER_MICRO = 1_000
_NO_POSITIONS = (
    "--positions is for what keeps no totals, as the relay: behind a position they would begin anew; give the same "
    "command again over input that can be read again, or go on from a savepoint on Flink (docs/flink.md)"
)


@dataclass(frozen=True)
class Table:
    """One of the tables that a pipeline gives.

    Attributes:
        name: what a database calls it, where its address names none.
        key: the columns that tell the rows of a window apart.
        part: what is added to the names of files, and of a table that an address names, if it is not the main table.
        document: the values of one JSON document per window, or none for a row per key.
        shrinks: whether a newer result may lack rows that an older one of its window has.
    """

    name: str
    key: tuple[str, ...]
    part: str = ""
    document: tuple[str, ...] = ()
    shrinks: bool = False

    def path(self, output: Output) -> str:
        """Gives the path of the file of an output that takes this table."""
        path = Path(output.path)
        return str(path.with_name(f"{path.stem}-{self.part}{path.suffix}")) if self.part else output.path

    def table(self, output: Output) -> str:
        """Gives the name of the table in the database of an output."""
        if not output.table:
            return self.name
        return f"{output.table}_{self.part.replace('-', '_')}" if self.part else output.table

    def topic(self, output: Output, options: StreamOptions) -> Topic:
        """Gives the topic of an output that takes this table."""
        return topic_of(output, options, f"-{self.part}" if self.part else "")

    def writer(self, output: Output) -> WriteResults:
        """Gives the transform that writes into files.

        Raises:
            ValueError: the ending of the path does not go with a document.
        """
        if self.document:
            return WriteResults(self.path(output), "by_key", self.key[0], values=self.document)
        return WriteResults(self.path(output), key=self.key)


def open_input(options: StreamOptions, record_type: RecordType) -> ReadAddresses:
    """Gives the transform that reads what was asked for, to be summed up.

    Raises:
        UsageError: a file is not there, a port is taken, a broker does not answer or refuses; or positions are to be
            kept, and there are totals.
    """
    if options.positions:
        raise UsageError(_NO_POSITIONS)
    check_going_on(options, sums_up=True)
    try:
        return ReadAddresses(
            tuple(options.inputs),
            record_type,
            options.pace,
            options.disorder_micros(is_live=False),
            options.disorder_micros(is_live=True),
            options.idle_timeout_seconds,
            options.get_all_options()["max_records"],
            options.is_following,
            kafka=options.kafka_input(record_type),
        )
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def check_outputs(options: StreamOptions, *tables: Table, others: Sequence[str] = ()) -> None:
    """Looks whether everything can be written, before a record is read. Changes no file that is there.

    Args:
        options: what was asked for.
        tables: what the pipeline is going to give.
        others: more files that it is going to write.

    Raises:
        UsageError: something cannot be written.
    """
    outputs = [(table, output) for output in options.outputs for table in tables]
    files = [(table.path(output), table, output) for table, output in outputs if output.kind == "file"]
    records = [path for path in (options.rejected, options.late) if path]
    try:
        for output in options.outputs:
            check_takes_results(output)
        check_paths(options, [*(path for path, *_ in files), *others])
        for path, table, output in files:
            table.writer(output)
            check_writable(path)
        for path in records:
            check_lines(path)
        for table, output in outputs:
            if output.url is not None:
                from sinks.sql.database import check_sql  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

                check_sql(output.url, table.table(output))
        sent = [(table, output) for table, output in outputs if output.kind == "kafka"]
        if not options.values.is_json and any(table.document for table, _ in sent):
            raise UsageError("one document for each window has no schema: leave out --value-format")
        check_topics(options, [table.topic(output, options) for table, output in sent])
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def topic_of(output: Output, options: StreamOptions, part: str = "") -> Topic:
    """Gives the topic of Kafka that an output goes to; ``part`` is added to its name."""
    from sinks.kafka.write import Topic  # noqa: PLC0415 (an extra)

    address = parse_address(output.path)
    return Topic(
        ProducerSettings(Brokers(address.host, options.security), options.kafka_compression),
        f"{address.path}{part}",
        options.kafka_transactional,
        options.values,
    )


def check_topics(options: StreamOptions, topics: Sequence[Topic]) -> None:
    """Sees that topics can be written to, and makes those that are missing.

    Raises:
        ValueError: an extra is missing, the options do not go together, or a topic is read, or written twice.
        BrokerError: the brokers are not there, or refuse.
        RegistryError: the schema registry is not there, or refuses.
    """
    if options.kafka_transactional and not any(output.kind == "kafka" for output in options.destinations):
        raise ValueError("--kafka-transactional is for topics: there is no --output kafka://host:port/topic")
    for number, topic in enumerate(topics):
        if any(_is_among_topics(topic, address) for address in options.inputs):
            raise ValueError(f"{topic.address!r} is read, so it cannot be written")
        if any(topic.address == other.address for other in topics[:number]):
            raise ValueError(f"{topic.address!r} is to be written twice")
    for registry in dict.fromkeys(topic.values.registry for topic in topics):
        if registry is not None:
            registry.check()
    names: dict[Brokers, list[str]] = {}
    for topic in topics:
        names.setdefault(topic.producer.brokers, []).append(topic.name)
    for brokers, found in names.items():
        make_topics(brokers, list(dict.fromkeys(found)))


def _is_among_topics(topic: Topic, address: Address) -> bool:
    """Tells whether a topic is one of those of an address: brokers of one cluster may be named one by one."""
    servers = set(topic.producer.brokers.servers.split(","))
    return topic.name in address.topics and not servers.isdisjoint(address.host.split(","))


def write_results(
    results: beam.PCollection, options: StreamOptions, table: Table, show: beam.PTransform | None = None
) -> None:
    """Writes results to every output: databases and the console get early ones, too.

    Args:
        results: the results.
        options: what was asked for.
        table: how they are named.
        show: what prints them, if the console is among the outputs.
    """
    if show is not None and any(output.kind == "console" for output in options.outputs):
        results | f"Show {table.name}" >> show
    for number, output in enumerate(options.outputs):
        label = f"{table.name} {number}"
        if output.url is not None:
            from sinks.sql.write import WriteTable  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

            run = time.time_ns() // _NANOS_PER_MICRO
            write = WriteTable(output.url, table.table(output), table.key, replace_window=table.shrinks, run=run)
            stored = results | f"WriteTable {label}" >> write
            stored | f"CountStored {label}" >> CountWritten(output.path, rows=True)
        elif output.kind == "kafka":
            from sinks.kafka.write import WriteTopic  # noqa: PLC0415 (an extra)

            topic = table.topic(output, options)
            sent = results | f"WriteTopic {label}" >> WriteTopic(topic, table.key, table.document)
            sent | f"CountSent {label}" >> CountWritten(topic.address, rows=True)
        elif output.kind == "file":
            written = results | f"WriteFiles {label}" >> table.writer(output)
            written | f"CountWritten {label}" >> CountWritten(table.path(output))


def write_records(records: beam.PCollection, path: str | None, label: str, options: StreamOptions) -> None:
    """Write rejected or late records, if a path was given.

    What was in that file goes when the first one is written, where the input is read from its beginning; else they are
    appended to it.
    """
    if path:
        records | label >> WriteRejected(FileLines.for_run(path, replace=options.reads_again))
