"""Reading pieces of files as chunks of whole lines: plain, gzip or zstandard, from any byte on."""

from __future__ import annotations

import glob
import gzip
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import zstandard

from schemas.records import Dialect, RecordType
from sources.dialect import SAMPLE_BYTES, sniff_dialect

#: Of a record that is too long, so much is kept to show.
SHOWN_BYTES = 4_096


class Piece(NamedTuple):
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
    """Gives the files that paths, globs and folders name, each once; those of a folder in name order.

    Raises:
        FileNotFoundError: a pattern names nothing.
        PermissionError: a file cannot be read.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            names = sorted(str(file) for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        elif path.exists():
            names = [pattern]
        else:
            names = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
        if not names:
            raise FileNotFoundError(f"no file at {pattern!r}: expected a path, a glob or a folder with files in it")
        for name in names:
            if not os.access(name, os.R_OK):
                raise PermissionError(f"cannot read {name!r}: permission denied")
            found[name] = None
    return list(found)


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading bytes, through gzip or zstandard by its ending."""
    if path.endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.endswith(".zst"):
        return cast(BinaryIO, zstandard.open(path, "rb", dctx=zstandard.ZstdDecompressor()))
    return cast(BinaryIO, Path(path).open("rb", buffering=0))


def is_compressed(path: str) -> bool:
    """Whether the file can be read from its beginning only."""
    return path.endswith((".gz", ".zst"))


def file_dialect(path: str, record_type: RecordType) -> Dialect:
    """Finds the dialect of a file from its head."""
    with open_file(path) as file:
        return sniff_dialect(_read(file, SAMPLE_BYTES), record_type)


def piece_size(piece: Piece) -> int:
    """Gives the bytes of the piece on disk."""
    stop = Path(piece.path).stat().st_size if piece.stop < 0 else piece.stop
    return max(0, stop - piece.start)


def read_chunks(
    pieces: tuple[Piece, ...],
    record_type: RecordType,
    chunk_bytes: int,
    first_piece: int = 0,
    first_offset: int = -1,
) -> Generator[Chunk, None, None]:
    """Reads the pieces in order, from ``first_offset`` of ``first_piece`` on (a chunk's ``after``).

    No chunk is longer than ``chunk_bytes``. A record that is longer comes as a chunk with a fault.

    Raises:
        OSError: a file cannot be read to its end; the message names it.
    """
    for number in range(first_piece, len(pieces)):
        piece = pieces[number]
        dialect = file_dialect(piece.path, record_type)
        with open_file(piece.path) as file:
            offset = first_offset if number == first_piece and first_offset >= 0 else _align(file, piece, dialect)
            try:
                yield from _read_piece(file, number, piece, offset, dialect, chunk_bytes)
            except (EOFError, gzip.BadGzipFile, zstandard.ZstdError, OSError) as error:
                raise OSError(f"cannot read {piece.path!r} to its end: {error}") from error


def _align(file: BinaryIO, piece: Piece, dialect: Dialect) -> int:
    """Gives the offset of the first record whose first byte is in the piece."""
    if piece.start <= dialect.skip:
        return dialect.skip
    offset = piece.start - 1
    _seek(file, offset)
    while True:
        window = _read(file, 1 << 16)
        end = window.find(b"\n")
        if end >= 0 or not window:
            return offset + end + 1 if window else offset
        offset += len(window)


def _read_piece(
    file: BinaryIO, number: int, piece: Piece, offset: int, dialect: Dialect, chunk_bytes: int
) -> Iterator[Chunk]:
    _seek(file, offset)
    carry = b""
    while piece.stop < 0 or offset < piece.stop:
        window = carry + _read(file, chunk_bytes - len(carry))
        if not window:
            return
        is_last = len(window) < chunk_bytes
        # A record is ours if it begins before the stop, so the line end to look for is at stop - 1 or behind.
        most = len(window) if piece.stop < 0 else window.find(b"\n", max(0, piece.stop - 1 - offset)) + 1 or len(window)
        end = most if is_last and most == len(window) else window.rfind(b"\n", 0, most) + 1
        if end == 0:
            after = _skip_line(file, offset + len(window))
            fault = f"record longer than {chunk_bytes} bytes"
            yield Chunk(window[:SHOWN_BYTES], number, offset, after, dialect, fault)
            carry, offset = b"", after
            continue
        yield Chunk(window[:end] if end < len(window) else window, number, offset, offset + end, dialect)
        carry = window[end:]
        offset += end


def _skip_line(file: BinaryIO, offset: int) -> int:
    """Reads to the end of the line and gives the offset behind it, where the file is then."""
    while True:
        window = _read(file, 1 << 16)
        end = window.find(b"\n")
        if end >= 0:
            _seek(file, offset + end + 1)
            return offset + end + 1
        if not window:
            return offset
        offset += len(window)


def _read(file: BinaryIO, size: int) -> bytes:
    """Reads so many bytes, fewer only at the end of the file."""
    data = file.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := file.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _seek(file: BinaryIO, offset: int) -> None:
    """Goes to an offset; a zstandard stream can only be read forward, so it is read over."""
    if file.tell() > offset or not isinstance(file, zstandard.ZstdDecompressionReader):
        file.seek(offset)
        return
    while (missing := offset - file.tell()) > 0 and file.read(min(missing, 1 << 20)):
        pass
