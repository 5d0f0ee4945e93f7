"""From options to sources and sinks: what every pipeline does before its first transform and after its last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam

from pipelines.options import StreamOptions, UsageError
from schemas.records import RecordType
from sinks.address import check_writable
from sinks.console import PrintResults
from sinks.files import WriteResults
from sinks.records import WriteRejected, prepare
from sources.reading import ReadAddresses


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


def check_outputs(options: StreamOptions, *, is_document: bool = False) -> None:
    """Looks whether everything can be written, before a record is read, and empties the files of bad records.

    Args:
        options: what was asked for.
        is_document: whether results are written as one JSON document per window.

    Raises:
        UsageError: something cannot be written.
    """
    try:
        for output in options.outputs:
            if output.kind == "file":
                check_writable(output.path)
                if is_document and output.format != "jsonl":
                    raise UsageError(f"one JSON document per window cannot be written to {output.path!r}: use .jsonl")
        for path in (options.rejected, options.late):
            if path:
                prepare(path)
    except OSError as error:
        raise UsageError(str(error)) from None


def write_results(
    results: beam.PCollection,
    options: StreamOptions,
    by: str,
    document: Sequence[str] = (),
) -> None:
    """Writes results to every output.

    Args:
        results: the results.
        options: what was asked for.
        by: the column whose greatest values the console shows.
        document: the values of a JSON document per window, or none for a row per key.
    """
    for number, output in enumerate(options.outputs):
        if output.kind == "console":
            results | f"PrintResults{number}" >> PrintResults(by=by)
        elif document:
            results | f"WriteResults{number}" >> WriteResults(output.path, "by_key", values=tuple(document))
        else:
            results | f"WriteResults{number}" >> WriteResults(output.path)


def write_records(records: beam.PCollection, path: str | None, label: str) -> None:
    """Writes rejected or late records, if a path was given."""
    if path:
        records | label >> WriteRejected(str(Path(path)))
