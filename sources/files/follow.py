"""Files that grow, as a source of lines: what is in them, and what is appended, through every rotation."""

from __future__ import annotations

import logging
import os
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from schemas.record_type import Dialect, RecordType
from schemas.text.dialect import SAMPLE_BYTES
from schemas.text.text_encoding import find_wide_encoding
from sources import progress as board
from sources.backlog import Backlog
from sources.drain import draining
from sources.files.generation import name_generation
from sources.files.growing_file import GrowingFile, Identity, TailPosition, origin_of, seam_of
from sources.files.opening import compression_of, is_compressed
from sources.reader import MarkCoder, Reading
from sources.source import BlockSource
from sources.watermark import Watermark


@dataclass(frozen=True)
class FollowLines(BlockSource):
    r"""Reads files from their beginning, and goes on with what is appended to them, as ``tail -F`` does.

    A line is handed out when it has its ``\n``. A file that was renamed (a new one stands in its place, or comes later)
    is read to its end first, and looked at for ``following.GRACE_SECONDS`` more, in case its writer has not noticed;
    then it is closed, and its last line may lack the line end. One that was cut off, or written anew in place, is read
    from its start (see :class:`sources.files.growing_file.GrowingFile`); what stood in it and was not read yet is
    lost. A file is known by its inode: one that is renamed to
    a name that is followed as well is not read twice.

    Its end comes after ``idle_timeout_seconds`` in which no file grew, after ``max_records``, or when a drain was asked
    for. A checkpoint mark has the place in every file, and a reader made from it, here or in another process, gives
    exactly the rest, of files that were renamed meanwhile too, as long as they are in their folder and not compressed;
    a warning says what is not there any more. What came and was renamed while nobody looked is not found (a second
    rotation between two looks, or while a job was stopped). The watermark is that of
    :class:`sources.watermark.Watermark`, one stream a file.

    Attributes:
        paths: the files; each is there at the start.
        record_type: tells where the event time of a record is.
        disorder_micros: by how much records of one file may be out of order.
        idle_timeout_seconds: end after so long without growth; None never does.
        max_record_bytes: a longer record is a fault.
        max_block_bytes: how much one block holds at most (one record may be longer).
        sniff: finds the dialect of a file from its head; without it, fields are separated as the type says.
        max_records: end after so many records; None never does.
        clock: seconds that never go back.
        wall_clock: microseconds of UTC, for which event times are believed.
        arrivals: microseconds of UTC that never jump, for when records are read.
    """

    paths: tuple[str, ...]
    record_type: RecordType
    max_record_bytes: int = field(default=1 << 20, kw_only=True)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: no path, a compressed file, a limit that is not positive, or a negative disorder.
        """
        if not self.paths:
            raise ValueError("expected a file to follow, got none")
        for path in self.paths:
            if Path(path).is_file() and is_compressed(path):
                raise ValueError(f"cannot follow {path!r}: a compressed file does not grow line by line")
        self.check_positive("max_record_bytes")
        super().__post_init__()

    def begin(self, mark: FollowMark | None) -> Following:
        """Return what is at the beginning of the files, or behind the mark."""
        return Following(self, mark or FollowMark(uuid.uuid4().hex))

    def get_checkpoint_mark_coder(self) -> MarkCoder:
        """Return the coder of FollowMark."""
        return MarkCoder(_make_mark)


_LOGGER = logging.getLogger(__name__)

#: Why a record is torn whose file was cut off before it had its line end.
TRUNCATED = "file truncated in mid-record"
#: A file that was renamed is still looked at for so long: its writer may not have noticed yet.
GRACE_SECONDS = 5.0
#: Of so many files together this much is read ahead; of a single one at least so much at a time.
_AHEAD_BYTES = 32 << 20
_LEAST_WINDOW_BYTES = 1 << 16


class FollowMark(NamedTuple):
    """Where to go on in each file, and what was promised; the token is that of the reading that it is of."""

    token: str
    places: tuple[TailPosition, ...] = ()
    records: int = 0
    watermark: int | None = None

    def finalize_checkpoint(self) -> None:
        """Files need no acknowledgement."""


def _make_mark(token: str, places: list[list[Any]], records: int, watermark: int | None) -> FollowMark:
    """Return the mark of what JSON has of it."""
    found = []
    for listed in places:
        place = TailPosition(*listed)
        place = place._replace(earlier=tuple(place.earlier))
        if place.dialect is not None:
            dialect = Dialect(*place.dialect)
            place = place._replace(dialect=dialect._replace(header=tuple(dialect.header)))
        found.append(place)
    return FollowMark(token, tuple(found), records, watermark)


class Following(Reading):
    """The files that are open, what was read of them and not handed out, and the mark behind what was.

    Files of the same path stand in the order in which they were found there; a later one is read when nothing of an
    earlier one is left.
    """

    def __init__(self, source: FollowLines, mark: FollowMark) -> None:
        self.token = mark.token
        self.watermark = Watermark(source.disorder_micros, mark.watermark)
        self._source = source
        # A copy: a record type that has cached something pickles otherwise, and Beam looks readers up by that.
        self._record_type = replace(source.record_type)
        self._backlog = Backlog(
            self._record_type,
            self.watermark,
            max_waiting_bytes=_AHEAD_BYTES,
            wall_clock=source.wall_clock,
            arrivals=source.arrivals,
            scope="",
        )
        self._backlog.records = mark.records
        self._window_bytes = max(_LEAST_WINDOW_BYTES, min(source.max_block_bytes, _AHEAD_BYTES // len(source.paths)))
        self._heard = source.clock()
        self._is_ending = False
        self._warned: set[str] = set()
        self._files: list[GrowingFile] = []
        for place in mark.places:
            self._resume(place)

    @property
    def promised(self) -> int | None:
        """See :class:`Reading`."""
        return self.watermark.value

    def mark(self) -> FollowMark:
        """Return the mark behind everything handed out so far."""
        places = tuple(file.place for file in self._files)
        return FollowMark(self.token, places, self._backlog.records, self.watermark.value)

    def advance(self) -> bool:
        """Take the next block; False where there is none now, or at the end."""
        limit = self._source.max_records
        left = None if limit is None else limit - self._backlog.records
        if self.is_ended or (left is not None and left <= 0):
            self.is_ended = True
            return False
        is_last = self._is_ending or draining()
        if not is_last:
            self._look()
        taken = self._backlog.take(self._source.max_block_bytes, left)
        if taken is None:
            self.is_ended = is_last
            return False
        self.taken = taken
        board.add("bytes", len(taken.block.data))
        return True

    def waiting(self) -> board.Waiting:
        """Return what the files have behind what was handed out."""
        return board.Waiting(sum(max(0, file.size - file.place.offset) for file in self._files))

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop().handle)

    def _look(self) -> None:
        """Look once at every path and every file, and read what is new."""
        now = self._source.clock()
        self._find(now)
        growing = [file for file in self._files if file.has_more]
        self._backlog.listened([file.stream for file in growing], now)
        waiting: set[str] = set()
        for file in self._files:
            if file in growing and file.path not in waiting and not (file.stream.pieces or self._backlog.is_full):
                self._read(file)
            if file.has_more or file.stream.pieces:
                waiting.add(file.path)
        if growing or waiting:
            self._heard = now
        timeout = self._source.idle_timeout_seconds
        if timeout is not None and now - self._heard >= timeout:
            self._is_ending = True
            for file in self._files:
                self._finish(file)

    def _find(self, now: float) -> None:
        """Find files that are new, were written anew, or were left and are done with."""
        for place, file in enumerate(self._files):
            if file.look():
                if file.seen > file.cutter.received:
                    gone = file.seen - file.cutter.received
                    _LOGGER.warning("%r was written anew: %d bytes were gone before they were read", file.path, gone)
                self._close(file, TRUNCATED)
                self._files[place] = self._opened(file.place.written_anew(), file.handle)
        known = {file.identity for file in self._files}
        shown: dict[str, Identity] = {}
        for path in self._source.paths:
            found = self._identity(path)
            if found is None:
                continue
            shown[path] = found
            if found not in known:
                self._open(path, known)
        for file in [*self._files]:
            if file.identity in shown.values() or file.path not in shown:
                file.left_at = None
            elif file.left_at is None or file.has_more or (file.stream.is_open and file.stream.pieces):
                file.left_at = now
            elif now - file.left_at >= GRACE_SECONDS:
                self._finish(file)
            if not (file.stream.is_open or file.stream.pieces):
                self._files.remove(file)
                os.close(file.handle)

    def _identity(self, path: str) -> Identity | None:
        """Return which file stands there now; None for none, or for something else than a file."""
        try:
            found = os.stat(path)  # noqa: PTH116 - many times a second
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def _open(self, path: str, known: set[Identity]) -> None:
        """Open the new file of a path."""
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError as error:
            if path not in self._warned:
                _LOGGER.warning("cannot read %r for now: %s", path, error.strerror)
            self._warned.add(path)
            return
        file = self._opened(TailPosition(path, 0, 0), handle)
        self._files.append(file)
        known.add(file.identity)

    def _opened(self, place: TailPosition, handle: int) -> GrowingFile:
        file = GrowingFile(self._source.max_record_bytes, place, handle)
        self._backlog.open(file.stream)
        return file

    def _resume(self, place: TailPosition) -> None:
        """Open a file of the mark again, under its path or the name that it has now."""
        handle = next((handle for path in _names(place) if (handle := _open_same(path, place)) is not None), None)
        if handle is None:
            _LOGGER.warning("%r is not there any more: what it had behind byte %d is lost", place.path, place.offset)
            return
        if seam_of(handle, place.offset) != place.seam:
            _LOGGER.warning("%r was written anew: what it had behind byte %d is lost", place.path, place.offset)
            place = place.written_anew()
        self._files.append(self._opened(place, handle))

    def _read(self, file: GrowingFile, *, is_last: bool = False) -> bool:
        """Read the next bytes of a file, if it is known how its records are written; False at its end."""
        if file.stream.dialect is None and not self._find_dialect(file, is_last=is_last):
            return False
        data = file.read(self._window_bytes, is_last=is_last)
        if data:
            self._backlog.receive(file.stream, data)
            self._name(file)
        return bool(data)

    def _close(self, file: GrowingFile, torn: str = "") -> None:
        """End a file."""
        self._backlog.close(file.stream, torn)
        self._name(file)

    def _name(self, file: GrowingFile) -> None:
        """Name the generation of a file as soon as its first record is there, and before that is handed out."""
        if file.generation or not file.stream.pieces:
            return
        piece = file.stream.pieces[0]
        header = os.pread(file.handle, min(piece.position, SAMPLE_BYTES), 0)
        record = piece.data[: piece.data.find(b"\n") + 1] or piece.data
        name = found = name_generation(file.handle, header + record[:SAMPLE_BYTES])
        again = 1
        while name in file.earlier:  # it begins as it did before
            again += 1
            name = f"{found}.{again}"
        file.generation = name
        file.stream.origin = origin_of(file.path, name)

    def _find_dialect(self, file: GrowingFile, *, is_last: bool) -> bool:
        """Find the dialect of a file from its head, if that has a whole line."""
        head = file.head(is_last=is_last)
        is_short = len(head) <= min(SAMPLE_BYTES - 1, self._source.max_record_bytes)
        if b"\n" not in head and is_short and not is_last:
            file.wait_for_more()
            return False
        if compression_of(head):
            raise OSError(f"cannot follow {file.path!r}: a compressed file does not grow line by line")
        if encoding := find_wide_encoding(head):
            raise OSError(f"cannot follow {file.path!r}: its text is {encoding.upper()}, which has no lines of bytes")
        if b"\n" not in head and head.count(b"\r") > 1:
            raise OSError(f"cannot follow {file.path!r}: its lines end in CR, and not in LF")
        dialect = Dialect(self._record_type.separator)
        if self._source.sniff is not None:
            try:
                dialect = self._source.sniff(head[: head.rfind(b"\n") + 1] or head, self._record_type)
            except ValueError:
                _LOGGER.warning("cannot tell how the records of %r are written", file.path)
        # What stands before the first record is passed over here, and a mark tells of its offset.
        file.skip(dialect.skip)
        file.stream.dialect = dialect._replace(skip=0)
        return True

    def _finish(self, file: GrowingFile) -> None:
        """Read a last time; what is left is a record, though it lacks its line end."""
        if file.stream.is_open:
            while self._read(file, is_last=True):
                pass
            self._close(file)


def _names(place: TailPosition) -> Iterator[str]:
    """Return the names that a file may have: its own, and those in the same folder that have its inode."""
    yield place.path
    try:
        with os.scandir(Path(place.path).parent) as entries:
            yield from sorted(entry.path for entry in entries if entry.inode() == place.inode)
    except OSError:
        return


def _open_same(path: str, place: TailPosition) -> int | None:
    """Open a file if it is the one that is meant."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    found = os.fstat(handle)
    if (found.st_dev, found.st_ino) == (place.device, place.inode):
        return handle
    os.close(handle)
    return None
