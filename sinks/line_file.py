"""Lines into a file: behind what is there, or in its place from the first line of a run on."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sinks.disk import make_folder, one_line_errors
from sinks.lines import Outlet, Place
from sources.delivery import Standing

_log = logging.getLogger(__name__)

_MODE = 0o666  # less the umask, as for any file that a program makes
#: More of the first line of a file is not shown.
_SHOWN_BYTES = 200


class FileState(NamedTuple):
    """Which file has a path, and what tells that somebody wrote to it; the same for all who share its disk."""

    inode: int
    size: int
    modified_nanos: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        """Return the state that ``stat`` tells of."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class FileLines(Place):
    """A file that is appended to: readers see each line once it is written, and whole.

    The lines of one element are one write. Should the disk be full in the middle of it, what was written of it is taken
    out again. Behind a last line without its line end, which a writer that was killed leaves, lines begin on a new one.

    Attributes:
        path: where the file is.
        header: the first line of a file that is empty, with its line end.
        replaces: the state of the file whose lines are to go. They go when the file is opened for the first lines, if
            it is as it was; a worker that opens it later, or again, finds it changed, and appends.
    """

    path: str
    header: bytes = b""
    replaces: FileState | None = None

    @classmethod
    def for_run(cls, path: str, *, replace: bool, header: bytes = b"") -> FileLines:
        """Return the file for the lines of the run that is being built.

        Args:
            path: where it is.
            replace: whether what is there now is to go.
            header: see the class.
        """
        absolute = os.path.abspath(path)  # noqa: PTH100 - workers may be in another folder
        found = None
        if replace:
            with suppress(OSError):
                found = FileState.of(os.stat(absolute))  # noqa: PTH116
        return cls(absolute, header, found)

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def open(self) -> Outlet:
        """Open the file, make it and its folder where they are missing, and take out what is to be replaced."""
        with one_line_errors(self.path):
            make_folder(Path(self.path).parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self.path, flags, _MODE)
            try:
                self._begin(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            return _OpenFile(self.path, descriptor)

    def check_header(self) -> None:
        """See that lines that are appended go with the header row that is there.

        Raises:
            ValueError: it is another one; the message is one line.
        """
        if not self.header or self.replaces is not None:
            return
        try:
            with Path(self.path).open("rb") as file:
                there = file.readline(len(self.header) + _SHOWN_BYTES)
        except OSError:
            return  # it is not there, or cannot be read
        if there and there.rstrip(b"\r\n") != self.header.rstrip(b"\r\n"):
            shown = there.rstrip(b"\r\n")[:_SHOWN_BYTES].decode(errors="replace")
            ours = self.header.decode(errors="replace").rstrip("\r\n")
            raise ValueError(
                f"cannot append to {self.path}: its header row is {shown!r}, expected {ours!r}; name another output"
            )

    def _begin(self, descriptor: int) -> None:
        with _alone(descriptor):
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return
            size = found.st_size
            if size and FileState.of(found) == self.replaces:
                os.ftruncate(descriptor, 0)
                size = 0
            if not size:
                os.write(descriptor, self.header)
            elif not _ends_line(self.path, size):
                _log.warning("%s ends in the middle of a line: what follows begins on a new one", self.path)
                os.write(descriptor, b"\n")


class _OpenFile(Outlet):
    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._lock = threading.Lock()

    def write(self, lines: bytes) -> Standing | None:
        with self._lock, one_line_errors(self._path), _alone(self._descriptor):
            found = os.fstat(self._descriptor)
            before = found.st_size
            rest = memoryview(lines)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                if self._is_regular and error.errno != errno.EPIPE:
                    os.ftruncate(self._descriptor, before)
                raise
            if not self._is_regular:
                return None
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            return Standing(found.st_dev, found.st_ino, end, len(lines))

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Hold the lock of the file against other workers; a file system without locks does without."""
    is_held = False
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        is_held = True
    try:
        yield
    finally:
        if is_held:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _ends_line(path: str, size: int) -> bool:
    """Return whether the last byte is a line end; also where the file may not be read."""
    try:
        with Path(path).open("rb") as file:
            file.seek(size - 1)
            return file.read(1) in (b"\n", b"")
    except OSError:
        return True
