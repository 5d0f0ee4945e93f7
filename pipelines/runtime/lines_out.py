"""Single records to outputs, as they come: what pipelines that do not sum up share."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.paths import check_paths
from pipelines.runtime.results_out import check_topics
from pipelines.runtime.runners import is_local
from pipelines.runtime.written import CountWritten
from schemas.paths import is_stream
from sinks.address import parse_output
from sinks.lines.line_file import check_lines
from sinks.lines.object_lines import LineKeeper, lines_to
from sinks.lines.render import Layout
from sinks.output import RECORDS, Output

_RAW = Layout()
#: The files that take one row after the other, and what these are made of.
_ROW_FORMATS = ("jsonl", "ndjson")


def check_line_outputs(options: StreamOptions, outputs: Sequence[Output] | None = None) -> None:
    """Check that everything can be written, before a record is read; change no file that is there.

    Args:
        options: what was asked for.
        outputs: where to; all outputs, if none are named.

    Raises:
        UsageError: something cannot be written.
    """
    outputs = options.outputs if outputs is None else outputs
    files = [path for output in outputs for path in output.files([RECORDS])]
    records = [options.rejected] if options.rejected else []
    try:
        for output in outputs:
            output.record_writer(_RAW, options)
        check_paths(options, files)
        for path in (*files, *records):
            check_lines(path)
            if is_stream(path) and not is_local(options):
                raise UsageError(f"{path!r} is a pipe or a device of this process, and the workers are in others")
        for output in outputs:
            output.check_records()
        check_topics(options, [topic for output in outputs for topic in output.topics([RECORDS], options)])
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def read_rows_output(text: str) -> Output:
    """Return where single rows go as lines of JSON, or as messages.

    Raises:
        ValueError: it is no address, or takes no lines of JSON.
    """
    output = parse_output(text)
    if output.is_table or output.format not in (None, *_ROW_FORMATS):
        raise ValueError(f"expected kafka://host:port/topic or a path ending in .jsonl or .ndjson, got {output.path!r}")
    return output


def check_headers(options: StreamOptions, layouts: Sequence[Layout]) -> None:
    """See that rows that are appended to a file go with the header row that is there.

    Raises:
        UsageError: it is another one.
    """
    try:
        for file in _output_files(options, layouts):
            file.check_header()
    except ValueError as error:
        raise UsageError(str(error)) from None


def line_files(options: StreamOptions, layouts: Sequence[Layout]) -> list[LineKeeper]:
    """Return the files of lines that a run writes: outputs, and that of rejected records."""
    rejected = [lines_to(options.rejected, options)] if options.rejected else []
    return [*_output_files(options, layouts), *rejected]


def _output_files(options: StreamOptions, layouts: Sequence[Layout]) -> list[LineKeeper]:
    outputs = zip(options.outputs, layouts, strict=True)
    places = [output.destination(layout, options) for output, layout in outputs if output.unit == "file"]
    return [place for place in places if isinstance(place, LineKeeper)]


def write_lines(records: beam.PCollection, options: StreamOptions, layouts: Sequence[Layout], *, key: str = "") -> None:
    """Write the records to every output, one after the other, as they come.

    Args:
        records: batches.
        options: what was asked for.
        layouts: how the records of each output are written.
        key: the column that is the key of messages.
    """
    for number, (output, layout) in enumerate(zip(options.outputs, layouts, strict=True)):
        _write(records, options, output, layout, key, str(number))


def write_rows(batches: beam.PCollection, options: StreamOptions, output: Output, key: str) -> None:
    """Write rows as JSON, as they come, to a topic or as lines.

    Args:
        batches: batches; of their rows, columns that begin with ``_`` are left out.
        options: what was asked for.
        output: where to.
        key: the column that is the key of messages.
    """
    _write(batches, options, output, None, key, "rows")


def _write(
    batches: beam.PCollection, options: StreamOptions, output: Output, layout: Layout | None, key: str, label: str
) -> None:
    written = batches | f"Write {label}" >> output.record_writer(layout, options, key)
    if output.unit:
        written | f"Count {label}" >> CountWritten(output.counted(RECORDS), rows=True)
