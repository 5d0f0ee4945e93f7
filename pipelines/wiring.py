"""From options to sources and sinks: what every pipeline does before its first transform and after its last."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam

from pipelines.options import StreamOptions, UsageError
from pipelines.written import CountWritten
from schemas.records import RecordType
from sinks.address import check_writable
from sinks.console import PrintResults
from sinks.files import WriteResults
from sinks.records import WriteRejected, prepare
from sources.chunks import find_files
from sources.reading import ReadAddresses

#: The table that a database takes results in, where neither its address nor the pipeline names one.
TABLE = "results"
_NANOS_PER_MICRO = 1_000


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
        )
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def check_outputs(options: StreamOptions, *, is_document: bool = False, table: str = TABLE) -> None:
    """Looks whether everything can be written, before a record is read. Changes no file that is there.

    Args:
        options: what was asked for.
        is_document: whether results are written as one JSON document per window.
        table: the table that a database takes results in, where its address names none.

    Raises:
        UsageError: something cannot be written.
    """
    files = [output.path for output in options.outputs if output.kind == "file"]
    records = [path for path in (options.rejected, options.late) if path]
    try:
        inputs = find_files([address.path for address in options.inputs if address.scheme == "file"])
        for path in (*files, *records):
            if _is_among(path, inputs):
                raise UsageError(f"{path!r} is read, so it cannot be written")
        for path in files:
            if _is_among(path, records):
                raise UsageError(f"{path!r} cannot take both results and records")
            _writer(path, ("",) if is_document else ())
            check_writable(path)
        for path in records:
            _check_appendable(path)
        for output in options.outputs:
            if output.url is not None:
                from sinks.database import check_sql  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

                check_sql(output.url, output.table or table)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def _is_among(path: str, others: Sequence[str]) -> bool:
    return Path(path).resolve() in {Path(other).resolve() for other in others}


def _check_appendable(path: str) -> None:
    if not Path(path).exists() or Path(path).is_dir():
        check_writable(path)
    elif not os.access(path, os.W_OK):
        raise UsageError(f"cannot write {path}: {os.strerror(errno.EACCES)}")


def _writer(path: str, document: Sequence[str]) -> WriteResults:
    return WriteResults(path, "by_key", values=tuple(document)) if document else WriteResults(path)


def write_results(
    results: beam.PCollection,
    options: StreamOptions,
    by: str,
    document: Sequence[str] = (),
    table: str = TABLE,
    key: tuple[str, ...] = ("upc",),
) -> None:
    """Writes results to every output: databases and the console get early ones, too.

    Args:
        results: the results.
        options: what was asked for.
        by: the column whose greatest values the console shows.
        document: the values of a JSON document per window, or none for a row per key.
        table: the table that a database takes results in, where its address names none.
        key: the columns that tell the rows of a table apart.
    """
    for number, output in enumerate(options.outputs):
        if output.kind == "console":
            results | f"PrintResults{number}" >> PrintResults(by=by)
            continue
        if output.url is not None:
            from sinks.table import WriteTable  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

            run = time.time_ns() // _NANOS_PER_MICRO
            stored = results | f"WriteTable{number}" >> WriteTable(output.url, output.table or table, key, run=run)
            stored | f"CountStored{number}" >> CountWritten(output.path, rows=True)
            continue
        written = results | f"WriteResults{number}" >> _writer(output.path, document)
        written | f"CountWritten{number}" >> CountWritten(output.path)


def write_records(records: beam.PCollection, path: str | None, label: str) -> None:
    """Writes rejected or late records, if a path was given; what was in that file goes."""
    if path:
        prepare(path)
        records | label >> WriteRejected(str(Path(path)))
