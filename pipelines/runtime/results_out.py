"""From options to sources and sinks: what every pipeline does before its first transform and after its last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import apache_beam as beam

from pipelines.runtime.dialect_options import check_form, dialect_options
from pipelines.runtime.going_on import check_going_on
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.paths import check_paths
from pipelines.runtime.written import CountResults, CountWritten
from schemas.record_type import RecordType
from sinks.charts.draw import Chart, DrawChart
from sinks.charts.figure import check_plot
from sinks.console.output import ConsoleOutput
from sinks.files.rejected import WriteRejected
from sinks.kafka.producer import make_topics
from sinks.lines.line_file import check_lines
from sinks.lines.object_lines import lines_to
from sinks.output import Table
from sources.address import Address
from sources.kafka.client import Brokers
from sources.read import Read

if TYPE_CHECKING:
    from sinks.kafka.write import Topic

_NO_POSITIONS = (
    "--positions is for what keeps no totals, as the relay: behind a position they would begin anew; give the same "
    "command again over input that can be read again, or go on from a savepoint on Flink (docs/flink.md)"
)


def reading(options: StreamOptions, record_type: RecordType, **more: Any) -> Read:
    """Return the transform that reads what was asked for; ``more`` are fields of it that only some pipelines set.

    Raises:
        OSError: a file is not there, a port is taken, or a broker does not answer or refuses.
        ValueError: the options do not go together.
    """
    written = dialect_options(options)
    check_form(written, record_type.form)
    return Read(
        tuple(options.inputs),
        replace(record_type, written=written),
        options.pace,
        options.disorder_micros(is_live=False),
        options.disorder_micros(is_live=True),
        options.idle_timeout_seconds,
        options.max_records,
        options.is_following,
        kafka=options.kafka_input(record_type),
        spread=options.spread,
        **more,
    )


def open_input(options: StreamOptions, record_type: RecordType) -> Read:
    """Return the transform that reads what was asked for, to be summed up.

    Raises:
        UsageError: a file is not there, a port is taken, a broker does not answer or refuses; or positions are to be
            kept, and there are totals.
    """
    if options.positions:
        raise UsageError(_NO_POSITIONS)
    check_going_on(options, sums_up=True)
    try:
        return reading(options, record_type)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def check_outputs(options: StreamOptions, *tables: Table) -> None:
    """Check that everything can be written, before a record is read; change no file that is there.

    Args:
        options: what was asked for.
        tables: what the pipeline is going to give.

    Raises:
        UsageError: something cannot be written.
    """
    records = [path for path in (options.rejected, options.late) if path]
    charts = [options.plot_path] if options.plot_path else []
    if options.files_as == "single" and options.may_never_end:
        raise UsageError(
            "--files single is written when the input ends, which this one need not do: expected --files per-window "
            "or hive, or an end by --max-records or --idle-timeout"
        )
    try:
        for output in options.outputs:
            for table in tables:
                output.result_writer(table, options)
        check_paths(options, [*(path for output in options.outputs for path in output.files(tables)), *charts])
        for output in options.outputs:
            output.check(tables, options)
        for path in charts:
            check_plot(path)
        for path in records:
            check_lines(path)
        check_topics(options, [topic for output in options.outputs for topic in output.topics(tables, options)])
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def check_topics(options: StreamOptions, topics: Sequence[Topic]) -> None:
    """See that topics can be written to, and make those that are missing.

    Raises:
        ValueError: an extra is missing, the options do not go together, or a topic is read, or written twice.
        BrokerError: the brokers are not there, or refuse.
        RegistryError: the schema registry is not there, or refuses.
    """
    if options.kafka_transactional and not any(output.is_topic for output in options.destinations):
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
    """Return whether a topic is one of those of an address: brokers of one cluster may be named one by one."""
    servers = set(topic.producer.brokers.servers.split(","))
    return topic.name in address.topics and not servers.isdisjoint(address.host.split(","))


def write_results(results: beam.PCollection, options: StreamOptions, table: Table) -> None:
    """Write results to every output: databases and the console get early ones, too.

    Args:
        results: the results.
        options: what was asked for.
        table: how they are named, and printed.
    """
    results | f"Count {table.name}" >> CountResults(table.name)
    if table.show is not None and any(isinstance(output, ConsoleOutput) for output in options.outputs):
        results | f"Show {table.name}" >> table.show
    for number, output in enumerate(options.outputs):
        if not isinstance(output, ConsoleOutput):
            written = results | f"Write {table.name} {number}" >> output.result_writer(table, options)
            written | f"Count {table.name} {number}" >> CountWritten.of(output, table)


def draw_chart(parts: Mapping[str, beam.PCollection], path: str, chart: Chart) -> None:
    """Draw the chart of a pipeline, early and final totals, and count what is final."""
    drawn = parts | "DrawChart" >> DrawChart(path, chart)
    drawn | "Count charts" >> CountWritten(path)


def write_records(records: beam.PCollection, path: str | None, label: str, options: StreamOptions) -> None:
    """Write rejected or late records, if a path was given.

    What was in that file goes when the first one is written, where the input is read from its beginning; else they are
    appended to it.
    """
    if path:
        records | label >> WriteRejected(lines_to(path, options))
