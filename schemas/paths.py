"""Which file a path leads to, whatever links lead there, and whether it is one at all."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable

from schemas.object_path import is_remote

#: The names that open descriptors have, as shells and their users give them.
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")
_STANDARD = ("stdin", "stdout", "stderr")

#: Device and inode of a file that is there; the resolved path of one that is not.
FileKey = tuple[int, int] | str


def real_path(path: str) -> str:
    """Return the path that a path leads to, the same from every folder: that of an object is one already."""
    return path if is_remote(path) else os.path.realpath(path)


def file_key(path: str | int) -> FileKey | None:
    """Return what tells a file from all others, the same for each of its hard and symbolic links.

    Args:
        path: where it is, or the number of an open descriptor.

    Returns:
        The path itself for what is not on this machine. None for a pipe, a device or a socket, which nobody can empty,
        and for a descriptor that is not open.
    """
    if is_remote(path):
        return str(path)
    try:
        found = os.stat(path)  # noqa: PTH116 - a number, too
    except OSError:
        return os.path.realpath(path) if isinstance(path, str) else None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def is_among(path: str | int, others: Iterable[str | int]) -> bool:
    """Return whether a file is one of several, whatever links lead to them."""
    key = file_key(path)
    return key is not None and key in {file_key(other) for other in others}


def descriptor_of(path: str) -> int | None:
    """Return the number of the open descriptor that a path names, None where it names none.

    >>> descriptor_of("/dev/stderr"), descriptor_of("/dev/fd/63"), descriptor_of("x.txt")
    (2, 63, None)
    """
    found = _DESCRIPTOR.fullmatch(path)
    if found is None:
        return None
    return _STANDARD.index(found[1]) if found[1] else int(found[2])


def is_stream(path: str) -> bool:
    """Return whether a path leads to a pipe, a device, a socket or an open descriptor: bytes go through it in order."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
