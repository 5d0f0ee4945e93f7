"""Text as UTF-8 lines, whatever it is written in: what wraps a file whose bytes cannot be cut into lines."""

from __future__ import annotations

import codecs
import io
import re
from typing import Any, BinaryIO

from schemas.text.dialect import SEPARATORS

_READ_BYTES = 1 << 18
_LONE_RETURN = re.compile(rb"\r(?=[^\n])")
_ANY_END = re.compile(rb"[\r\n]+")
_SURROGATES = 0xDC00
_MARK = "\ufeff"


def _keep_bad(error: UnicodeError) -> tuple[str, int]:
    """Stand for each byte that is no character by half a one, so that its record is rejected, and no other."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(_SURROGATES + byte) for byte in bad), error.end


_BAD = "transaction-streams.keep-bad"
codecs.register_error(_BAD, _keep_bad)


class Wrapper(io.RawIOBase):
    """Gives other bytes than those of the file in it, which it closes; ``readinto`` is for subclasses."""

    def __init__(self, file: BinaryIO) -> None:
        """Take the file."""
        self._file = file

    def readable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class Transcoded(Wrapper):
    """Gives the text of a file in UTF-8, with its byte order mark; what is no text is not UTF-8 either."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        super().__init__(file)
        self._decoder = codecs.getincrementaldecoder(encoding)(_BAD)
        self._ready = b""
        self._is_begun = self._is_ended = False

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes of UTF-8 into the buffer; return how many, 0 at the end."""
        while not self._ready and not self._is_ended:
            data = self._file.read(_READ_BYTES)
            self._is_ended = not data
            text = self._decoder.decode(data or b"", final=self._is_ended)
            if text and not self._is_begun:
                self._is_begun, text = True, _MARK + text.removeprefix(_MARK)
            self._ready = text.encode("utf-8", "surrogatepass")
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


class Ahead(Wrapper):
    """Gives what was read of a file already, and then the rest of it."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        super().__init__(file)
        self._head = head

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes into the buffer; return how many, 0 at the end."""
        data = self._head[: len(buffer)] or self._file.read(len(buffer)) or b""
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class LineEnds(Wrapper):
    r"""Gives the bytes of a file with ``\n`` for each ``\r``; so it has a blank line, which is no record, for some."""

    def seekable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See :class:`io.RawIOBase`."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes into the buffer; return how many, 0 at the end."""
        data = self._file.read(len(buffer)) or b""
        buffer[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)


def has_return_ends(head: bytes) -> bool:
    r"""Return whether lines of text that begins so end in ``\r`` alone, or some of them do.

    They do where there is no other line end, or where some separator cuts all lines into as many fields, more than one,
    then, and not otherwise.
    """
    if not _LONE_RETURN.search(head):
        return b"\n" not in head and head.endswith(b"\r")
    if b"\n" not in head:
        return True
    both = [line for line in _ANY_END.split(head)[:-1] if line.strip()]
    some = [line for line in head.split(b"\n")[:-1] if line.strip()]
    for separator in map(str.encode, SEPARATORS):
        counts = {line.count(separator) for line in both}
        if len(counts) == 1 and counts != {0} and {line.count(separator) for line in some} != counts:
            return True
    return False


def wrapped(file: io.RawIOBase) -> BinaryIO:
    """Return a reader that reads as much as it is asked for."""
    return io.BufferedReader(file, _READ_BYTES)
