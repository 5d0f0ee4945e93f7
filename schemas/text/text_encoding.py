"""Which encoding some text is in, by its bytes: UTF-8, what Windows calls ANSI, or two or four bytes a character."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence

#: What is neither UTF-8 nor UTF-16 is this: Latin-1 with printable characters where that has none.
ANSI = "cp1252"
#: Bytes that are no character of it.
_NO_ANSI = re.compile(b"[\x81\x8d\x8f\x90\x9d]")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BEYOND_ASCII = 0x80
#: Bytes that are in no text, and separate no fields: a line that has one was damaged, and tells of no encoding.
_NO_TEXT = re.compile(b"[\x00\x04-\x08\x0e-\x1a\x7f]")
#: If fewer lines are in no encoding that is known, they are damaged, as far as anybody can tell: records to reject.
_LEAST_OTHERS = 0.01
_WORD = re.compile(b"[\xa1-\xff]{4,}")
_PRINTABLE = bytes([*b"\t\n\r", *range(32, 127)])
#: Characters that no text has.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffe\uffff\ud800-\udfff]")
#: Of the bytes of UTF-16 such a part is NUL, at the same place of each pair: those of digits, separators and line ends.
_LEAST_ZEROS = 0.1


def find_wide_encoding(head: bytes) -> str:
    r"""Return the encoding of text in which a character is two or four bytes; empty for any other.

    A byte order mark tells; without one, text that has a line end and no control characters only as UTF-16.

    >>> find_wide_encoding("id,n\n".encode("utf-16-le")), find_wide_encoding(b"id,n\n")
    ('utf-16-le', '')
    """
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), "")
    if marked or b"\0" not in head:
        return marked
    pairs = len(head) // 2
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        zeros = head[first : 2 * pairs : 2].count(0)
        if zeros < pairs * _LEAST_ZEROS or head[1 - first : 2 * pairs : 2].count(0):
            continue
        units = [head[at : at + 2] for at in range(0, 2 * pairs, 2)]
        others = [unit for unit in units if 0 not in unit]
        if len(others) > zeros and not any(unit.translate(None, _PRINTABLE) for unit in others):
            continue  # ASCII with some NUL in it
        text = head[: 2 * pairs].decode(encoding, "replace")
        if ("\n" in text or "\r" in text) and not _CONTROL.search(text[:-1]):
            return encoding
    return ""


def is_bytewise(encoding: str) -> bool:
    """Return whether a byte is a character in the encoding, and ASCII is ASCII, so that lines can be cut in bytes."""
    if encoding == "utf-8":
        return True
    try:
        is_ascii = bytes(range(128)).decode(encoding) == bytes(range(128)).decode("ascii")
        return is_ascii and len(bytes(range(128, 256)).decode(encoding, "replace")) == 128  # noqa: PLR2004
    except UnicodeError:
        return False


def find_encoding(lines: Iterable[str]) -> str:
    """Return the encoding of lines, whose bytes were read as Latin-1.

    It is UTF-8, unless of the lines beyond ASCII more are none than are, and ANSI, then, unless more of these are not
    even that. Damaged lines do not count.
    """
    utf8 = ansi = other = 0
    for raw in (line.encode("latin-1") for line in lines if not line.isascii()):
        if _NO_TEXT.search(raw):
            continue
        if _is_utf8(raw):
            utf8 += 1
        elif _NO_ANSI.search(raw):
            other += 1
        else:
            ansi += 1
    return ANSI if ansi + other > utf8 and ansi >= other else "utf-8"


def check_text(head: bytes) -> None:
    """See that the first bytes of a file may be text in an encoding that is told by its bytes.

    Raises:
        ValueError: most lines beyond ASCII are in another one; damaged ones do not count.
    """
    if b"\0" in head or find_wide_encoding(head):
        return
    lines = head.split(b"\n")[:-1] or [head]
    beyond = [line for line in lines if not line.isascii()]
    raws = [line for line in beyond if not _NO_TEXT.search(line)]
    odd = [raw for raw in raws if not _is_utf8(raw) and (_NO_ANSI.search(raw) or _is_foreign(raw))]
    is_most = 2 * len(odd) > len(raws) and len(odd) > len(beyond) - len(raws)
    if is_most and len(odd) >= _LEAST_OTHERS * len(lines):
        raise ValueError(
            "its text is neither UTF-8 nor UTF-16, cp1252 or Latin-1, by its bytes: "
            f"say which encoding it has, as --encoding {_guess(b''.join(odd))}"
        )


def _is_foreign(raw: bytes) -> bool:
    """Return whether most bytes beyond ASCII stand in words of them, as no Western language has words."""
    words = [word for word in _WORD.findall(raw) if len(set(word)) > 2]  # noqa: PLR2004
    return 2 * sum(map(len, words)) > sum(byte >= _BEYOND_ASCII for byte in raw)


def _guess(raw: bytes) -> str:
    """Return an encoding that the bytes may be in."""
    for encoding in ("shift_jis", "euc_jp", "gb18030", "big5", "cp1251"):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "cp437"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_words(words: Sequence[str], encoding: str | None = None) -> list[str]:
    """Return texts whose bytes were read as Latin-1 as what they are: in the encoding, or UTF-8, or ANSI."""
    found = []
    for word in words:
        raw = word.encode("latin-1")
        is_utf8 = _is_utf8(raw)
        found.append(raw.decode(encoding or ("utf-8" if is_utf8 else ANSI), "replace"))
    return found
