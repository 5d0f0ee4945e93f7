"""Files that grow, as a source of lines: what is in them, and what is appended, through every rotation."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apache_beam.coders import Coder, registry
from apache_beam.io.unbounded_source import UnboundedSource

from schemas.records import Dialect, RecordType
from sources.block import Block, now_micros
from sources.chunks import is_compressed
from sources.following import Following, FollowMark
from sources.growing_file import Place
from sources.liveness import Sniff, Taken
from sources.reader import BlockReader


class FollowMarkCoder(Coder):
    """Codes a :class:`FollowMark` as JSON, the same bytes for equal marks."""

    def encode(self, value: FollowMark) -> bytes:
        """Gives the bytes of a mark."""
        return json.dumps(value).encode()

    def decode(self, encoded: bytes) -> FollowMark:
        """Gives the mark of the bytes."""
        token, places, records, watermark = json.loads(encoded)
        found = []
        for listed in places:
            place = Place(*listed)
            place = place._replace(earlier=tuple(place.earlier))
            if place.dialect is not None:
                dialect = Dialect(*place.dialect)
                place = place._replace(dialect=dialect._replace(header=tuple(dialect.header)))
            found.append(place)
        return FollowMark(token, tuple(found), records, watermark)

    def is_deterministic(self) -> bool:
        """Equal marks have equal bytes: Beam finds a parked reader by them."""
        return True


@dataclass(frozen=True)
class FollowLines(UnboundedSource):
    r"""Reads files from their beginning, and goes on with what is appended to them, as ``tail -F`` does.

    A line is handed out when it has its ``\n``. A file that was renamed (a new one stands in its place, or comes later)
    is read to its end first, and looked at for ``following.GRACE_SECONDS`` more, in case its writer has not noticed;
    then it is closed, and its last line may lack the line end. One that was cut off, or written anew in place, is read
    from its start (see :class:`sources.growing_file.GrowingFile`); what stood in it and was not read yet is lost. A
    file is known by its inode: one that is renamed to
    a name that is followed as well is not read twice.

    Its end comes after ``idle_timeout_seconds`` in which no file grew, after ``max_records``, or when a drain was asked
    for. A checkpoint mark has the place in every file, and a reader made from it, here or in another process, gives
    exactly the rest, of files that were renamed meanwhile too, as long as they are in their folder and not compressed;
    a warning says what is not there any more. What came and was renamed while nobody looked is not found (a second
    rotation between two looks, or while a job was stopped). The watermark is that of
    :class:`sources.liveness.Watermark`, one stream a file.

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
        wall_clock: microseconds of UTC, for when records are read.
    """

    paths: tuple[str, ...]
    record_type: RecordType
    disorder_micros: int = 0
    idle_timeout_seconds: float | None = None
    max_record_bytes: int = 1 << 20
    max_block_bytes: int = 8 << 20
    sniff: Sniff | None = None
    max_records: int | None = None
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], int] = now_micros

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: no path, a compressed file, a limit that is not positive, or a negative disorder.
        """
        if not self.paths:
            raise ValueError("expected a file to follow, got none")
        for path in self.paths:
            if is_compressed(path):
                raise ValueError(f"cannot follow {path!r}: a compressed file does not grow line by line")
        for name in ("idle_timeout_seconds", "max_record_bytes", "max_block_bytes", "max_records"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value!r}")
        if self.disorder_micros < 0:
            raise ValueError(f"disorder_micros must not be negative, got {self.disorder_micros!r}")

    def split(self, desired_num_splits: int, options: Any = None) -> list[FollowLines]:  # noqa: ARG002
        """Gives itself: a file may take the name of another one, so one reader reads all."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: FollowMark | None) -> FollowReader:  # noqa: ARG002
        """Gives a reader at the beginning of the files, or behind the mark."""
        mark = checkpoint_mark or FollowMark(uuid.uuid4().hex)
        following = _OPEN.get(mark.token)
        if following is None or following.mark() != mark:
            following = Following(self, mark)
        return FollowReader(following)

    def get_checkpoint_mark_coder(self) -> FollowMarkCoder:
        """Gives the coder of FollowMark."""
        return FollowMarkCoder()

    def default_output_coder(self) -> Coder:
        """Gives the coder of Block."""
        return registry.get_coder(Block)


class FollowReader(BlockReader):
    """Hands out what the files have; ``start`` and ``advance`` are False where they have nothing new, or at the end.

    They read from the disk and wait for nothing else. A reader that is made from a mark while the reader that gave it
    is open takes its files over, as the other sources' readers do; closing the earlier one does nothing then.

    Raises:
        OSError: a file cannot be read; the message names it.
    """

    def __init__(self, following: Following) -> None:
        """Takes the files over."""
        self._following = following
        following.reader = self
        _OPEN[following.token] = following

    @property
    def taken(self) -> Taken | None:
        """See :class:`BlockReader`."""
        return self._following.taken

    @property
    def promised(self) -> int | None:
        """See :class:`BlockReader`."""
        return self._following.watermark.value

    @property
    def is_ended(self) -> bool:
        """See :class:`BlockReader`."""
        return self._following.is_done

    def start(self) -> bool:
        """Takes the first block."""
        return self._following.advance()

    def advance(self) -> bool:
        """Takes the next block."""
        return self._following.advance()

    def get_checkpoint_mark(self) -> FollowMark:
        """Gives the mark behind everything handed out so far."""
        return self._following.mark()

    def close(self) -> None:
        """Closes the files, unless a later reader goes on with them."""
        if self._following.reader is self:
            _OPEN.pop(self._following.token, None)
            self._following.close()


#: What is followed in this process, by the token of its marks.
_OPEN: dict[str, Following] = {}
