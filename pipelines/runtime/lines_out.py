"""Single records to outputs, as they come: what pipelines that do not sum up share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import apache_beam as beam

from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.paths import check_paths
from pipelines.runtime.results_out import check_topics, topic_of
from pipelines.runtime.runners import is_local
from pipelines.runtime.written import CountWritten
from schemas.elements.frames import Batch
from schemas.paths import is_stream
from sinks.address import LINE_FORMATS, Output
from sinks.files.json_text import json_lines
from sinks.lines.line_file import FileLines, check_lines
from sinks.lines.peers import TcpPeer, UdpPeer
from sinks.lines.render import Layout, header_line, render_lines
from sinks.lines.write import Destination, StdoutLines, WriteLines
from sources.address import parse_address
from transforms.untyped.infer_schema import Shape

#: The name of the table, where the address names none.
TABLE = "records"
_RAW = Layout()
_FORMATS = ("jsonl", *LINE_FORMATS.values())


def check_line_outputs(options: StreamOptions, outputs: Sequence[Output] | None = None) -> None:
    """Looks whether everything can be written, before a record is read. Changes no file that is there.

    Args:
        options: what was asked for.
        outputs: where to; all outputs, if none are named.

    Raises:
        UsageError: something cannot be written.
    """
    outputs = options.outputs if outputs is None else outputs
    files = [output.path for output in outputs if output.kind == "file"]
    try:
        for output in outputs:
            if output.kind == "file" and output.format not in _FORMATS:
                expected = ", ".join(f".{ending}" for ending in _FORMATS)
                raise UsageError(f"{output.path!r} cannot be written record by record: expected a path in {expected}")
        records = [options.rejected] if options.rejected else []
        check_paths(options, files)
        for path in (*files, *records):
            check_lines(path)
            if is_stream(path) and not is_local(options):
                raise UsageError(f"{path!r} is a pipe or a device of this process, and the workers are in others")
        for output in outputs:
            if output.url is not None:
                from sinks.sql.database import check_sql  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

                check_sql(output.url, output.table or TABLE)
            elif output.kind == "udp":
                place_of(output, options).open().close()
        check_topics(options, [topic_of(output, options) for output in outputs if output.kind == "kafka"])
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def check_headers(options: StreamOptions, layouts: Sequence[Layout]) -> None:
    """See that rows that are appended to a file go with the header row that is there.

    Raises:
        UsageError: it is another one.
    """
    try:
        for output, layout in zip(options.outputs, layouts, strict=True):
            if output.kind == "file":
                _file_of(output, options, layout).check_header()
    except ValueError as error:
        raise UsageError(str(error)) from None


def line_files(options: StreamOptions, layouts: Sequence[Layout]) -> list[FileLines]:
    """Return the files of lines that a run writes: outputs, and that of rejected records."""
    outputs = zip(options.outputs, layouts, strict=True)
    files = [_file_of(output, options, layout) for output, layout in outputs if output.kind == "file"]
    rejected = [FileLines.for_run(options.rejected, replace=options.reads_again)] if options.rejected else []
    return [*files, *rejected]


def write_lines(
    records: beam.PCollection,
    options: StreamOptions,
    shape: Shape,
    layouts: Sequence[Layout],
    *,
    key: str = "",
) -> None:
    """Writes the records to every output, one after the other, as they come.

    Args:
        records: batches.
        options: what was asked for.
        shape: what the records are.
        layouts: how the records of each output are written.
        key: the column that is the key of messages.
    """
    for number, (output, layout) in enumerate(zip(options.outputs, layouts, strict=True)):
        if output.url is not None:
            from sinks.sql.insert import InsertRecords  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

            table = output.table or TABLE
            insert = InsertRecords(output.url, table, layout.columns, shape.numbers)
            written = records | f"Insert {number}" >> insert
            written | f"CountInserted {number}" >> CountWritten(output.path, rows=True)
            continue
        if output.kind == "kafka":
            from sinks.kafka.write import WriteMessages  # noqa: PLC0415 (an extra)

            topic = topic_of(output, options)
            written = records | f"Send {number}" >> WriteMessages(topic, layout, key)
            written | f"CountSent {number}" >> CountWritten(topic.address, rows=True)
            continue
        write = WriteLines(place_of(output, options, layout), partial(render_lines, layout=layout))
        written = records | f"Write {number}" >> write
        if output.kind == "file":
            written | f"CountLines {number}" >> CountWritten(output.path, rows=True)


def write_rows(batches: beam.PCollection, options: StreamOptions, output: Output, key: str) -> None:
    """Writes rows as JSON, as they come, to a topic or as lines.

    Args:
        batches: batches; of their rows, columns that begin with ``_`` are left out.
        options: what was asked for.
        output: where to.
        key: the column that is the key of messages.
    """
    if output.kind == "kafka":
        from sinks.kafka.write import WriteMessages  # noqa: PLC0415 (an extra)

        topic = topic_of(output, options)
        sent = batches | "SendRows" >> WriteMessages(topic, key=key)
        sent | "CountSentRows" >> CountWritten(topic.address, rows=True)
        return
    lines = batches | "RowLines" >> beam.Map(_row_lines).with_output_types(bytes)
    written = lines | "WriteRows" >> WriteLines(place_of(output, options))
    if output.kind == "file":
        written | "CountRowFile" >> CountWritten(output.path, rows=True)


def _row_lines(batch: Batch) -> bytes:
    return json_lines(batch.rows.select(name for name in batch.rows.columns if not name.startswith("_")))


def place_of(output: Output, options: StreamOptions, layout: Layout = _RAW) -> Destination:
    """Gives where the lines of an output go."""
    if output.kind == "tcp":
        return TcpPeer(parse_address(output.path))
    if output.kind == "udp":
        return UdpPeer(parse_address(output.path))
    return _file_of(output, options, layout) if output.kind == "file" else StdoutLines()


def _file_of(output: Output, options: StreamOptions, layout: Layout) -> FileLines:
    has_header = layout.style == "csv" and output.format == "csv"
    header = header_line(layout.columns) if has_header else b""
    return FileLines.for_run(output.path, replace=options.reads_again, header=header)
