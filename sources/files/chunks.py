"""Reading pieces of files as chunks of whole lines: plain or compressed, from any byte on."""

from __future__ import annotations

import glob
import io
import itertools
import lzma
import os
import re
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from schemas.object_path import is_remote
from schemas.record_type import Dialect, RecordType
from schemas.text.dialect import SAMPLE_BYTES
from schemas.text.records import MAX_JOINED_BYTES, has_open_line, last_record_end, may_have_joined
from schemas.text.sniff import sniff_dialect
from schemas.text.text_encoding import check_text
from sources.files.opening import one_line_errors, open_file
from storage.place import find_objects, size_of

#: Of a record that is too long, so much is kept to show.
SHOWN_BYTES = 4_096
_SKIP_BYTES = 1 << 16
#: Where the last line end of a chunk is looked for.
_TAIL_BYTES = 1 << 16
_OVER_BYTES = 1 << 20
#: Of so many files it is looked at whether their encoding is known, before anything is read.
_MOST_CHECKED = 100
#: The names of files that have no records but tell something of others.
_BESIDE = re.compile(
    r"\.|_(?:SUCCESS|FAILURE|(?:common_)?metadata|(?:committed|started)_\d+)$|(?:MD5|SHA\d+)SUMS?(?:\.txt)?$"
    r"|.*\.(?:crc|md5|sha1|sha256|sha512)$",
    re.DOTALL,
)


class ByteRange(NamedTuple):
    """The records of a file whose first byte lies in ``start <= offset < stop``; ``stop`` -1 is the end of the file."""

    path: str
    start: int = 0
    stop: int = -1


class Chunk(NamedTuple):
    """Whole lines of one file.

    Attributes:
        data: the lines; only the last line of a file may lack its line end.
        piece: which piece they are of, by its place in the list.
        offset: of the first byte, in the (decompressed) file.
        after: the offset from which to go on.
        dialect: of the file.
        fault: empty, or why this is one record that cannot be used, of which ``data`` is the beginning.
    """

    data: bytes
    piece: int
    offset: int
    after: int
    dialect: Dialect
    fault: str = ""


def find_files(patterns: Iterable[str]) -> list[str]:
    """Return the files that paths, globs and folders name, each once; those of a folder in name order.

    What programs leave beside the files of a folder is not among them: hidden files, the marks of Spark and Hive
    (``_SUCCESS``, ``_metadata``) and checksums. Whoever names one of these gets it.

    Raises:
        FileNotFoundError: a pattern names nothing.
        PermissionError: a file cannot be read, or a folder that may have some cannot be looked into.
        OSError: a path names a pipe or a device, which cannot be read twice.
    """
    found: dict[Path | str, str] = {}
    for pattern in patterns:
        if is_remote(pattern):
            named = find_objects(pattern)
            objects = [path for path in named if path == pattern or not _BESIDE.match(path.rpartition("/")[2])]
            objects = objects or (named if glob.has_magic(pattern) else [])
            if not objects:
                raise FileNotFoundError(
                    f"no object at {pattern!r}: expected a key, a glob or a folder with objects in it"
                )
            found |= {str(path): path for path in objects if str(path) not in found}
            continue
        path = Path(pattern)
        if path.is_dir():
            names = sorted(str(file) for file in path.iterdir() if _is_meant(file) and not _BESIDE.match(file.name))
        elif path.is_file():
            names = [pattern]
        elif path.exists():
            raise OSError(f"no regular file: {pattern!r}; give - and pipe it in instead")
        else:
            _check_folders(pattern)
            names = sorted(name for name in glob.glob(pattern, recursive=True) if _is_meant(Path(name)))  # noqa: PTH207
            names = [name for name in names if not _BESIDE.match(Path(name).name)] or names
        if not names:
            raise FileNotFoundError(f"no file at {pattern!r}: expected a path, a glob or a folder with files in it")
        for name in names:
            if not Path(name).exists():
                raise FileNotFoundError(f"no file at {name!r}: it is a link to one that is not there")
            if not os.access(name, os.R_OK):
                raise PermissionError(f"cannot read {name!r}: permission denied")
            found.setdefault(Path(name).resolve(), name)
    return list(found.values())


def _check_folders(pattern: str) -> None:
    """Look whether every folder that a glob goes through can be looked into: ``glob`` itself passes over the others.

    Raises:
        PermissionError: one cannot be.
    """
    parts = Path(pattern).parts
    for number, part in enumerate(parts):
        if not any(map(glob.has_magic, parts[: number + 1])):
            continue
        through = Path(*parts[:number], "**" if part == "**" else "")
        needed = os.R_OK | os.X_OK if glob.has_magic(part) else os.X_OK
        for folder in glob.glob(str(through), recursive=True):  # noqa: PTH207
            if Path(folder).is_dir() and not os.access(folder, needed):
                raise PermissionError(f"cannot look into {folder!r}: permission denied")


