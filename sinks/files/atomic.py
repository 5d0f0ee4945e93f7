"""Writing to disk: a whole file or none, whole lines or none, and one line to say what went wrong."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from schemas.object_path import is_remote
from schemas.paths import is_stream
from storage.place import place_of

_MODE = 0o666  # less the umask, as for any file that a program makes
#: So much of the name of a file is in that of its hidden one.
_NAME_KEPT = 40
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{32}\.tmp", re.DOTALL)


class SinkError(OSError):
    """Something could not be written; the message is one line that names it and gives the reason."""


@contextmanager
def one_line_errors(target: str) -> Iterator[None]:
    """Turn every OSError inside into a SinkError, e.g. ``cannot write out/x.jsonl: No space left on device``."""
    try:
        yield
    except SinkError:
        raise
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, where they are not there yet.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def temporary_beside(target: Path) -> Path:
    """Return a new hidden name in the folder of ``target``, from where a rename is atomic."""
    return target.with_name(f".{target.name[:_NAME_KEPT]}.{uuid.uuid4().hex}.tmp")


@contextmanager
def whole_file(target: Path, beside: Path | None = None) -> Iterator[int]:
    """Open a file under a hidden name beside ``target``, and give it that name once all is written.

    A file that is there already is replaced, and what fails leaves nothing. The hidden file is locked, and the lock
    ends with the process: so what a process that was killed leaves is told from what another one is writing just now,
    and :func:`remove_left_behind` takes it away.

    Args:
        target: the file.
        beside: where the hidden file is beside instead, on the same disk.

    Yields:
        The descriptor to write to.

    Raises:
        OSError: as opening, writing and renaming do.
    """
    temporary, descriptor = _make_temporary(beside or target)
    try:
        yield descriptor
        os.replace(temporary, target)  # noqa: PTH105 (the one call that everybody knows to be atomic)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _make_temporary(target: Path) -> tuple[Path, int]:
    while True:
        temporary = temporary_beside(target)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with suppress(OSError):  # a file system without locks; nobody else can take one, then
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # somebody took it for one that was left, before it had its lock
            if os.path.samestat(os.fstat(descriptor), temporary.lstat()):
                return temporary, descriptor
        os.close(descriptor)


def remove_left_behind(target: Path) -> None:
    """Remove the hidden files that runs which were killed have left for ``target``, or for its windows."""
    with suppress(OSError), os.scandir(target.parent) as found:
        for entry in found:
            name = _TEMPORARY.fullmatch(entry.name)
            if name is not None and name[1].startswith(target.stem[:_NAME_KEPT]):
                with suppress(OSError):  # it is another user's, or another run is at the same
                    _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # noqa: PTH108
    finally:
        os.close(descriptor)


def write_whole(path: str, data: bytes, beside: str = "") -> None:
    """Write the file under another name in the same folder, then rename it, so that nobody sees half of it.

    An object of a store is there when all of it is.

    A file that is there already is replaced. Missing folders are made. What a process that is killed leaves behind is a
    hidden file, and the next run of that output removes it.

    Args:
        path: where to.
        data: all of it.
        beside: a path beside which the hidden file is, if not beside the very path.

    Raises:
        SinkError: it cannot be written; nothing is left of it then, and the old file is as it was.
    """
    if is_remote(path):
        with one_line_errors(path):
            place_of(path).write(path, data)
        return
    target = Path(path)
    with one_line_errors(path):
        make_folder(target.parent)
        with whole_file(target, Path(beside) if beside else None) as descriptor:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]


@contextmanager
def open_whole(path: str) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name when the context ends, as :func:`write_whole` does for what is in memory.

    Raises:
        SinkError: it cannot be written; nothing is left of it then, and the old file is as it was.
    """
    with one_line_errors(path):
        if is_remote(path):
            with tempfile.TemporaryFile() as file:
                yield file
                place_of(path).write(path, file)
            return
        target = Path(path)
        make_folder(target.parent)
        with whole_file(target) as descriptor, open(descriptor, "wb", closefd=False) as file:
            yield file


def check_writable(path: str, *, is_folder: bool = False) -> None:
    """Find out, before anything runs, whether a file could be written there; make its folder, and tidy up there.

    Args:
        path: where to.
        is_folder: whether it is going to be a folder of files.

    Raises:
        SinkError: it could not; the message is one line.
    """
    if is_remote(path):
        with one_line_errors(path):
            place_of(path).check_writable(path)
        return
    target = Path(path)
    probe = temporary_beside(target)
    with one_line_errors(path):
        if target.exists() and target.is_dir() != is_folder:
            code = errno.ENOTDIR if is_folder else errno.EISDIR
            raise OSError(code, os.strerror(code))
        if is_stream(path):
            raise SinkError(f"cannot write {path}: it is a pipe or a device, and this is written as a whole file")
        make_folder(target.parent)
        remove_left_behind(target)
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)
