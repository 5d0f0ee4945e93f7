"""Where the results are: files, and rows of databases, are counted as they are written, and named at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipelines.options import StreamOptions
from sinks.files import Written
from sources import board

#: The namespace of the metrics, each named by the path that was asked for.
NAMESPACE = "written"


@beam.typehints.with_input_types(Written)
@dataclass(eq=False)
class CountWritten(beam.PTransform):
    """Counts the files that were written for a path, or the ``rows`` of a database; gives nothing."""

    path: str
    rows: bool = False

    def __post_init__(self) -> None:
        """Lets Beam set up what it needs."""
        super().__init__()

    def expand(self, written: beam.PCollection) -> beam.PCollection:
        """Wires the one step."""
        return written | "CountFiles" >> beam.ParDo(_CountFn(self.path, rows=self.rows))


class _CountFn(beam.DoFn):
    def __init__(self, path: str, *, rows: bool) -> None:
        self._path = path
        self._rows = rows

    def process(self, element: Written) -> None:
        number = element.rows if self._rows else 1
        Metrics.counter(NAMESPACE, self._path).inc(number)
        board.add(self._path, number)


def where_written(options: StreamOptions, files: Mapping[str, int], records: Mapping[str, int]) -> Iterator[str]:
    """Gives a line for each path: ``wrote out/produce.jsonl``, ``wrote 24 files out/produce-*.jsonl``.

    Args:
        options: what was asked for.
        files: how many files, final rows of a database, or messages were written, by path.
        records: how many records were rejected and late.
    """
    for path in dict.fromkeys(output.path for output in options.outputs if output.kind == "file"):
        name = Path(path)
        if not files.get(path):
            old = "; what is there is older" if name.is_file() else ""
            yield f"wrote nothing to {path}: there are no totals{old}"
        elif options.windows.length:
            number = "1 file" if files[path] == 1 else f"{files[path]:,} files"
            yield f"wrote {number} {name.with_name(f'{name.stem}-*{name.suffix}')}"
        else:
            yield f"wrote {path}"
    topics = {path for path in files if path.startswith("kafka://")}
    for path in sorted(files.keys() - topics - {output.path for output in options.outputs}):
        name = Path(path)
        if files[path] > 1:
            yield f"wrote {files[path]:,} files {name.with_name(f'{name.stem}-*{name.suffix}')}"
        else:
            yield f"wrote {path}"
    for path in dict.fromkeys(output.path for output in options.outputs if output.kind == "sql"):
        yield _told(files.get(path, 0), "row", path)
    for path in sorted(topics | {output.path for output in options.outputs if output.kind == "kafka"}):
        yield _told(files.get(path, 0), "message", path)
    for kind, path in (("rejected", options.rejected), ("late", options.late)):
        if path and records[kind]:
            yield f"wrote {records[kind]:,} {kind} record{'' if records[kind] == 1 else 's'} to {path}"


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
