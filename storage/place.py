"""What can be done with objects elsewhere, whatever keeps them: find them, read and write them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from schemas.object_path import ObjectPath, is_remote, split
from storage.read_ahead import ReadAhead, Source


class Place(Protocol):
    """What keeps objects."""

    def find(self, pattern: str) -> list[ObjectPath]:
        """Return the objects that a path, a glob or a folder names, in the order of their keys.

        Raises:
            OSError: the store cannot be reached, refuses, or has no such bucket; the message is one line.
        """

    def stat(self, path: str) -> ObjectPath:
        """Return an object with its size and version.

        Raises:
            OSError: it is not there, or cannot be looked at; the message is one line.
        """

    def open(self, path: ObjectPath) -> Source:
        """Return the object for reading."""

    def write(self, path: str, data: bytes | IO[bytes]) -> None:
        """Write an object, whole or not at all, in the place of what is there; of a file, all that it has.

        Raises:
            OSError: it cannot be written; the message does not name it.
        """

    def check_writable(self, path: str) -> None:
        """See that an object could be written there.

        Raises:
            OSError: it could not; the message does not name it.
        """


def place_of(path: str) -> Place:
    """Return what keeps the object of a path; needs what is in an extra only now.

    Raises:
        ValueError: the extra is missing.
    """
    parts = split(path)
    if parts.scheme == "https":
        from storage.web import WEB  # noqa: PLC0415 - few read from there

        return WEB
    from storage.object_store import open_store  # noqa: PLC0415 - an extra

    return open_store(parts.scheme, parts.bucket, os.getpid())


def find_objects(pattern: str) -> list[ObjectPath]:
    """Return the objects that a path, a glob or a folder names.

    Raises:
        OSError, ValueError: as those of :class:`Place`.
    """
    return place_of(pattern).find(pattern)


def find_again(path: str) -> ObjectPath:
    """Return an object with its size and version: those that it was found with, or those that it has now.

    Raises:
        OSError, ValueError: as those of :class:`Place`.
    """
    return path if isinstance(path, ObjectPath) else place_of(path).stat(path)


def open_bytes(path: str) -> BinaryIO:
    """Open a file, wherever it is, to read its bytes as they are kept; an object that is replaced meanwhile is refused.

    Raises:
        OSError, ValueError: it cannot be opened; of an object, as those of :class:`Place`.
    """
    if not is_remote(path):
        return cast(BinaryIO, Path(path).open("rb", buffering=0))
    found = find_again(path)
    return cast(BinaryIO, ReadAhead(place_of(found).open(found)))


def size_of(path: str) -> int:
    """Return the bytes of a file, wherever it is, as they are kept.

    Raises:
        OSError, ValueError: as those of :func:`open_bytes`.
    """
    return find_again(path).size if is_remote(path) else Path(path).stat().st_size
