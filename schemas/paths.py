"""Which file a path leads to, whatever links lead there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

#: Device and inode of a file that is there; the resolved path of one that is not.
FileKey = tuple[int, int] | str


def file_key(path: str | int) -> FileKey | None:
    """Return what tells a file from all others, the same for each of its hard and symbolic links.

    Args:
        path: where it is, or the number of an open descriptor.

    Returns:
        None for a pipe, a device or a socket, which nobody can empty, and for a descriptor that is not open.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - a number, too
    except OSError:
        return os.path.realpath(path) if isinstance(path, str) else None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def is_among(path: str | int, others: Iterable[str | int]) -> bool:
    """Return whether a file is one of several, whatever links lead to them."""
    key = file_key(path)
    return key is not None and key in {file_key(other) for other in others}
