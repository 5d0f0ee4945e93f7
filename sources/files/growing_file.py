"""One file that grows: how far it was read, and whether what was read still stands in it."""

from __future__ import annotations

import logging
import os
import time
import zlib
from typing import NamedTuple

from schemas.elements.block import file_origin
from schemas.record_type import Dialect
from schemas.text.dialect import SAMPLE_BYTES
from sources.line_cutter import LineCutter
from sources.watermark import Stream

_LOGGER = logging.getLogger(__name__)

#: Of what was read, the first and the last bytes; where others stand there now, the file was written anew.
HEAD_BYTES = 256
SEAM_BYTES = 64
#: A file that changed so lately may change again and keep its times: those of file systems are coarse.
_RACY_NANOS = 2_000_000_000
_KEPT_GENERATIONS = 100

Identity = tuple[int, int]


class TailPosition(NamedTuple):
    """How far one file was read.

    Attributes:
        path: what it was called when it was found.
        device: with ``inode``, which file it is, whatever it is called now.
        inode: see there.
        offset: everything before it was handed out.
        seam: a checksum of the SEAM_BYTES right before it.
        skipping: whether the offset is within a record that is too long, and was handed out as a fault.
        dialect: how its records are written, None where that is not known yet.
        generation: names what stands in it; empty before its first record (see :mod:`sources.files.generation`).
        earlier: what stood in it before it was written anew, the latest _KEPT_GENERATIONS.
    """

    path: str
    device: int
    inode: int
    offset: int = 0
    seam: int = 0
    skipping: bool = False
    dialect: Dialect | None = None
    generation: str = ""
    earlier: tuple[str, ...] = ()

    def written_anew(self) -> TailPosition:
        """Return the beginning of the same file, once something else stands in it."""
        earlier = (*self.earlier, self.generation)[-_KEPT_GENERATIONS:]
        return TailPosition(self.path, self.device, self.inode, earlier=earlier)


class _CutterAt(LineCutter):
    """Cuts lines from some place of a file on."""

    def __init__(self, max_record_bytes: int, position: int, *, skipping: bool) -> None:
        super().__init__(max_record_bytes)
        self.max_record_bytes = max_record_bytes
        self._position = position
        self._skipping = skipping

    @property
    def place(self) -> tuple[int, bool]:
        """Where the record begins that is not whole yet, or how far the one was read that is too long."""
        return self._position, self._skipping

    @property
    def is_between_records(self) -> bool:
        """Whether the next byte is the first one of a record."""
        return not self._tail and not self._skipping


