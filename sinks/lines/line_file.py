"""Lines into a file: behind what is there, or in its place from the first line of a run on; or into a pipe."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from schemas.object_path import is_remote
from schemas.paths import descriptor_of, is_stream
from sinks.files.atomic import SinkError, check_writable, make_folder, one_line_errors
from sinks.lines.write import Destination, Outlet
from sources import progress as board
from sources.drain import drain, draining
from sources.positions.delivery import Standing

_log = logging.getLogger(__name__)

_MODE = 0o666  # less the umask, as for any file that a program makes
#: More of the first line of a file is not shown.
_SHOWN_BYTES = 200
#: How often it is seen whether somebody reads a pipe.
_LOOK_SECONDS = 0.05


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
class FileLines(Destination):
    """A file that is appended to: readers see each line once it is written, and whole.

    The lines of one element are one write. Should the disk be full in the middle of it, what was written of it is taken
    out again. Behind a last line without its line end, which a writer that was killed leaves, lines begin on a new one.

    Before each write it is seen whether the path still leads to the file: where that was renamed, as by logrotate, a
    new one is made; where it was removed, too, but the run has failed.

    A pipe, a null device and an open descriptor (``/dev/stderr``, ``/dev/fd/3``) are written to as they are. A pipe is
    opened once somebody reads it; that its reader has gone away ends the run, and is no error.

    Attributes:
        path: where the file is.
        header: the first line of a file that is empty, or of a pipe, with its line end.
        replaces: the state of the file whose lines are to go. They go when the file is opened for the first lines, if
            it is as it was; a worker that opens it later, or again, finds it changed, and appends.
        base: where workers elsewhere may try again, the length at which the lines of this run begin: they go by
            :class:`sinks.lines.once.AppendOnce` then; None otherwise.
    """

    path: str
    header: bytes = b""
    replaces: FileState | None = None
    base: int | None = None

    @classmethod
    def for_run(cls, path: str, *, replace: bool, header: bytes = b"", tries_again: bool = False) -> FileLines:
        """Return the file for the lines of the run that is being built.

        Args:
            path: where it is.
            replace: whether what is there now is to go.
            header: see the class.
            tries_again: whether bundles are tried again on workers elsewhere.
        """
        absolute = os.path.abspath(path)  # noqa: PTH100 - workers may be in another folder
        found = None
        if not is_stream(absolute):
            with suppress(OSError):
                found = FileState.of(os.stat(absolute))  # noqa: PTH116
        base = 0 if replace or found is None else found.size
        return cls(absolute, header, found if replace else None, base if tries_again else None)

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def is_stream(self) -> bool:
        """Whether this is a pipe, a device or an open descriptor."""
        return is_stream(self.path)

    def open(self) -> LineFile:
        """Return the file; it is opened for the first lines."""
        return LineFile(self)

    def check_header(self) -> None:
        """See that lines that are appended go with the header row that is there.

        Raises:
            ValueError: it is another one; the message is one line.
        """
        if not self.header or self.replaces is not None or self.is_stream:
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


class LineFile(Outlet):
    """A file that lines are appended to."""

    def __init__(self, place: FileLines) -> None:
        self._place = place
        self._path = place.path
        self._descriptor = -1
        self._is_regular = False
        self._is_gone = False
        self._lock = threading.Lock()

    def write(self, lines: bytes) -> Standing | None:
        """Write whole lines before it returns; tell where they stand now, of a file."""
        with self._lock, one_line_errors(self._path):
            self._ensure_open()
            if self._is_regular:
                return self._write_file(lines)
            self._write_stream(lines)
            return None

    def make(self) -> None:
        """Open the file, so that it is there and has its header, and what it is to replace is gone; or the pipe."""
        self.write(b"")

    def look(self) -> None:
        """See that the file is still there, if it was written to."""
        with self._lock, one_line_errors(self._path):
            if self._descriptor >= 0:
                self._ensure_open()

    def close(self) -> None:
        """Close it, if it is open; lines that come later open it again."""
        with self._lock:
            self._close()

    def _write_file(self, lines: bytes) -> Standing:
        with _alone(self._descriptor):
            found = os.fstat(self._descriptor)
            before = found.st_size
            try:
                _write_all(self._descriptor, lines if before else self._place.header + lines)
            except OSError:
                os.ftruncate(self._descriptor, before)
                raise
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return Standing(found.st_dev, found.st_ino, end, len(lines))

    def _write_stream(self, lines: bytes) -> None:
        if self._is_gone:
            return
        try:
            _write_all(self._descriptor, lines)
        except BrokenPipeError:
            self._is_gone = True
            drain()

    def _ensure_open(self) -> None:
        """Open the file, or another one where the path leads to another one now."""
        if self._descriptor >= 0 and self._is_regular:
            ours = os.fstat(self._descriptor)
            with suppress(FileNotFoundError):
                found = os.stat(self._path)  # noqa: PTH116
                if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                    return
            self._tell_of_loss(ours)
            os.fsync(self._descriptor)
            self._close()
            self._open(replaces=None)
        elif self._descriptor < 0:
            self._open(replaces=self._place.replaces)

    def _tell_of_loss(self, ours: os.stat_result) -> None:
        if ours.st_nlink or not ours.st_size:
            _log.warning("%s was renamed: what follows goes into a new one", self._path)
            return
        reason = f"{self._path} was removed while it was written: {ours.st_size:,} bytes are not there any more"
        if not board.fail(reason):
            _log.warning("%s", reason)

    def _open(self, replaces: FileState | None) -> None:
        number = descriptor_of(self._path)
        if number is not None:
            self._descriptor = os.dup(number)
        elif is_stream(self._path):
            self._descriptor = _open_pipe(self._path)
            _write_all(self._descriptor, self._place.header)
        else:
            make_folder(Path(self._path).parent)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
            self._is_regular = True
            self._begin(replaces)

    def _begin(self, replaces: FileState | None) -> None:
        descriptor = self._descriptor
        with _alone(descriptor):
            found = os.fstat(descriptor)
            if found.st_size and FileState.of(found) == replaces:
                os.ftruncate(descriptor, 0)
            elif found.st_size and not _ends_line(self._path, found.st_size):
                _log.warning("%s ends in the middle of a line: what follows begins on a new one", self._path)
                _write_all(descriptor, b"\n")

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def check_lines(path: str) -> None:
    """Find out, before anything runs, whether lines could be written there; make the folder, and change no file.

    Raises:
        SinkError: they could not; the message is one line.
    """
    number = descriptor_of(path)
    with one_line_errors(path):
        if is_remote(path):
            check_writable(path)
        elif number is not None:
            os.fstat(number)
            if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise SinkError(f"cannot write {path}: it is open for reading only")
        elif is_stream(path):
            mode = os.stat(path).st_mode  # noqa: PTH116
            if not stat.S_ISFIFO(mode) and not Path(path).samefile(os.devnull):
                kind = "socket" if stat.S_ISSOCK(mode) else "device"
                raise SinkError(f"cannot write {path}: it is a {kind}; expected a file, a pipe or {os.devnull}")
            _check_rights(path)
        elif Path(path).is_file():
            _check_rights(path)
        else:
            check_writable(path)


def _check_rights(path: str) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _open_pipe(path: str) -> int:
    """Open a pipe as soon as somebody reads it.

    Raises:
        SinkError: nobody did until the run was asked to end.
    """
    is_told = False
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        else:
            os.set_blocking(descriptor, True)
            return descriptor
        if draining():
            raise SinkError(f"cannot write {path}: nobody reads it")
        if not is_told:
            board.note(f"waiting for somebody who reads {path}")
            is_told = True
        time.sleep(_LOOK_SECONDS)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


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
