"""From options to sources and sinks: what every pipeline does before its first transform and after its last."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from pipelines.options import StreamOptions, UsageError
from pipelines.written import CountWritten
from schemas.records import RecordType
from sinks.address import Output, check_takes_results, check_writable
from sinks.files import WriteResults
from sinks.records import WriteRejected, prepare
from sources.chunks import find_files
from sources.reading import ReadAddresses

_NANOS_PER_MICRO = 1_000


@dataclass(frozen=True)
class Table:
    """One of the tables that a pipeline gives.

    Attributes:
        name: what a database calls it, where its address names none.
        key: the columns that tell the rows of a window apart.
        part: what is added to the names of files, and of a table that an address names, if it is not the main table.
        document: the values of one JSON document per window, or none for a row per key.
    """

    name: str
    key: tuple[str, ...]
    part: str = ""
    document: tuple[str, ...] = ()

    def path(self, output: Output) -> str:
        """Gives the path of the file of an output that takes this table."""
        path = Path(output.path)
        return str(path.with_name(f"{path.stem}-{self.part}{path.suffix}")) if self.part else output.path

    def table(self, output: Output) -> str:
        """Gives the name of the table in the database of an output."""
        if not output.table:
            return self.name
        return f"{output.table}_{self.part.replace('-', '_')}" if self.part else output.table

    def writer(self, output: Output) -> WriteResults:
        """Gives the transform that writes into files.

        Raises:
            ValueError: the ending of the path does not go with a document.
        """
        if self.document:
            return WriteResults(self.path(output), "by_key", self.key[0], values=self.document)
        return WriteResults(self.path(output), key=self.key)


def open_input(options: StreamOptions, record_type: RecordType) -> ReadAddresses:
    """Gives the transform that reads what was asked for.

    Raises:
        UsageError: a file is not there, a port is taken.
    """
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
        )
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def check_outputs(options: StreamOptions, *tables: Table) -> None:
    """Looks whether everything can be written, before a record is read. Changes no file that is there.

    Args:
        options: what was asked for.
        tables: what the pipeline is going to give.

    Raises:
        UsageError: something cannot be written.
    """
    outputs = [(table, output) for output in options.outputs for table in tables]
    files = [(table.path(output), table, output) for table, output in outputs if output.kind == "file"]
    records = [path for path in (options.rejected, options.late) if path]
    try:
        for output in options.outputs:
            check_takes_results(output)
        inputs = find_files([address.path for address in options.inputs if address.scheme == "file"])
        for path in (*(path for path, *_ in files), *records):
            if is_among(path, inputs):
                raise UsageError(f"{path!r} is read, so it cannot be written")
        for path, table, output in files:
            if is_among(path, records):
                raise UsageError(f"{path!r} cannot take both results and records")
            table.writer(output)
            check_writable(path)
        for path in records:
            check_appendable(path)
        for table, output in outputs:
            if output.url is not None:
                from sinks.database import check_sql  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

                check_sql(output.url, table.table(output))
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def is_among(path: str, others: Sequence[str]) -> bool:
    """Tells whether a file is one of several, however they are written."""
    return Path(path).resolve() in {Path(other).resolve() for other in others}


def check_appendable(path: str) -> None:
    """Looks whether a file of records can be written; makes its folder, and changes no file that is there.

    Raises:
        UsageError: it cannot be.
        SinkError: the same; the message is one line.
    """
    if not Path(path).exists() or Path(path).is_dir():
        check_writable(path)
    elif not os.access(path, os.W_OK):
        raise UsageError(f"cannot write {path}: {os.strerror(errno.EACCES)}")


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
            from sinks.table import WriteTable  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

            run = time.time_ns() // _NANOS_PER_MICRO
            stored = results | f"WriteTable {label}" >> WriteTable(output.url, table.table(output), table.key, run=run)
            stored | f"CountStored {label}" >> CountWritten(output.path, rows=True)
        elif output.kind == "file":
            written = results | f"WriteFiles {label}" >> table.writer(output)
            written | f"CountWritten {label}" >> CountWritten(table.path(output))


def write_records(records: beam.PCollection, path: str | None, label: str) -> None:
    """Writes rejected or late records, if a path was given; what was in that file goes."""
    if path:
        prepare(path)
        records | label >> WriteRejected(str(Path(path)))