class GrowingFile:
    """One file that is open, whatever it is called by now.

    That it was written anew shows by its size, or, once its times or its size have changed, by its first and its last
    bytes that were read. So what keeps both cannot be told from what was appended, or from a file that was not touched:
    the same bytes written again, or a longer file that begins just as this one did.
    """

    def __init__(self, max_record_bytes: int, place: TailPosition, handle: int) -> None:
        self.path = place.path
        self.handle = handle
        found = os.fstat(handle)
        self.identity: Identity = (found.st_dev, found.st_ino)
        self.cutter = _CutterAt(max_record_bytes, place.offset, skipping=place.skipping)
        self.generation, self.earlier = place.generation, place.earlier
        self.stream = Stream(origin_of(place.path, place.generation), self.cutter, place.dialect)
        self._read_bytes = _ends(handle, place.offset)
        #: Size and times when it was last compared with what was read; None where they may not tell of a change.
        self._compared: tuple[int, int, int] | None = None
        #: Up to here there is no record yet: a first line without its end, or bytes that nobody has written.
        self._examined = 0
        self._examined_sum = 0
        #: How many bytes it had when somebody looked.
        self.seen = 0
        #: Since when another file stands in its place, and it has not grown.
        self.left_at: float | None = None

    @property
    def size(self) -> int:
        """Its bytes now."""
        return os.fstat(self.handle).st_size

    @property
    def has_more(self) -> bool:
        """Whether it has bytes that were not looked at."""
        return self.stream.is_open and self.size > max(self.cutter.received, self._examined)

    @property
    def place(self) -> TailPosition:
        """Where to go on: at the first record that was not handed out."""
        offset, skipping = self.cutter.place
        if self.stream.pieces:
            offset, skipping = self.stream.pieces[0].position, False
        seam = seam_of(self.handle, offset)
        return TailPosition(
            self.path, *self.identity, offset, seam, skipping, self.stream.dialect, self.generation, self.earlier
        )

    def look(self) -> bool:
        """Look what became of the file, and return whether what was read does not stand in it any more."""
        found = os.fstat(self.handle)
        if not self.stream.is_open:
            return False
        if found.st_size < self.cutter.received:
            return True
        if found.st_size < self._examined:
            self._examined = 0
        self.seen = found.st_size
        times = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if times == self._compared:
            return False
        if _ends(self.handle, self.cutter.received) != self._read_bytes:
            return True
        if self._examined and self._sum_of_rest() != self._examined_sum:
            self._examined = 0
        is_racy = time.time_ns() - max(times[1:]) < _RACY_NANOS
        self._compared = None if is_racy else times
        return False

    def read(self, size: int, *, is_last: bool = False) -> bytes:
        """Read the next bytes, up to a gap between records.

        Args:
            size: how many at most.
            is_last: whether what nobody has written by now is never going to be.

        Raises:
            OSError: the file cannot be read; the message names it.
        """
        try:
            if not self._pass_gap(is_last=is_last):
                return b""
            data = os.pread(self.handle, size, self.cutter.received)
        except OSError as error:
            raise OSError(f"cannot read {self.path!r}: {error.strerror}") from error
        gap = data.find(b"\n\0")
        if gap >= 0:
            data = data[: gap + 1]
        head, tail = self._read_bytes
        self._read_bytes = (head + data[: HEAD_BYTES - len(head)], (tail + data)[-SEAM_BYTES:])
        return data

    def head(self, *, is_last: bool = False) -> bytes:
        """Read the first bytes that somebody has written, for a look at how records are written."""
        if not self._pass_gap(is_last=is_last):
            return b""
        return os.pread(self.handle, SAMPLE_BYTES, self.cutter.received)

    def wait_for_more(self) -> None:
        """Note that what there is has no whole record yet."""
        self._examined, self._examined_sum = self.size, self._sum_of_rest()

    def skip(self, size: int) -> None:
        """Pass over what stands before a record."""
        place = self.cutter.received + size
        self._read_bytes = _ends(self.handle, place)
        self.cutter = self.stream.cutter = _CutterAt(self.cutter.max_record_bytes, place, skipping=False)

    def _pass_gap(self, *, is_last: bool) -> bool:
        """Pass over zeros where a record begins; return whether there are bytes behind them.

        A writer that goes on where it was, though its file was cut off, leaves a hole there. Zeros at the end may be
        room that is to be written to, so they are passed over when something is behind them.
        """
        start = place = self.cutter.received
        if not self.cutter.is_between_records or os.pread(self.handle, 1, start) != b"\0":
            return True
        while chunk := os.pread(self.handle, SAMPLE_BYTES, place):
            rest = chunk.lstrip(b"\0")
            place += len(chunk) - len(rest)
            if rest:
                break
            place = _next_data(self.handle, place)
        else:
            if not is_last:
                self.wait_for_more()
                return False
        _LOGGER.warning("%r has %d zero bytes at byte %d, where nothing was written", self.path, place - start, start)
        self.skip(place - start)
        return True

    def _sum_of_rest(self) -> int:
        return zlib.crc32(os.pread(self.handle, SAMPLE_BYTES, self.cutter.received))


def origin_of(path: str, generation: str) -> str:
    """Return the origin of the records of one generation of a file."""
    return f"{file_origin(path)}#{generation}"


def seam_of(handle: int, offset: int) -> int:
    """Return a checksum of the bytes of a file right before an offset."""
    return zlib.crc32(_ends(handle, offset)[1])


def _ends(handle: int, offset: int) -> tuple[bytes, bytes]:
    """Return the first bytes of a file, and the last ones before an offset."""
    head = os.pread(handle, min(HEAD_BYTES, offset), 0)
    return head, os.pread(handle, min(SEAM_BYTES, offset), max(0, offset - SEAM_BYTES))


def _next_data(handle: int, place: int) -> int:
    """Return where the next bytes are that are on the disk, or a place before them: holes may be long."""
    try:
        return os.lseek(handle, place, os.SEEK_DATA)
    except OSError:
        return os.fstat(handle).st_size
