"""Lines, one after the other, to where somebody reads them: a file, the standard output, a peer."""

from __future__ import annotations

import errno
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam

from sinks.console import print_bytes
from sinks.disk import SinkError, make_folder, one_line_errors
from sinks.files import Written
from sources.drain import drain

_MODE = 0o666  # less the umask, as for any file that a program makes


class Outlet(ABC):
    """Where lines go, once it is open. Threads take turns; what one writes is not mixed with what another does."""

    @abstractmethod
    def write(self, lines: bytes) -> None:
        r"""Hands whole lines over, each ended by ``\n``, before it returns.

        Raises:
            SinkError: that cannot be done.
        """

    def close(self) -> None:
        """Closes what is open; may be called again."""
        return


class Place(ABC):
    """Where lines go: a frozen dataclass, so that it pickles, and equal ones are one outlet in a process."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The address."""

    @abstractmethod
    def open(self) -> Outlet:
        """Opens it.

        Raises:
            SinkError: it cannot be.
        """


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteLines(beam.PTransform):
    r"""Writes elements of whole lines, each as it comes, and gives a :class:`Written` for each.

    An element is handed to the system before the next one is taken, and nothing waits for a bundle to end. The order is
    that of the elements: it is that of the records where one reader gives them and no shuffle stands between. At least
    once: a bundle that is tried again writes its lines again.

    Attributes:
        place: where they go.

    Raises:
        SinkError: when run, they cannot be written.
    """

    place: Place

    def __post_init__(self) -> None:
        """Lets Beam set up what it needs."""
        super().__init__()

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Wires the one step."""
        return pcoll | "WriteLines" >> beam.ParDo(_WriteFn(self.place))


class _WriteFn(beam.DoFn):
    def __init__(self, place: Place) -> None:
        self._place = place
        self._outlet: Outlet | None = None

    def process(self, lines: bytes) -> Iterator[Written]:
        if self._outlet is None:
            self._outlet = _borrow(self._place)
        self._outlet.write(lines)
        yield Written(self._place.name, lines.count(b"\n"))

    def teardown(self) -> None:
        if self._outlet is not None:
            self._outlet = None
            _give_back(self._place)


class _Borrowed(NamedTuple):
    outlet: Outlet
    times: int


#: A runner may have several of the same step at once; they share what they write to, or the order would be lost.
_open: dict[Place, _Borrowed] = {}
_guard = threading.Lock()


def _borrow(place: Place) -> Outlet:
    with _guard:
        known = _open.get(place)
        outlet, times = known or _Borrowed(place.open(), 0)
        _open[place] = _Borrowed(outlet, times + 1)
        return outlet


def _give_back(place: Place) -> None:
    with _guard:
        outlet, times = _open[place]
        if times > 1:
            _open[place] = _Borrowed(outlet, times - 1)
            return
        del _open[place]
    outlet.close()


@dataclass(frozen=True)
class FileLines(Place):
    """A file that is appended to: readers see each line once it is written, and whole.

    The lines of one element are one write. Should the disk be full in the middle of it, what was written of it is taken
    out again. :func:`sinks.disk.empty` empties the file before a run.
    """

    path: str

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def open(self) -> Outlet:
        """Opens the file, and makes it and its folder where they are missing."""
        with one_line_errors(self.path):
            make_folder(Path(self.path).parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            return _OpenFile(self.path, os.open(self.path, flags, _MODE))


class _OpenFile(Outlet):
    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, lines: bytes) -> None:
        with self._lock, one_line_errors(self._path):
            before = os.fstat(self._descriptor).st_size
            rest = memoryview(lines)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                if error.errno != errno.EPIPE:
                    os.ftruncate(self._descriptor, before)
                raise

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class StdoutLines(Place):
    """The standard output, flushed with each element. That its reader has gone away ends the run, and is no error."""

    @property
    def name(self) -> str:
        """The address."""
        return "-"

    def open(self) -> Outlet:
        """Has nothing to open."""
        return _Stdout()


class _Stdout(Outlet):
    def __init__(self) -> None:
        self._is_gone = False

    def write(self, lines: bytes) -> None:
        if self._is_gone:
            return
        try:
            print_bytes(lines)
        except SinkError as error:
            if not isinstance(error.__cause__, BrokenPipeError):
                raise
            self._is_gone = True
            drain()
