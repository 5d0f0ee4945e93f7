"""Lines into a file, each once, on a runner that tries again what has failed: its state knows how long the file is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import GlobalWindows

from schemas.elements.frames import Written
from sinks.files.atomic import SinkError, make_folder, one_line_errors
from transforms.stateful import StatefulFn

_MODE = 0o666  # less the umask, as for any file that a program makes


@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class AppendOnce(beam.PTransform):
    """Append elements of whole lines to a file that all workers see, and yield a :class:`Written` for each.

    All elements go through one key, whose state is the length of the file behind the last lines that count. What
    stands behind that is of a bundle that failed, or that came after the checkpoint that a job goes on from: it is cut
    off, and its lines come again. So each line is there once as often as bundles are tried again.

    Attributes:
        path: where the file is.
        base: the length at which the lines of this run begin.
        header: the first line, where they begin at 0.
        render: makes lines of elements; None where elements are lines.

    Raises:
        SinkError: when run, the file cannot be written, or has become shorter.
    """

    path: str
    base: int
    header: bytes = b""
    render: Callable[[Any], bytes] | None = None

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Render where the elements are, and write in one place."""
        return (
            pcoll
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "Render" >> beam.ParDo(_RenderFn(self.render))
            | "AppendOnce" >> beam.ParDo(_AppendFn(self.path, self.base, self.header))
        )


@beam.typehints.with_output_types(tuple[int, bytes])
class _RenderFn(beam.DoFn):
    def __init__(self, render: Callable[[Any], bytes] | None) -> None:
        self._render = render

    def process(self, element: Any) -> Iterator[tuple[int, bytes]]:
        lines: bytes = element if self._render is None else self._render(element)
        if lines:
            yield 0, lines


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(Written)
class _AppendFn(StatefulFn):
    LENGTH = ReadModifyWriteStateSpec("length", VarIntCoder())

    def __init__(self, path: str, base: int, header: bytes) -> None:
        super().__init__()
        self._path, self._base, self._header = path, base, header
        self._descriptor = -1
        self._length = -1

    def start_bundle(self) -> None:
        self._length = -1

    def process(self, element: tuple[int, bytes], length: Any = beam.DoFn.StateParam(LENGTH)) -> Iterator[Written]:
        lines = element[1]
        with one_line_errors(self._path):
            if self._length < 0:
                self._length = self._begin(length.read())
            _write(self._descriptor, lines, self._length)
        self._length += len(lines)
        length.write(self._length)
        yield Written(self._path, lines.count(b"\n"))

    def finish_bundle(self) -> None:
        if self._length >= 0:
            with one_line_errors(self._path):
                os.fsync(self._descriptor)

    def teardown(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self, known: int | None) -> int:
        """Cut off what does not count, and return the length that is left."""
        start = self._base if known is None else known
        if known is None:
            make_folder(Path(self._path).parent)
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if known is None else 0)
            self._descriptor = os.open(self._path, flags, _MODE)
        size = os.fstat(self._descriptor).st_size
        if size < start:
            raise SinkError(f"{self._path} was cut off while it was written: it has {size:,} bytes of {start:,}")
        os.ftruncate(self._descriptor, start)
        before = b""
        if known is None and not start:
            before = self._header
        elif known is None and os.pread(self._descriptor, 1, start - 1) != b"\n":
            before = b"\n"  # behind a line that a killed writer has torn
        _write(self._descriptor, before, start)
        return start + len(before)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[done:], offset + done
