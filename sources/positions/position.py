"""Where reading goes on in a file or a partition of Kafka, and what became of a file since its position was kept."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from schemas.record_type import Dialect
from sources.files.generation import born_at
from sources.files.opening import is_sequential, open_file

#: So many bytes before a position are checked: where others stand there now, the file was written anew.
CHECKED_BYTES = 64
#: The beginning of a last line without its line end is looked for so far before a position.
_LINE_BYTES = 1 << 20
_OVER_BYTES = 1 << 20


class FilePosition(NamedTuple):
    """How far a file was read.

    Attributes:
        path: what it was called when it was found; absolute.
        device: with ``inode``, which file it is, whatever it is called now.
        inode: see there.
        born: when that was made, in nanoseconds, for systems use inodes again; 0 where nobody knows.
        offset: everything before it is in the output; of a compressed file, in what it holds.
        checksum: CRC-32 of the ``checked`` bytes before the offset.
        checked: see there.
        skipping: whether the offset is within a record that is too long, and was rejected.
        is_done: whether the file was read to the end that it had then.
        size: of a compressed file that was read to its end, its bytes on the disk then.
        modified: and when it was last written, in nanoseconds.
        dialect: how the records of a file that is followed are written; None where that is not known yet.
        generation: of a file that is followed, what stands in it (see :mod:`sources.files.generation`).
        earlier: and what stood in it before.
    """

    path: str
    device: int
    inode: int
    born: int = 0
    offset: int = 0
    checksum: int = 0
    checked: int = 0
    skipping: bool = False
    is_done: bool = False
    size: int = 0
    modified: int = 0
    dialect: Dialect | None = None
    generation: str = ""
    earlier: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[int, int]:
        """Which file it is."""
        return self.device, self.inode

    def behind(self, before: bytes, offset: int) -> FilePosition:
        """Return the position at an offset, of which some bytes right before it are given."""
        checked = before[-CHECKED_BYTES:]
        return self._replace(offset=offset, checksum=zlib.crc32(checked), checked=len(checked), is_done=False)


class TopicPosition(NamedTuple):
    """The offset of the next message of a partition, and the id of its topic, empty where that is not known."""

    brokers: str
    topic: str
    partition: int
    offset: int
    id: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """Which partition it is."""
        return self.brokers, self.topic, self.partition


class Found(NamedTuple):
    """What became of a file since its position was written.

    Attributes:
        path: where it is now; empty if it is not there any more.
        position: where to go on in it.
        has_more: whether there is something to read there.
        note: what a person should know; empty for nothing.
        before: the last bytes before the position.
    """

    path: str
    position: FilePosition
    has_more: bool = False
    note: str = ""
    before: bytes = b""


def first_position(path: str) -> FilePosition:
    """Return the position at the beginning of a file.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        return FilePosition(os.path.abspath(path), found.st_dev, found.st_ino, born_at(descriptor))  # noqa: PTH100
    finally:
        os.close(descriptor)


def identity_of(path: str) -> tuple[int, int] | None:
    """Return device and inode of a file, None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def find_again(position: FilePosition, others: Mapping[int, str] | None = None) -> Found:
    """Find a file again, under its path or another name in the same folder, and where to go on in it.

    It may also be one of ``others``, paths by their inodes.

    A file that is shorter than it was, or that has other bytes before the position, was written anew: it is read from
    its start. A last line that had no line end was taken for a record; if it was only begun, it comes again, whole.

    Raises:
        OSError: it cannot be read.
    """
    path = next((name for name in _names(position, others or {}) if _is_same(name, position)), "")
    if not path:
        lost = f"{position.path} is not there any more: what it had behind byte {position.offset} is lost"
        return Found("", position, note="" if position.is_done else lost)
    state = os.stat(path)  # noqa: PTH116
    position = position._replace(device=state.st_dev)
    is_unchanged = (position.size, position.modified) == (state.st_size, state.st_mtime_ns)
    if position.is_done and is_unchanged and is_sequential(path):
        return Found(path, position)
    around = _look(path, position.offset)
    if around is None or zlib.crc32(around[0][len(around[0]) - position.checked :]) != position.checksum:
        why = "became shorter" if around is None else "was written anew"
        earlier = (*position.earlier, position.generation) if position.generation else position.earlier
        fresh = FilePosition(position.path, *position.key, position.born, earlier=earlier)
        return Found(path, fresh, True, f"{position.path} {why} since its position was kept: it is read from its start")
    return _behind(Found(path, position, before=around[0]), around[1], state)


def _behind(found: Found, after: bytes, state: os.stat_result) -> Found:
    """Return where to go on behind what was read, of a file that has these bytes there."""
    path, position, before = found.path, found.position, found.before
    if not after:
        return found._replace(position=position._replace(is_done=True, size=state.st_size, modified=state.st_mtime_ns))
    start = before.rfind(b"\n") + 1
    if not before or position.skipping or start == len(before) or (not start and len(before) < position.offset):
        return found._replace(has_more=True)
    for end in (b"\n", b"\r\n"):
        if after.startswith(end):
            on = position.behind(before + end, position.offset + len(end))
            return Found(path, on, bool(after[len(end) :]), before=before + end)
    again = position.behind(before[:start], position.offset - len(before) + start)
    note = f"the last line of {position.path} was not whole when it was read: it comes again"
    return Found(path, again, True, note, before[:start])


def _is_same(path: str, position: FilePosition) -> bool:
    """Tell whether a path names the file: the number of a device may be another one after the system was started."""
    try:
        found = first_position(path)
    except OSError:
        return False
    return found.inode == position.inode and not (found.born and position.born and found.born != position.born)


def _names(position: FilePosition, others: Mapping[int, str]) -> Iterator[str]:
    yield position.path
    if position.inode in others:
        yield others[position.inode]
    try:
        with os.scandir(Path(position.path).parent) as entries:
            yield from sorted(entry.path for entry in entries if entry.inode() == position.inode)
    except OSError:
        return


def _look(path: str, offset: int) -> tuple[bytes, bytes] | None:
    """Return the bytes before an offset, and a few behind it; None where the file is shorter."""
    with open_file(path) as file:
        start = max(0, offset - _LINE_BYTES)
        if not is_sequential(path):
            file.seek(start)
        else:
            left = start
            while left and (data := file.read(min(left, _OVER_BYTES))):
                left -= len(data)
            if left:
                return None
        around = b""
        wanted = offset - start + len(b"\r\n") + 1
        while len(around) < wanted and (data := file.read(wanted - len(around))):
            around += data
    return None if len(around) < offset - start else (around[: offset - start], around[offset - start :])
