"""Files as outputs: all results in one, one for each window, or lines of single records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from schemas.elements.frames import Result, Written
from schemas.object_path import inserted
from schemas.paths import is_stream, real_path
from sinks.files.atomic import check_writable
from sinks.files.formats import FORMATS, LINE_FORMATS, Format, format_of
from sinks.files.write import WriteFiles, check_no_partitions
from sinks.files.write_one import WriteOneFile
from sinks.lines.line_file import check_lines
from sinks.lines.object_lines import LineKeeper, lines_to
from sinks.lines.render import Layout, header_line
from sinks.output import EXPECTED, Output, OutputSettings, Table

_RECORD_FORMATS = ("jsonl", *LINE_FORMATS.values())


@dataclass(frozen=True)
class FileOutput(Output):
    """A file, or, of windows, many, or a folder of them; on this machine or in an object store."""

    file_format: Format
    unit = "file"
    takes_early = False

    @classmethod
    def parse(cls, path: str) -> FileOutput:
        """Return the output of a path.

        Raises:
            ValueError: its ending is not known.
        """
        ending = Path(path).suffix.lower()
        if is_stream(path) and ending not in {**FORMATS, **LINE_FORMATS}:
            return cls(path, "txt")
        try:
            return cls(path, LINE_FORMATS.get(ending) or format_of(path))
        except ValueError:
            raise ValueError(f"unknown ending in {path!r}: expected {EXPECTED}") from None

    @property
    def format(self) -> Format:
        """The format that the ending says."""
        return self.file_format

    @property
    def identity(self) -> str:
        """The path, without links."""
        return real_path(self.path)

    def files(self, tables: Sequence[Table]) -> list[str]:
        """Return the paths of tables, of which the main one has the very path."""
        return list(map(self.counted, tables))

    def counted(self, table: Table) -> str:
        """Return the path of a table."""
        return inserted(self.path, f"-{table.part}") if table.part else self.path

    def check(self, tables: Sequence[Table], settings: OutputSettings) -> None:
        """See that the files can be written."""
        for path in self.files(tables):
            check_writable(path, is_folder=settings.files_as == "hive")
            if settings.files_as == "hive" and settings.ends_here:
                check_no_partitions(path)

    def check_records(self) -> None:
        """See that lines can be written."""
        check_lines(self.path)

    def result_writer(self, table: Table, settings: OutputSettings) -> beam.PTransform:
        """Return the transform that writes a file, or one per window."""
        if self.format in LINE_FORMATS.values():
            return super().result_writer(table, settings)
        path, files = self.counted(table), settings.files_as
        if table.document:
            return WriteFiles(path, "by_key", table.key[0], values=table.document, hive=files == "hive")
        each = WriteFiles(path, key=table.key, hive=files == "hive")
        one = WriteOneFile(path, table.key, spills=settings.works_here)
        return _WriteByBound(one, each) if files is None else one if files == "single" else each

    def destination(self, layout: Layout, settings: OutputSettings) -> LineKeeper:
        """Return the file of lines."""
        if self.format not in _RECORD_FORMATS:
            expected = ", ".join(f".{ending}" for ending in _RECORD_FORMATS)
            raise ValueError(f"{self.path!r} cannot be written record by record: expected a path in {expected}")
        has_header = layout.style == "csv" and self.format == "csv"
        header = header_line(layout) if has_header else b""
        return lines_to(self.path, settings, header)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class _WriteByBound(beam.PTransform):
    """Write one file of results that have an end, else one per window."""

    one: WriteOneFile
    each: WriteFiles

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        return results | "Write" >> (self.one if results.is_bounded else self.each)
