"""What a pipeline of your own writes with: an address as people type it, checked when the transform is made."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from schemas.avro.wire_format import ValueFormat
from schemas.elements.frames import Batch, Result, Written
from schemas.elements.wiring import check_elements, try_on
from schemas.passwords import withhold
from sinks.address import parse_output
from sinks.files.formats import LINE_FORMATS, Files
from sinks.kafka.producer import Compression
from sinks.lines import write as lines
from sinks.lines.render import Layout
from sinks.output import Table
from sources.kafka.security import KafkaSecurity

_JSON_FORMATS = (None, "jsonl", "ndjson")


@dataclass(frozen=True)
class WriteSettings:
    """What an address does not say of how to write there.

    Attributes:
        reads_again: whether lines take the place of those of an earlier run, and are not appended.
        ends_here: whether lines are one object of a store, made by a run of ``pipelines.runtime``.
        tries_again: whether bundles that have failed are tried again, on workers that all see the same files.
        works_here: whether all steps are in this process, so that large results may go through temporary files.
        files_as: how results become files: ``single``, ``per-window`` or ``hive``, a folder of partitions; by default
            one file of results that have an end, and one per window of others.
        security: how to get in at brokers of Kafka.
        kafka_compression: how messages are compressed.
        kafka_transactional: whether readers see the messages of a bundle together or not at all.
        values: how the values of messages are written.
    """

    reads_again: bool = False
    ends_here: bool = False
    tries_again: bool = False
    works_here: bool = False
    files_as: Files | None = None
    security: KafkaSecurity = KafkaSecurity()
    kafka_compression: Compression = "lz4"
    kafka_transactional: bool = False
    values: ValueFormat = ValueFormat()


@dataclass(eq=False)
class WriteResults(beam.PTransform):
    """Write results to a file, a table, a topic, or the console; give what was written.

    Results that have an end are one file, in the order of windows and keys; others one per window (see
    :class:`WriteSettings`). Files take final results; the others early ones, too, and keep or show the newest of each
    window and key.

    >>> WriteResults("totals.xls")
    Traceback (most recent call last):
        ...
    ValueError: unknown ending in 'totals.xls': expected .jsonl, .avro, .parquet (here or in s3://, gs://, abfss://), \
sqlite:///PATH, postgresql://..., kafka://HOST:PORT/TOPIC or - for the console

    Attributes:
        output: where to: a path in ``.jsonl``, ``.avro`` or ``.parquet``, here or in ``s3://``, ``sqlite:///PATH``, ``postgresql://...``,
            ``kafka://HOST:PORT/TOPIC``, or ``-``.
        key: the column, or columns, that tell the rows of a window apart; only files can do without.
        table: the name of the table in a database, where the address has none.
        document: of files and topics, the values of one JSON document per window instead of a row per key.
        shrinks: whether a newer result may lack rows that an older one of its window has, so that they go.
        settings: what the address does not say.

    Raises:
        ValueError: when made, it is no address, takes no results, or needs a key; when run, a column is missing.
        SinkError: when run, it cannot be written; the message is one line.
    """

    output: str
    key: str | tuple[str, ...] = ()
    table: str = "results"
    document: tuple[str, ...] = ()
    shrinks: bool = False
    settings: WriteSettings = WriteSettings()

    def __post_init__(self) -> None:
        """Make the writer, which checks everything; a password is held by this process."""
        super().__init__()
        self.output = withhold(self.output)
        output, key = parse_output(self.output), (self.key,) if isinstance(self.key, str) else tuple(self.key)
        if not key and (output.unit != "file" or self.document):
            raise ValueError(f"{output.path} needs to know which columns tell rows apart: expected key=(...), got none")
        table = Table(self.table, key, document=self.document, shrinks=self.shrinks)
        self._key = key
        self._writer = output.result_writer(table, self.settings)

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Apply the writer of that kind of output."""
        check_elements(results, "WriteResults", Result)
        try_on(results, f"WriteResults({self.output!r})", lambda rows: rows.select(*self._key))
        return results | "Write" >> self._writer


@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteRecords(beam.PTransform):
    """Write each record of batches as JSON, as it comes, to a file of lines, a topic, a peer or the console.

    Attributes:
        output: where to: a path in ``.jsonl`` or ``.ndjson``, ``kafka://HOST:PORT/TOPIC``, ``tcp://HOST:PORT``,
            ``udp://HOST:PORT``, or ``-``.
        key: the column whose text is the key of messages; none without.
        settings: what the address does not say.

    Raises:
        ValueError: when made, it is no address, or takes no JSON.
        SinkError: when run, it cannot be written; the message is one line.
    """

    output: str
    key: str = ""
    settings: WriteSettings = WriteSettings()

    def __post_init__(self) -> None:
        """Make the writer, which checks everything."""
        super().__init__()
        output = parse_output(self.output)
        if output.format in LINE_FORMATS.values() and output.format not in _JSON_FORMATS:
            raise ValueError(f"records are JSON: expected a path ending in .jsonl or .ndjson, got {self.output!r}")
        self._writer = output.record_writer(None, self.settings, self.key)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Apply the writer of that kind of output."""
        check_elements(batches, "WriteRecords", Batch)
        try_on(batches, f"WriteRecords({self.output!r})", lambda rows: rows.select(self.key) if self.key else rows)
        return batches | "Write" >> self._writer


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteLines(beam.PTransform):
    """Write texts, each a line, as they come, to a file, a peer or the console.

    Attributes:
        output: where to: a path in ``.txt``, ``.csv``, ``.jsonl`` or ``.ndjson``, ``tcp://HOST:PORT``,
            ``udp://HOST:PORT``, or ``-``.
        settings: what the address does not say.

    Raises:
        ValueError: when made, it is no address, or takes no lines; when run, a text has a line end in it.
        SinkError: when run, it cannot be written; the message is one line.
    """

    output: str
    settings: WriteSettings = WriteSettings()

    def __post_init__(self) -> None:
        """Check the address."""
        super().__init__()
        self._place = parse_output(self.output).destination(Layout(), self.settings)

    def expand(self, texts: beam.PCollection) -> beam.PCollection:
        """Encode the lines, and write them."""
        return texts | "Encode" >> beam.Map(_line).with_output_types(bytes) | "Write" >> lines.WriteLines(self._place)


def _line(text: str) -> bytes:
    if "\n" in text:
        raise ValueError(f"expected one line, got {text[:80]!r}")
    return text.encode() + b"\n"
