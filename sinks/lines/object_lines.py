"""Lines into an object store, where nothing is appended to: an object at the end of a run, or one for each bundle."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from dataclasses import dataclass

from schemas.object_path import inserted, is_remote
from sinks.files.atomic import one_line_errors
from sinks.lines.line_file import FileLines, LineFile
from sinks.lines.write import Destination, Outlet
from sinks.output import OutputSettings
from storage.place import place_of

#: So much is kept in memory; more of an object that is written at the end is in a temporary file, without a name.
_MEMORY_BYTES = 16 << 20
_TOKEN_BYTES = 4


@dataclass(frozen=True)
class ObjectLines(Destination):
    """Lines as objects, each of which is there when all of it is.

    Where the input has an end and this process reads it, they are one object, at the end of a run that has not failed;
    until then, what was there stays. Else each bundle has one of its own, before the runner takes the bundle for done:
    ``stem-TIME-TOKEN-NUMBER.ending``, a name that no other writer and no other run has.

    Attributes:
        path: of the object.
        is_one: whether all lines are one object.
        header: the first line of each object, with its line end.
    """

    path: str
    is_one: bool = False
    header: bytes = b""

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def is_stream(self) -> bool:
        """Return False: this is no pipe."""
        return False

    def open(self) -> ObjectOutlet:
        """Return what takes the lines."""
        return ObjectOutlet(self)

    def check_header(self) -> None:
        """Do nothing: no object is appended to."""


class ObjectOutlet(Outlet):
    """Takes lines until they are written as an object."""

    def __init__(self, place: ObjectLines) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._lines = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - closed by close
        self._token = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(_TOKEN_BYTES).hex()}"
        self._written = 0
        self._is_made = False
        self._begin()

    def write(self, lines: bytes) -> None:
        """Keep lines."""
        with self._lock:
            self._lines.write(lines)
            self._is_made = False
            if not self._place.is_one and self._lines.tell() >= _MEMORY_BYTES:
                self._put(inserted(self._place.path, f"-{self._token}-{self._written:05d}"))

    def flush(self) -> None:
        """Write what has come, at the end of a bundle, if each has an object of its own.

        Raises:
            SinkError: it cannot be written.
        """
        with self._lock:
            if not self._place.is_one and self._has_lines:
                self._put(inserted(self._place.path, f"-{self._token}-{self._written:05d}"))

    def make(self) -> None:
        """Write the one object, be it empty, at the end of a run that was none in vain.

        Raises:
            SinkError: it cannot be written.
        """
        with self._lock:
            if self._place.is_one and not self._is_made:
                self._put(self._place.path)
                self._is_made = True

    def look(self) -> None:
        """Write the one object, if it has lines.

        Raises:
            SinkError: it cannot be written.
        """
        if self._has_lines:
            self.make()

    def close(self) -> None:
        """Forget what was not written."""
        with self._lock:
            self._lines.close()

    def _put(self, path: str) -> None:
        with one_line_errors(path):
            place_of(path).write(path, self._lines)
        self._written += 1
        self._begin()

    def _begin(self) -> None:
        self._lines.seek(0)
        self._lines.truncate()
        self._lines.write(self._place.header)

    @property
    def _has_lines(self) -> bool:
        return self._lines.tell() > len(self._place.header)


#: Where lines are kept, and what keeps them.
LineKeeper = FileLines | ObjectLines
OpenLines = LineFile | ObjectOutlet


def lines_to(path: str, settings: OutputSettings | None = None, header: bytes = b"") -> LineKeeper:
    """Return where the lines of a run go, whose output is a path.

    Args:
        path: a file, here or in an object store.
        settings: how to write there; without any, behind what is there.
        header: the first line.
    """
    if is_remote(path):
        return ObjectLines(path, settings is not None and settings.ends_here, header)
    if settings is None:
        return FileLines.for_run(path, replace=False, header=header)
    return FileLines.for_run(path, replace=settings.reads_again, header=header, tries_again=settings.tries_again)


def shown_lines(path: str, settings: OutputSettings) -> str:
    """Return how the lines of a run that go to a path are called: by a glob, where they are several objects."""
    return inserted(path, "-*") if is_remote(path) and not settings.ends_here else path
