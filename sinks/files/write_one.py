"""All results into one file, in the order of window and key, whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.transforms.trigger import AccumulationMode, AfterWatermark
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import Result, Written
from sinks.files.atomic import one_line_errors, open_whole
from sinks.files.encode import write_table
from sinks.files.formats import format_of
from sinks.files.sorted_runs import PART_ROWS, Merge, Run

#: So many rows are sorted together.
RUN_ROWS = 4 * PART_ROWS
#: So many results are: those of most windows are small, and each is a frame of its own.
RUN_RESULTS = 10_000
#: A run with more bytes is put into a file, and runs in memory are, as soon as all together have so many.
SPILL_BYTES, MEMORY_BYTES = 4 << 20, 64 << 20


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteOneFile(beam.PTransform):
    """Write all final results into one file when the last one is there, and yield a :class:`Written`.

    Its rows are in the order of the windows, and of the key within one: the same bytes whatever the order in which
    results come, and on whatever runner. Without any result there is no file.

    What does not fit into memory is sorted in temporary files. Until the file is whole it has a hidden name, and what
    was there before is as it was.

    Attributes:
        path: where to, on this machine or in an object store; its ending tells the format.
        key: the columns that tell the rows of a window apart.
        spills: whether the steps are in one process, and may hand on large runs as files rather than by the runner.

    Raises:
        ValueError: when made, the ending is not known; when run, a column is missing, or results have different ones.
        SinkError: when run, the file cannot be written.
    """

    path: str
    key: tuple[str, ...] = ()
    spills: bool = False

    def __post_init__(self) -> None:
        """Check the ending."""
        super().__init__()
        self.kind = format_of(self.path)

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Sort runs of results wherever they are, and merge them in one place."""
        at_end = beam.WindowInto(GlobalWindows(), AfterWatermark(), accumulation_mode=AccumulationMode.DISCARDING)
        return (
            results
            | "AtEnd" >> at_end
            | "SortRuns" >> beam.ParDo(_SortFn(self))
            | "AllRuns" >> beam.GroupByKey()
            | "MergeRuns" >> beam.ParDo(_MergeFn(self))
        )


@beam.typehints.with_output_types(tuple[int, Run])
class _SortFn(beam.DoFn):
    """Gather results, and give them as runs when they are many, or when the bundle ends."""

    def __init__(self, options: WriteOneFile) -> None:
        self._options = options

    def start_bundle(self) -> None:
        self._results: list[Result] = []
        self._rows = 0

    def process(self, element: Result) -> Iterator[tuple[int, Run]]:
        if not element.final:
            return
        self._results.append(element)
        self._rows += element.rows.height
        if self._rows >= RUN_ROWS or len(self._results) >= RUN_RESULTS:
            yield 0, self._take()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._results:
            window = GlobalWindow()
            yield WindowedValue((0, self._take()), window.max_timestamp(), (window,))

    def _take(self) -> Run:
        results, self._results, self._rows = self._results, [], 0
        run = Run.of(results, self._options.key)
        return run.spilled() if self._options.spills and run.rows.estimated_size() >= SPILL_BYTES else run


@beam.typehints.with_output_types(Written)
class _MergeFn(beam.DoFn):
    """Write the file."""

    def __init__(self, options: WriteOneFile) -> None:
        self._options = options

    def process(self, element: tuple[int, Iterable[Run]]) -> Iterator[Written]:
        options = self._options
        with tempfile.TemporaryDirectory() as folder, one_line_errors(options.path):
            runs = list(_kept(element[1], folder))
            merge = Merge(runs, options.key)
            with open_whole(options.path) as file:
                write_table(options.kind, merge.columns, merge.parts(), file)
            for run in runs:
                if run.path:
                    Path(run.path).unlink()
        yield Written(options.path, merge.height)


def _kept(runs: Iterable[Run], folder: str) -> Iterator[Run]:
    """Yield the runs, those that are too much for memory in files of a folder."""
    held = 0.0
    for run in runs:
        held += run.rows.estimated_size()
        yield run if run.path or held < MEMORY_BYTES else run.spilled(folder)
