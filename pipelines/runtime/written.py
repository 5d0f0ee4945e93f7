"""Where the results are: files, and rows of databases, are counted as they are written, and named at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor

from pipelines.runtime.options import StreamOptions
from schemas.elements.frames import Result, Written
from schemas.object_path import inserted, is_remote
from sinks.files.atomic import SinkError
from sinks.files.formats import Files
from sinks.files.rejected import WriteRejected
from sinks.lines.object_lines import LineKeeper, OpenLines, shown_lines
from sinks.lines.write import OUTLETS, WriteLines
from sinks.output import Output, Table
from sources import progress as board

#: The namespace of the metrics, each named by the path that was asked for.
NAMESPACE = "written"
#: Before the kind and the table of results, as the board counts them.
GIVEN = "results "


@beam.typehints.with_input_types(Written)
@dataclass(eq=False)
class CountWritten(beam.PTransform):
    """Count the files that were written for a path, or the ``rows`` of a database; yield nothing."""

    path: str
    rows: bool = False

    @classmethod
    def of(cls, output: Output, table: Table) -> CountWritten:
        """Return what counts that which an output takes of a table."""
        return cls(output.counted(table), rows=output.unit != "file")

    def expand(self, written: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        return written | "CountFiles" >> beam.ParDo(_CountFn(self.path, rows=self.rows))


class _CountFn(beam.DoFn):
    def __init__(self, path: str, *, rows: bool) -> None:
        self._path = path
        self._rows = rows

    def process(self, element: Written) -> None:
        number = element.rows if self._rows else 1
        Metrics.counter(NAMESPACE, self._path).inc(number)
        board.add(self._path, number)


@beam.typehints.with_input_types(Result)
@dataclass(eq=False)
class CountResults(beam.PTransform):
    """Count the results of a table, final and early ones, for those who look on; yield nothing."""

    table: str

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        return results | "CountResults" >> beam.ParDo(_CountResultsFn(self.table))


class _CountResultsFn(beam.DoFn):
    def __init__(self, table: str) -> None:
        self._table = table

    def process(self, element: Result) -> None:
        board.add(f"{GIVEN}{'final' if element.final else 'early'} {self._table}", 1)


class LineFiles(PipelineVisitor):
    """The files of lines that a pipeline writes.

    Attributes:
        outputs: those of good records.
        others: those of rejected and late ones.
    """

    def __init__(self) -> None:
        """Know of none yet."""
        self.outputs: list[LineKeeper] = []
        self.others: list[LineKeeper] = []
        self._tables: list[Callable[[], None]] = []
        self._made: set[str] = set()
        self._files: dict[LineKeeper, OpenLines] = {}
        self._held = ExitStack()
        self._looks: list[Callable[[], None]] = []

    def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
        """Note the files of a transform."""
        transform = transform_node.transform
        if isinstance(transform, WriteLines) and isinstance(transform.place, LineKeeper):
            self.outputs.append(transform.place)
        elif hasattr(transform, "make_table"):
            self._tables.append(transform.make_table)
        elif isinstance(transform, WriteRejected) and transform.place is not None:
            self.others.append(transform.place)

    def hold(self, pipeline: beam.Pipeline, outputs: Sequence[Output]) -> None:
        """Find the files of a pipeline, and keep those open that this process writes to, until :meth:`let_go`.

        Args:
            pipeline: it is built.
            outputs: where they go; what else they hold is kept, too.

        Raises:
            SinkError: nobody reads a pipe, which is opened at once.
        """
        pipeline.visit(self)
        for place in dict.fromkeys((*self.outputs, *self.others)):
            self._files[place] = cast(OpenLines, OUTLETS.borrow(place))
            if place.is_stream:
                self._files[place].make()
        self._looks += [self._held.enter_context(output.held()) for output in outputs]

    def look(self) -> None:
        """See that the files that were written to are there, and those of databases.

        Raises:
            SinkError: one cannot be opened again, or was removed.
        """
        for file in self._files.values():
            file.look()
        for look in self._looks:
            look()

    def let_go(self) -> None:
        """Close the files."""
        while self._files:
            OUTLETS.give_back(*self._files.popitem())
        self._held.close()

    def finish(self, *, is_all_lost: bool) -> None:
        """Make the files that no record came to, or replace what is in them, after a run that came to its end.

        A file that was written to is not changed by this. Tables of records are made, too, where they are not there.

        Args:
            is_all_lost: whether records were read and none could be used: outputs stay as they are then.

        Raises:
            SinkError: a file cannot be written, or a table cannot be made.
        """
        for make in [] if is_all_lost else self._tables:
            make()
        for place in (*([] if is_all_lost else self.outputs), *self.others):
            self._files[place].make()
            self._made.add(place.path)

    def told(self, path: str, is_written: bool, verb: str, options: StreamOptions) -> str:
        """Return what to say of an output, empty if it is none of lines."""
        absolute = path if is_remote(path) else os.path.abspath(path)  # noqa: PTH100
        if absolute not in {place.path for place in self.outputs}:
            return ""
        if is_written or absolute in self._made:
            return f"{'wrote' if is_remote(path) else verb} {shown_lines(path, options)}"
        return f"wrote nothing to {path}: there are no records{_older(path)}"


def _older(path: str) -> str:
    return "; what is there is older" if Path(path).is_file() else ""


def check_results(options: StreamOptions, files: Mapping[str, int]) -> None:
    """See that files of results that were written are there.

    That of a window may have been taken away already by whoever reads them; its folder stays.

    Args:
        options: what was asked for.
        files: how many files were written, by path.

    Raises:
        SinkError: one is not.
    """
    for path in (output.path for output in options.outputs if output.unit == "file" and files.get(output.path)):
        if is_remote(path):
            continue
        is_one = options.files_as != "per-window" or not options.windows.length
        place = Path(path) if is_one else Path(path).parent
        if not place.exists():
            raise SinkError(f"{place} was removed after results were written to it")
    if files.get(options.plot_path) and not Path(options.plot_path).exists():
        raise SinkError(f"{options.plot_path} was removed after it was drawn")


def where_written(
    options: StreamOptions,
    files: Mapping[str, int],
    records: Mapping[str, int],
    lines: LineFiles | None = None,
) -> Iterator[str]:
    """Return a line for each path: ``wrote out/produce.jsonl``, ``wrote 24 files out/produce-*.jsonl``.

    Args:
        options: what was asked for.
        files: how many files, final rows of a database, or messages were written, by path.
        records: how many records were rejected and late.
        lines: the files of lines.
    """
    verb = "wrote" if options.reads_again else "appended to"
    paths = dict.fromkeys(output.path for output in options.destinations if output.unit == "file")
    told = {path: lines.told(path, bool(files.get(path)), verb, options) for path in paths} if lines is not None else {}
    yield from filter(None, told.values())
    yield from _files_told(options, files, {path for path, line in told.items() if line})
    topics = {path for path in files if path.startswith("kafka://")}
    for path in dict.fromkeys(output.path for output in options.outputs if output.unit == "row"):
        yield _told(files.get(path, 0), "row", path)
    for path in sorted(topics | {output.path for output in options.outputs if output.unit == "message"}):
        yield _told(files.get(path, 0), "message", path)
    for kind, path in (("rejected", options.rejected), ("late", options.late)):
        if path and records[kind]:
            number = f"{records[kind]:,} {kind} record{'' if records[kind] == 1 else 's'}"
            is_new = options.reads_again or is_remote(path)
            yield f"{'wrote' if is_new else 'appended'} {number} to {shown_lines(path, options)}"


def _files_told(options: StreamOptions, files: Mapping[str, int], told: set[str]) -> Iterator[str]:
    """Give a line for each path of results, but for those that were told of already."""
    asked = {output.path: output.unit for output in options.outputs}
    for path in (path for path, unit in asked.items() if unit == "file" and path not in told):
        if not files.get(path):
            yield f"wrote nothing to {path}: there are no totals{_older(path)}"
        else:
            yield _file_told(path, files[path], options.files_as, has_windows=bool(options.windows.length))
    others = files.keys() - asked.keys() - told - {options.plot_path}
    for path in sorted(path for path in others if not path.startswith("kafka://")):
        yield _file_told(path, files[path], options.files_as, has_windows=files[path] > 1)
    if files.get(options.plot_path):
        yield f"drew {options.plot_path}"
    elif options.plot_path:
        yield f"drew nothing in {options.plot_path}: there are no totals{_older(options.plot_path)}"


def _file_told(path: str, number: int, files: Files, *, has_windows: bool) -> str:
    several = "1 file" if number == 1 else f"{number:,} files"
    if files == "hive":
        return f"wrote {several} in {path}/"
    return f"wrote {several} {inserted(path, '-*')}" if files == "per-window" and has_windows else f"wrote {path}"


def thrown_away(counts: Mapping[str, int], options: StreamOptions) -> str:
    """Return the line for a run that is stopped before its open windows are written.

    Args:
        counts: what this process has read, and what it has written, by path.
        options: what was asked for.
    """
    if not counts.get("read"):
        return "stopped at once: no record was read in this process"
    paths = dict.fromkeys(output.path for output in options.destinations)
    written = [f"{counts[path]:,} to {path}" for path in paths if counts.get(path)]
    return (
        f"stopped at once: {counts['read']:,} records were read; thrown away is what is in open windows or was not "
        f"written yet; written so far: {', '.join(written) or 'nothing'}"
    )


def _told(number: int, noun: str, path: str) -> str:
    if not number:
        return f"wrote nothing to {path}: there are no totals"
    return f"wrote {number:,} {noun}{'' if number == 1 else 's'} to {path}"
