"""Results into files: one window, one file, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, cast, get_args
from urllib.parse import quote

import apache_beam as beam

from schemas.elements.coders import register_row
from schemas.elements.frames import Result, Written
from schemas.object_path import inserted, is_remote
from schemas.times import to_datetime
from sinks.files.atomic import SinkError, one_line_errors, write_whole
from sinks.files.encode import encode_table
from sinks.files.formats import FORMATS, format_of
from sinks.files.json_text import json_by_key
from sinks.files.table_layout import WINDOW_COLUMNS, lay_out, require
from storage.place import find_objects
from transforms.threads import ThreadedFn

Shape = Literal["rows", "by_key"]
_PARTITIONED = WINDOW_COLUMNS[0]


register_row(Written)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteFiles(beam.PTransform):
    """Write each final result as one file, and yield a :class:`Written` for each; early ones are left out.

    The totals of all time go to the very path given. Those of a window go to ``stem-<window>.ending`` beside it, e.g.
    ``totals-20110401T000000Z-20110402T000000Z.jsonl``. A result is one element and makes one
    file, so windows cannot mix.

    A file appears under its name when it is whole. Doing it again writes the same bytes over it.

    The shape ``rows`` has a row per key: ``window_start``, ``window_end``, and the columns of the result. The shape
    ``by_key`` is a single JSON object in one line, ``{"4011":["BANANAS",3,2.66,2.37]}``.

    In a folder of partitions, as Hive and Spark make them, a window is a folder of its own:
    ``totals.parquet/window_start=2011-04-01T00%3A00%3A00Z/part.parquet``, without the column that its name tells.

    >>> import polars as pl
    >>> hour = Result(0, 3_600_000_000, pane=0, final=True, rows=pl.DataFrame())
    >>> WriteFiles("out/totals.parquet").path_of(hour)
    'out/totals-19700101T000000Z-19700101T010000Z.parquet'
    >>> WriteFiles("totals.parquet", hive=True).path_of(hour)
    'totals.parquet/window_start=1970-01-01T00%3A00%3A00Z/part.parquet'

    Attributes:
        path: where to, on this machine or in an object store (``s3://bucket/key``); its ending tells the format:
            ``.jsonl``, ``.avro``, ``.parquet``; ``.json`` for ``by_key``.
        shape: ``rows`` or ``by_key``.
        key: the column, or columns, that tell the rows apart; the rows are sorted by it.
        values: what ``by_key`` writes of a row, in order.
        hive: whether the path is a folder of partitions.

    Raises:
        ValueError: when made, the ending is not known or does not go with the shape; when run, a column is missing.
        SinkError: when run, a file cannot be written.
    """

    path: str
    shape: Shape = "rows"
    key: str | tuple[str, ...] = "upc"
    values: tuple[str, ...] = ("description", "quantity", "scale", "spend")
    hive: bool = False

    def __post_init__(self) -> None:
        """Check that ending and shape go together."""
        super().__init__()
        if self.shape not in get_args(Shape):
            raise ValueError(f"shape must be rows or by_key, got {self.shape!r}")
        self._format = format_of(self.path)
        if self.shape == "by_key" and self._format not in ("json", "jsonl"):
            raise ValueError(f"shape by_key is JSON: expected a path ending in .json or .jsonl, got {self.path!r}")
        if self.shape == "by_key" and self.hive:
            raise ValueError("a folder of partitions is a table, and shape by_key is one document")
        if self.shape == "by_key" and not isinstance(self.key, str):
            raise ValueError(f"shape by_key has one key column, got {self.key!r}")
        if self.shape == "rows" and self._format == "json":
            known = ", ".join(ending for ending, of in FORMATS.items() if of != "json")
            raise ValueError(f"unknown ending in {self.path!r}: expected {known} (.json is for shape by_key)")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Apply the two steps."""
        return pcoll | "KeepFinal" >> beam.Filter(_is_final) | "WriteWhole" >> beam.ParDo(_WriteFn(self))

    def path_of(self, result: Result) -> str:
        """Return the path of the file that the result goes to."""
        if self.hive:
            return f"{self.path}/{_partition(result.window_start)}/part{PurePath(self.path).suffix}"
        return self.path if result.label == "all" else inserted(self.path, f"-{result.label}")

    def write(self, result: Result) -> str:
        """Write the file of the result, and return its path.

        Raises:
            ValueError: a column is missing.
            SinkError: it cannot be written.
        """
        path = self.path_of(result)
        # A folder of partitions has no other files in it, not even hidden ones, which some readers take for parts.
        write_whole(path, self.encode(result), beside=self.path)
        return path

    def encode(self, result: Result) -> bytes:
        """Return the bytes of the file that the result goes to.

        Raises:
            ValueError: a column is missing.
        """
        if self.shape == "rows":
            rows = lay_out(result, (self.key,) if isinstance(self.key, str) else self.key)
            return encode_table(self._format, rows.drop(_PARTITIONED) if self.hive else rows)
        key = cast(str, self.key)
        require(result.rows, self.values)
        return json_by_key(lay_out(result, (key,)), key, self.values)


def _is_final(result: Result) -> bool:
    return result.final


def check_no_partitions(folder: str) -> None:
    """See that a folder has no partitions yet: those of windows that a new run has not would be read with its own.

    Raises:
        SinkError: it has some, or cannot be looked into.
    """
    pattern = f"{_PARTITIONED}=*/part{PurePath(folder).suffix}"
    with one_line_errors(folder):
        found = find_objects(f"{folder}/{pattern}") if is_remote(folder) else [*Path(folder).glob(pattern)]
        if found:
            raise SinkError(f"{folder} has the windows of an earlier run: remove it, or choose another folder")


def _partition(start: int | None) -> str:
    """Return the folder of a window, as Hive names those of a value: with its signs in percent, and of none so."""
    value = "__HIVE_DEFAULT_PARTITION__"
    if start is not None:
        value = quote(f"{to_datetime(start).replace(tzinfo=None).isoformat()}Z")
    return f"{_PARTITIONED}={value}"


class _WriteFn(ThreadedFn[Result, str]):
    def __init__(self, options: WriteFiles) -> None:
        self._options = options

    def work(self, element: Result) -> str:
        return self._options.write(element)

    def outputs(self, done: str, element: Result) -> Iterator[Written]:
        yield Written(done, element.rows.height)
