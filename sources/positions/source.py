"""Sources that go on where an earlier run has got to, and tell for each block where they are behind it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from schemas.elements.block import Block
from sources.drain import draining
from sources.files.chunks import ByteRange
from sources.files.follow import FollowLines, FollowMark
from sources.files.growing_file import TailPosition
from sources.files.replay import FileMark, FileReplay
from sources.kafka.checkpoint import KafkaMark
from sources.kafka.monitor import find_topic_ids
from sources.kafka.partitions import PartitionId as Partition
from sources.kafka.source import KafkaTopics
from sources.positions.delivery import Delivery, Ledger, Position, Stand, find
from sources.positions.position import (
    CHECKED_BYTES,
    FilePosition,
    Found,
    TopicPosition,
    find_again,
    first_position,
    identity_of,
)

Note = Callable[[str], None]


class Tracker(Protocol):
    """Turns what a reader gives into positions."""

    def stand(self, source: Any, mark: Any, block: Block | None, *, is_read: bool) -> Stand:
        """Return where the source is.

        Args:
            source: the source itself.
            mark: that of the reader behind everything that it has handed out.
            block: what it has just handed out; None for nothing.
            is_read: whether everything that there is was read.
        """


@dataclass(frozen=True)
class PositionedSource(UnboundedSource):
    """A source of which each block has a receipt, read by one reader in this process.

    Attributes:
        source: reads; one that does not split into several.
        token: of the :class:`sources.positions.delivery.Delivery` that keeps its ledger.
        number: of that ledger.
        start: the mark to begin behind; None for the beginning.
    """

    source: Any
    token: str
    number: int
    start: Any = None

    def split(self, desired_num_splits: int, options: Any = None) -> list[PositionedSource]:  # noqa: ARG002
        """Return one part: positions need one order."""
        parts = self.source.split(1, options)
        return [replace(self, source=parts[0])] if len(parts) == 1 else [self]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> PositionedReader:
        """Return a reader behind the mark, or where the source begins."""
        mark = self.start if checkpoint_mark is None else checkpoint_mark
        return PositionedReader(self, self.source.create_reader(options, mark))

    def get_checkpoint_mark_coder(self) -> Coder:
        """Return that of the source."""
        return self.source.get_checkpoint_mark_coder()

    def default_output_coder(self) -> Coder:
        """Return that of the source."""
        return self.source.default_output_coder()


class PositionedReader(UnboundedReader):
    """Hands out what another reader does, each block with a receipt."""

    def __init__(self, positioned: PositionedSource, reader: Any) -> None:
        """Take the reader."""
        self._reader = reader
        self._source = positioned.source
        self._delivery = find(positioned.token)
        self._number = positioned.number
        self._ledger = self._delivery.ledger(self._number)
        self._block: Block | None = None

    def start(self) -> bool:
        """Take the first block."""
        return self._took(self._reader.start())

    def advance(self) -> bool:
        """Take the next block."""
        return self._took(self._reader.advance())

    def get_current(self) -> Block:
        """Return the block of the last call that was True."""
        if self._block is None:
            raise ValueError("no block: start or advance has to have been True")
        return self._block

    def get_current_timestamp(self) -> Timestamp:
        """Return that of the reader."""
        return self._reader.get_current_timestamp()

    def get_watermark(self) -> Timestamp:
        """Return that of the reader."""
        return self._reader.get_watermark()

    def get_checkpoint_mark(self) -> Any:
        """Return that of the reader."""
        return self._reader.get_checkpoint_mark()

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def _took(self, has_block: bool) -> bool:
        block = self._reader.get_current() if has_block else None
        is_read = not has_block and self._reader.get_watermark() >= MAX_TIMESTAMP and not draining()
        stand = self._ledger.tracker.stand(self._source, self._reader.get_checkpoint_mark(), block, is_read=is_read)
        if block is None:
            self._ledger.stand(stand)
        else:
            self._block = block._replace(receipt=self._delivery.receipt(self._number, self._ledger.hand_out(stand)))
        return has_block


def go_on(
    source: Any,
    positions: Sequence[Position],
    delivery: Delivery,
    note: Note,
    *,
    sinks: int,
    keeps_rejected: bool,
) -> PositionedSource:
    """Return a source that goes on at positions, and whose blocks are looked after.

    Args:
        source: files, read in order by one reader or followed, or topics of Kafka.
        positions: those of an earlier run; of other sources, too.
        delivery: looks after it.
        note: takes a line for a person.
        sinks: how many sinks get each batch.
        keeps_rejected: whether a sink gets each rejected record.

    Raises:
        OSError: a file cannot be read.
        TypeError: nobody can tell where such a source is.
    """
    start: Any = None
    tracker: Tracker
    begin: Sequence[Position]
    if isinstance(source, FileReplay):
        source, tracker, begin = _resume_files(source, _of(FilePosition, positions), note)
    elif isinstance(source, FollowLines):
        start, tracker, begin = _resume_followed(source, _of(FilePosition, positions), note)
    elif isinstance(source, KafkaTopics):
        start, tracker, begin = _resume_topics(source, _of(TopicPosition, positions), note)
    else:
        raise TypeError(f"a {type(source).__name__} has no positions")
    ledger = Ledger(tracker, sinks, keeps_rejected=keeps_rejected, positions=begin)
    return PositionedSource(source, delivery.token, delivery.add(ledger), start)


def _of(kind: type[Any], positions: Iterable[Any]) -> list[Any]:
    return [position for position in positions if isinstance(position, kind)]


@dataclass
class _File:
    """A file that is read: its position at the start, the last bytes read of it, and what the disk said of it."""

    position: FilePosition
    tail: bytes
    size: int
    modified: int
    is_open: bool = False


def _opened(file: _File, path: str) -> _File:
    """Return what is known of a file that was just opened: another one may have taken its path since it was found.

    Raises:
        OSError: one has, and it is read from where the other one was to go on.
    """
    try:
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return replace(file, is_open=True)
    if (state.st_dev, state.st_ino) == file.position.key:
        return replace(file, is_open=True)
    if file.position.offset:
        raise OSError(f"{path} was replaced before it was read on: the same command again reads both files")
    return _File(first_position(path), b"", state.st_size, state.st_mtime_ns, is_open=True)


@dataclass
class _FilesTracker:
    """Knows which file has which path: as it was before any was opened.

    Attributes:
        files: by path.
        done: how many of the pieces were read.
    """

    files: dict[str, _File] = field(default_factory=dict)
    done: int = 0

    def stand(self, source: FileReplay, mark: FileMark, block: Block | None, *, is_read: bool) -> Stand:
        """Return the positions of the files that were read since the last call."""
        changed = []
        if block is not None:
            path = source.pieces[mark.piece].path
            file = self.files[path]
            if not file.is_open:
                self.files[path] = file = _opened(file, path)
            if block.spans[0].position != file.position.offset:
                file.tail = b""  # blank lines were passed over
            file.tail = b"" if block.fault else (file.tail + block.data)[-CHECKED_BYTES:]
            file.position = file.position.behind(file.tail, mark.offset)
            changed.append(file.position)
        is_all = is_read and (source.max_records is None or mark.records < source.max_records)
        now = len(source.pieces) if is_all else mark.piece
        for piece in source.pieces[self.done : now]:
            file = self.files[piece.path]
            # One that has another name by now may have been another one when it was opened.
            if identity_of(piece.path) == file.position.key:
                file.position = file.position._replace(is_done=True, size=file.size, modified=file.modified)
                changed.append(file.position)
        self.done = max(self.done, now)
        return Stand(tuple(changed))


def _resume_files(
    source: FileReplay, positions: Sequence[FilePosition], note: Note
) -> tuple[FileReplay, _FilesTracker, list[FilePosition]]:
    """Leave out what was read of files; what was not of one that was renamed comes before the others."""
    tracker = _FilesTracker()
    begin: list[FilePosition] = []
    pieces: list[ByteRange] = []
    moved: list[ByteRange] = []
    # A file that has two of the paths is read once.
    paths = {identity: piece.path for piece in reversed(source.pieces) if (identity := identity_of(piece.path))}
    again: dict[str, Found] = {}
    for position in positions:
        found = find_again(position, {inode: path for (_, inode), path in paths.items()})
        identity = identity_of(found.path)
        if identity in paths:
            # Under the name that it has now, so that its records are told from those of the new file of its old name.
            path = paths[identity]
            again[path] = found._replace(position=found.position._replace(path=os.path.abspath(path)))  # noqa: PTH100
        else:
            _add(found, found.path, moved, tracker, begin, note)
    for path in reversed(paths.values()):
        _add(again.get(path) or find_again(first_position(path)), path, pieces, tracker, begin, note)
    return replace(source, pieces=(*moved, *pieces)), tracker, begin


def _add(
    found: Found, path: str, pieces: list[ByteRange], tracker: _FilesTracker, begin: list[FilePosition], note: Note
) -> None:
    if found.note:
        note(found.note)
    if not found.path:
        return
    begin.append(found.position)
    if found.has_more or not found.position.checked:
        state = os.stat(path)  # noqa: PTH116
        pieces.append(ByteRange(path, found.position.offset))
        tracker.files[path] = _File(found.position, found.before[-CHECKED_BYTES:], state.st_size, state.st_mtime_ns)


@dataclass
class _FollowTracker:
    """Takes the places of a mark as they are, and knows when files were born.

    Attributes:
        born: by device and inode.
    """

    born: dict[tuple[int, int], int] = field(default_factory=dict)

    def stand(self, source: FollowLines, mark: FollowMark, block: Block | None, *, is_read: bool) -> Stand:  # noqa: ARG002
        """Return the positions of all files that are followed; those that are missing are done with."""
        return Stand(tuple(map(self._position, mark.places)), is_whole=True)

    def _position(self, place: TailPosition) -> FilePosition:
        key = place.device, place.inode
        if key not in self.born:
            with suppress(OSError):
                first = first_position(place.path)
                self.born[key] = first.born if first.key == key else 0
        return FilePosition(
            os.path.abspath(place.path),  # noqa: PTH100
            place.device,
            place.inode,
            self.born.get(key, 0),
            place.offset,
            place.seam,
            min(CHECKED_BYTES, place.offset),
            place.skipping,
            dialect=place.dialect,
            generation=place.generation,
            earlier=place.earlier,
        )


def _resume_followed(
    source: FollowLines, positions: Sequence[FilePosition], note: Note
) -> tuple[FollowMark | None, _FollowTracker, list[FilePosition]]:
    """Return the mark that goes on at the positions; files of which nothing is known begin at their start.

    So one is found that is renamed before it is looked at.
    """
    given = {os.path.abspath(path): path for path in source.paths}  # noqa: PTH100
    begin: dict[tuple[int, int], FilePosition] = {}
    places: list[TailPosition] = []
    for found in map(find_again, positions):
        if found.note:
            note(found.note)
        if found.path:
            on = begin[found.position.key] = found.position
            seam = zlib.crc32(found.before[-CHECKED_BYTES:])
            path = given.get(on.path, on.path)
            place = TailPosition(path, on.device, on.inode, on.offset, seam, on.skipping, on.dialect)
            places.append(place._replace(generation=on.generation, earlier=on.earlier))
    for path in source.paths:
        with suppress(OSError):  # which whoever follows it tells
            first = first_position(path)
            if first.key not in begin:
                begin[first.key] = first
                places.append(TailPosition(path, *first.key))
    born = {key: position.born for key, position in begin.items()}
    return FollowMark(os.urandom(16).hex(), tuple(places)), _FollowTracker(born), list(begin.values())


@dataclass
class _TopicsTracker:
    """Takes the offsets of a mark, and knows the ids of topics."""

    ids: dict[str, str]

    def stand(self, source: KafkaTopics, mark: KafkaMark, block: Block | None, *, is_read: bool) -> Stand:  # noqa: ARG002
        """Return the offsets of all partitions."""
        if block is not None:
            self.ids[block.spans[0].origin.rpartition("[")[0]] = block.scope
        brokers, offsets = source.brokers.servers, mark.offsets.items()
        found = (TopicPosition(brokers, *place, offset, self.ids.get(place.topic, "")) for place, offset in offsets)
        return Stand(tuple(found), is_whole=True)


def _resume_topics(
    source: KafkaTopics, positions: Sequence[TopicPosition], note: Note
) -> tuple[KafkaMark | None, _TopicsTracker, list[TopicPosition]]:
    """Return the mark that goes on at the offsets of these topics; None where none is known."""
    from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

    ids: dict[str, str] = {}
    for topic in source.topics:
        with suppress(KafkaException):  # it is not there yet
            ids |= find_topic_ids(source.brokers, [topic])
    known = [at for at in positions if at.brokers == source.brokers.servers and at.topic in source.topics]
    begin = [at for at in known if not (at.id and ids.get(at.topic)) or at.id == ids[at.topic]]
    for topic in dict.fromkeys(at.topic for at in known if at not in begin):
        note(f"{topic} was made anew since its positions were kept: it is read from its first message")
    offsets = {Partition(at.topic, at.partition): at.offset for at in begin}
    # Then partitions of which nothing is known are new, and are read from their first message.
    mark = KafkaMark(os.urandom(16).hex(), offsets, has_begun=True) if known else None
    return mark, _TopicsTracker(ids), begin