def _is_meant(path: Path) -> bool:
    """Tell whether who names a folder or a glob means this: a file, or a link that may have lost its file."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def file_dialect(path: str, record_type: RecordType) -> Dialect:
    """Find the dialect of a file from its head."""
    with open_file(path, record_type.wide_encoding) as file:
        return sniff_dialect(_read(file, SAMPLE_BYTES), record_type.in_utf8)


def check_texts(paths: Iterable[str], record_type: RecordType) -> None:
    """See that the first of some files are not in an encoding that nobody can tell by their bytes.

    Raises:
        OSError: one is; the message names it, and what to do.
    """
    local = (path for path in paths if not is_remote(path))
    for path in itertools.islice(local, 0 if record_type.written.encoding else _MOST_CHECKED):
        try:
            with open_file(path) as file:
                check_text(_read(file, _TAIL_BYTES))
        except ValueError as error:
            raise OSError(f"cannot read {path!r}: {error}") from None
        except (OSError, EOFError, zlib.error, lzma.LZMAError):  # which is told where it is read
            continue


def piece_size(piece: ByteRange) -> int:
    """Return the bytes of the piece as they are kept: those of a compressed file, if it is one."""
    stop = size_of(piece.path) if piece.stop < 0 else piece.stop
    return max(0, stop - piece.start)


def read_chunks(
    pieces: Sequence[ByteRange],
    record_type: RecordType,
    chunk_bytes: int,
    first_piece: int = 0,
    first_offset: int = -1,
) -> Generator[Chunk, None, None]:
    """Read the pieces in order, from ``first_offset`` of ``first_piece`` on (a chunk's ``after``).

    No chunk is longer than ``chunk_bytes``. A record that is longer, its line end included, comes as a chunk with a
    fault.

    Raises:
        OSError: a file cannot be read to its end, or is shorter than it was; the message names it.
    """
    for number in range(first_piece, len(pieces)):
        piece = pieces[number]
        with one_line_errors(piece.path):
            dialect = file_dialect(piece.path, record_type)
            width = len(record_type.order(dialect)) if dialect.quoted and record_type.form.has_dialects else 0
            wide = record_type.wide_encoding
            cut = _Cut(dialect, width, chunk_bytes)
            with open_file(piece.path, wide) as file:
                offset, carry = first_offset, b""
                if number > first_piece or offset < 0:
                    offset, carry = _align(file, piece, cut)
                    if width and piece.start > dialect.skip and _may_be_inside(file, offset, cut):
                        offset = -1
                if number == first_piece and first_offset >= 0:
                    _go_to(file, offset)
                if offset >= 0:
                    yield from _read_piece(file, number, piece, offset, carry, cut)
                    continue
            # What the piece begins with may belong to a record before it: all records up to there settle that.
            offset = dialect.skip
            with open_file(piece.path, wide) as file:
                _go_to(file, offset)
                for chunk in _read_piece(file, number, ByteRange(piece.path, 0, piece.start), offset, b"", cut):
                    offset = chunk.after
            with open_file(piece.path, wide) as file:
                _go_to(file, offset)
                yield from _read_piece(file, number, piece, offset, b"", cut)


class _Cut(NamedTuple):
    """How a file is cut: its dialect, how many fields a record has where it has quotes, and how long chunks are."""

    dialect: Dialect
    width: int
    chunk_bytes: int

    @property
    def joined(self) -> Dialect:
        """The dialect of chunks in which lines may belong together."""
        return self.dialect._replace(width=self.width)

    @property
    def joined_bytes(self) -> int:
        """The most bytes of a record of several lines."""
        return min(MAX_JOINED_BYTES, self.chunk_bytes)

    def at_record(self, data: bytes, end: int, *, is_last: bool = False) -> tuple[int, Dialect]:
        """Return where to cut data, which begin with a record, so that no record is cut, and the dialect of that part.

        Args:
            data: some bytes of the file; a record of several lines that is longer is cut.
            end: behind the line end that comes last, or behind the one of the last line that is wanted.
            is_last: whether the file ends with them.
        """
        if not self.width or not end or not may_have_joined(data, self.dialect):
            return end, self.dialect
        return last_record_end(data, end, self.joined, self.joined_bytes, is_last=is_last), self.joined


def _may_be_inside(file: BinaryIO, offset: int, cut: _Cut) -> bool:
    """Return whether a line may belong to a record that begins before it: so some line there has open quotes."""
    if not file.seekable():
        return True
    place = file.tell()
    file.seek(max(cut.dialect.skip, offset - cut.joined_bytes))
    before = _read(file, offset - file.tell())
    file.seek(place)
    return has_open_line(before, cut.dialect)


def _align(file: BinaryIO, piece: ByteRange, cut: _Cut) -> tuple[int, bytes]:
    """Return the offset of the first line whose first byte is in the piece, and what was read from there on."""
    dialect, chunk_bytes = cut.dialect, cut.chunk_bytes
    if piece.start <= dialect.skip:
        _go_to(file, dialect.skip)
        return dialect.skip, b""
    _go_to(file, piece.start - 1)
    offset, carry = _skip_line(file, piece.start - 1, chunk_bytes)
    if offset < piece.start:
        raise EOFError(f"it ends before byte {piece.start}, and did not when it was listed")
    return offset, carry


def _read_piece(file: BinaryIO, number: int, piece: ByteRange, offset: int, carry: bytes, cut: _Cut) -> Iterator[Chunk]:
    """Read on behind ``carry``, which are the bytes at ``offset`` that were read already."""
    chunk_bytes = cut.chunk_bytes
    size = os.fstat(file.fileno()).st_size if isinstance(file, io.FileIO) else 0  # an object knows its own end
    while piece.stop < 0 or offset < piece.stop:
        if data := _read_in_place(file, offset, chunk_bytes, piece.stop):
            end, dialect = cut.at_record(data, len(data))
            if end:
                yield Chunk(data[:end], number, offset, offset + end, dialect)
                offset += end
                carry = b""
                if end < len(data):
                    file.seek(offset)
                continue
            file.seek(offset)
            carry = b""
        window = carry + _read(file, chunk_bytes - len(carry))
        if not window and piece.stop >= 0:
            raise EOFError(f"it ends before byte {piece.stop}, and did not when it was listed")
        if not window and offset < size:
            raise EOFError(f"it ends at byte {offset}, and had {size} when it was opened")
        if not window:
            return
        is_last = len(window) < chunk_bytes
        # A record is ours if it begins before the stop, so the line end to look for is at stop - 1 or behind.
        most = len(window) if piece.stop < 0 else window.find(b"\n", max(0, piece.stop - 1 - offset)) + 1 or len(window)
        end = most if is_last and most == len(window) else window.rfind(b"\n", 0, most) + 1
        end, dialect = cut.at_record(window, end, is_last=is_last)
        if end == 0:
            end = len(window)
            after, carry = _skip_line(file, offset + end, chunk_bytes)
            if after > offset + end:
                fault = f"record longer than {chunk_bytes} bytes"
                yield Chunk(window[:SHOWN_BYTES], number, offset, after, cut.dialect, fault)
                offset = after
                continue
        yield Chunk(window[:end] if end < len(window) else window, number, offset, offset + end, dialect)
        carry = window[end:]
        offset += end


def _read_in_place(file: BinaryIO, offset: int, size: int, stop: int) -> bytes:
    """Read whole lines, nearly ``size`` bytes of them, in the middle of a plain file; nothing where that cannot be.

    It looks for the last line end first, so that nothing has to be copied.
    """
    if not isinstance(file, io.FileIO) or 0 <= stop <= offset + size:
        return b""
    tail_bytes = min(size, _TAIL_BYTES)
    tail = os.pread(file.fileno(), tail_bytes, offset + size - tail_bytes)
    end = tail.rfind(b"\n") + 1
    if len(tail) < tail_bytes or not end:
        return b""
    data = os.pread(file.fileno(), size - tail_bytes + end, offset)
    if not data.endswith(b"\n"):
        return b""
    file.seek(offset + len(data))
    return data


def _skip_line(file: BinaryIO, offset: int, most_bytes: int) -> tuple[int, bytes]:
    """Read to the end of the line; return the offset behind it and what was read from there on, of so many bytes."""
    while window := _read(file, min(most_bytes, _SKIP_BYTES)):
        end = window.find(b"\n") + 1
        if end:
            return offset + end, window[end:]
        offset += len(window)
    return offset, b""


def _read(file: BinaryIO, size: int) -> bytes:
    """Read so many bytes, fewer only at the end of the file."""
    data = file.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := file.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _go_to(file: BinaryIO, offset: int) -> None:
    """Go to an offset of a file that was just opened; what cannot seek is read over."""
    missing = offset
    if offset and file.seekable():
        file.seek(offset - 1)
        missing = 1
    while missing:
        data = file.read(min(missing, _OVER_BYTES))
        if not data:
            raise EOFError(f"it ends before byte {offset}, and did not when it was listed")
        missing -= len(data)
