"""Writing to disk: a whole file or none, whole lines or none, and one line to say what went wrong."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MODE = 0o666  # less the umask, as for any file that a program makes


class SinkError(OSError):
    """Something could not be written; the message is one line that names it and gives the reason."""


@contextmanager
def one_line_errors(target: str) -> Iterator[None]:
    """Turns every OSError inside into a SinkError, e.g. ``cannot write out/x.jsonl: No space left on device``."""
    try:
        yield
    except SinkError:
        raise
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Makes the folder and those above it, where they are not there yet.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def temporary_beside(target: Path) -> Path:
    """Gives a new hidden name in the folder of ``target``, from where a rename is atomic."""
    return target.with_name(f".{uuid.uuid4().hex}.tmp")


def write_whole(path: str, data: bytes) -> None:
    """Writes the file under another name in the same folder, then renames it, so that nobody sees half of it.

    A file that is there already is replaced. Missing folders are made. A process that is killed may leave a hidden
    ``.tmp`` file behind, never half a file under the name that was asked for.

    Raises:
        SinkError: it cannot be written; nothing is left of it then, and the old file is as it was.
    """
    target = Path(path)
    temporary = temporary_beside(target)
    with one_line_errors(path):
        make_folder(target.parent)
        try:
            _write(temporary, data, os.O_CREAT | os.O_EXCL)
            os.replace(temporary, target)  # noqa: PTH105 (the one call that everybody knows to be atomic)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _write(path: Path, data: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, _MODE)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)
