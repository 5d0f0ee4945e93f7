"""Opening files for their bytes: through what has compressed them, told by their first bytes and not by their names."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pyarrow

from schemas.object_path import bare, is_remote
from schemas.text.text_encoding import find_wide_encoding
from sources.files.json_array import ArrayElements, begins_array
from sources.files.transcoding import Ahead, LineEnds, Transcoded, Wrapper, has_return_ends, wrapped
from storage.place import open_bytes

#: A JSON array is read as a compressed file is: from its beginning only, and as other bytes than it has.
Compression = Literal["", "gzip", "zstd", "bzip2", "xz", "json array"]

#: What names of compressed files end in, in any case.
COMPRESSED_ENDINGS = (".gz", ".zst", ".bz2", ".xz")
#: What the compressions begin with; zstandard may also begin with a frame that is to be skipped.
_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes([0x50 + number]) + b"\x2a\x4d\x18", "zstd") for number in range(16)),
    *((b"BZh%d\x31\x41\x59\x26\x53\x59" % level, "bzip2") for level in range(1, 10)),
    *((b"BZh%d\x17\x72\x45\x38\x50\x90" % level, "bzip2") for level in range(1, 10)),  # empty
    (b"\xfd7zXZ\x00", "xz"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
#: Control characters that no text has.
_NO_TEXT = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "json array": ArrayElements,
}
_MAGIC_BYTES = 64
_READ_BYTES = 1 << 18
#: Of so many bytes at the head of a file it shows in what its characters and lines are written.
_LOOK_BYTES = 1 << 16


@contextlib.contextmanager
def one_line_errors(path: str) -> Iterator[None]:
    """Turn everything that may go wrong while a file is read into an OSError whose one line names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"cannot read {path!r} to its end: {error}") from error


def open_file(path: str, wide: str | None = None) -> BinaryIO:
    r"""Open a file for reading its bytes as lines: decompressed, and with ``\n`` where lines end in ``\r`` alone.

    Text in which a character is not a byte, as UTF-16, comes as UTF-8: ``wide`` says which encoding that is, empty if
    it is none of these, and None leaves it to the first bytes.

    Raises:
        OSError: it cannot be opened, or is a zip archive, or compressed by its name and neither that nor text.
        EOFError: it is empty, and compressed by its name: what is compressed has some bytes always.
    """
    return _open(path, wide)[0]


def _open(path: str, wide: str | None) -> tuple[BinaryIO, bool]:
    """Open a file as :func:`open_file` does; return also whether it can be read from its beginning only."""
    file, kind = _open_bytes(path)
    head = b""
    try:
        while len(head) < _LOOK_BYTES and (data := file.read(_LOOK_BYTES - len(head))):
            head += data
        can_seek = file.seekable() and file.seek(0) == 0
    except BaseException:
        file.close()
        raise
    if not can_seek:
        file = wrapped(Ahead(head, file))
    if wide is None:
        wide = find_wide_encoding(head)
    if wide:
        head = head.decode(wide, "replace").encode()
        file = wrapped(Transcoded(file, wide))
    return (wrapped(LineEnds(file)) if has_return_ends(head) else file), bool(kind or wide)


def _open_bytes(path: str) -> tuple[BinaryIO, Compression]:
    source: Any = path
    if is_remote(path):  # asked for once only
        source = open_bytes(path)
        kind = _compression(path, source.read(_MAGIC_BYTES))
        source.seek(0)
    else:
        kind = compression(path)
    if kind == "gzip":
        packed: Any = gzip.open(source, "rb")  # noqa: SIM115 - whoever asked for it closes it
        packed.myfileobj = packed.myfileobj or source  # so that it is closed, too
        return cast(BinaryIO, packed), kind
    if kind == "zstd":
        # The zstandard module takes the end of a file that was cut off for its end; Arrow is as fast, and does not.
        return cast(BinaryIO, pyarrow.input_stream(source, compression="zstd")), kind
    if kind:
        return wrapped(_Streams(source, _DECOMPRESSORS[kind])), kind
    return (open_bytes(path) if source is path else cast(BinaryIO, source)), kind


def is_compressed(path: str) -> bool:
    """Return whether a file can be read from its beginning only.

    Raises:
        OSError: it cannot be opened, or is a zip archive, or compressed by its name and neither that nor text; the
            message names it.
    """
    with one_line_errors(path):
        try:
            return bool(compression(path))
        except EOFError:
            return True  # whoever opens it will say so


def compression(path: str) -> Compression:
    """Return how a file is compressed, by its first bytes; empty for one that is not.

    Raises:
        OSError: it cannot be opened, or is a zip archive, or compressed by its name and neither that nor text.
        EOFError: it is empty, and compressed by its name.
    """
    with open_bytes(path) as file:
        return _compression(path, file.read(_MAGIC_BYTES))


def is_sequential(path: str, wide: str | None = None) -> bool:
    """Return whether a file can be read from its beginning only: it is compressed, or not read byte by byte.

    Raises:
        OSError: as :func:`is_compressed`.
    """
    with one_line_errors(path):
        try:
            file, found = _open(path, wide)
        except EOFError:
            return True  # whoever opens it will say so
        file.close()
        return found


def seems_sequential(path: str, wide: str | None = None) -> bool:
    """Return :func:`is_sequential`, for what is only shown: of objects the name tells, which takes no request.

    Raises:
        OSError: as :func:`is_compressed`.
    """
    if is_remote(path):
        return bool(wide) or bare(path).lower().endswith(COMPRESSED_ENDINGS)
    return is_sequential(path, wide)


def _compression(path: str, head: bytes) -> Compression:
    if kind := compression_of(head):
        return kind
    if begins_array(bare(path), head):
        return "json array"
    if head.startswith(_ZIP):
        raise OSError("it is a zip archive, which may have several files: unpack it first, as with unzip")
    if bare(path).lower().endswith(COMPRESSED_ENDINGS):
        if not head:
            raise EOFError("it is empty, which no compressed file is")
        if head.translate(None, _NO_TEXT) != head:
            raise OSError("by its name it is compressed, and it begins as neither gzip, zstandard, bzip2, xz nor text")
    return ""


def compression_of(head: bytes) -> Compression:
    """Return how bytes are compressed that begin so; empty for what is not.

    >>> compression_of(bytes.fromhex("1f8b08"))
    'gzip'
    """
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


class _Streams(Wrapper):
    """Decompresses the streams of a file, one behind the other, and takes nothing else for its end.

    Python's own modules for bzip2 and xz pass over what follows a stream and is none.
    """

    def __init__(self, source: str | BinaryIO, makes: Callable[[], Any]) -> None:
        super().__init__(Path(source).open("rb") if isinstance(source, str) else source)  # noqa: SIM115 - close does
        self._makes = makes
        self._stream = makes()
        self._is_between = True

    def readinto(self, buffer: Any) -> int:
        """Decompress the next bytes into the buffer; return how many, 0 at the end."""
        while True:
            if self._stream.eof:
                left = self._stream.unused_data
                self._stream, self._is_between = self._makes(), True
            else:
                left = b""
            if self._stream.needs_input:
                left = left or self._file.read(_READ_BYTES)
                if self._is_between:  # xz pads its streams with zeros
                    is_end = not left
                    left = left.lstrip(b"\0")
                    if not left and not is_end:
                        continue
                if not left:
                    if self._is_between:
                        return 0
                    raise EOFError("it ends in the middle of what is compressed, or of a JSON array")
                self._is_between = False
            data = self._stream.decompress(left, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
