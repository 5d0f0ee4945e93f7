"""What somebody has said about how text is written: it goes before what a sample shows."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
#: What a character of the dialect cannot be: it would be part of texts, or of line ends.
_TAKEN = "\r\n"
NO_QUOTES = "none"


@dataclass(frozen=True)
class DialectOptions:
    r"""How records are written, as far as that was said; None is to be found out.

    Attributes:
        delimiter: what stands between two fields: one ASCII character that is no letter and no digit.
        quote: what stands around fields; empty where nothing does.
        escape: what takes away the meaning of a quote, a delimiter or itself behind it; empty where nothing does.
        encoding: of the bytes, as Python calls it.
        header: whether the first line is a header row.
        skip_lines: how many lines stand before the header row, or the first record.
        comment: what lines begin with that are no records; empty where none are.
        multiline: whether a line end in quotes is one of the field, and not of the record.
    """

    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    header: bool | None = None
    skip_lines: int = 0
    comment: str | None = None
    multiline: bool = False

    def __post_init__(self) -> None:
        """Check that they go together.

        Raises:
            ValueError: two of them are the same character, or lines are joined without quotes.
        """
        marks = [mark for mark in (self.delimiter, self.quote, self.escape) if mark]
        # A quote that escapes itself is a doubled one.
        if len(set(marks)) < len(marks) and not (self.quote == self.escape != self.delimiter):
            raise ValueError(f"delimiter, quote and escape have to differ, got {', '.join(map(repr, marks))}")
        if self.multiline and self.quote == "":
            raise ValueError("a record of several lines has quotes around its line ends: leave out the quote 'none'")


def parse_delimiter(text: str) -> str:
    r"""Return the delimiter that a text means: itself, or ``tab``, ``comma``, ``semicolon``, ``pipe``, ``space``.

    Raises:
        ValueError: it is none.
    """
    mark = _NAMED.get(text.lower(), text)
    if len(mark) != 1 or not mark.isascii() or mark.isalnum() or mark in _TAKEN or mark == "\0":
        raise ValueError(f"expected one character such as ; or tab, comma, semicolon, pipe, space, got {text!r}")
    return mark


def parse_quote(text: str) -> str:
    """Return the quote or escape that a text means; empty for ``none``.

    Raises:
        ValueError: it is none.
    """
    if text == NO_QUOTES:
        return ""
    if len(text) != 1 or not text.isascii() or text.isalnum() or text.isspace() or not text.isprintable():
        raise ValueError(f'expected one character such as " or \\, or none, got {text!r}')
    return text


def parse_encoding(text: str) -> str:
    """Return what Python calls the encoding.

    Raises:
        ValueError: there is none of that name for text.
    """
    try:
        "".encode(text)
        return codecs.lookup(text).name.replace("iso8859-1", "latin-1")
    except (LookupError, ValueError):
        raise ValueError(f"expected an encoding such as utf-8, cp1252, latin-1 or utf-16, got {text!r}") from None


def parse_comment(text: str) -> str:
    """Return what comment lines begin with; empty for ``none``.

    Raises:
        ValueError: it has a line end.
    """
    if not text or set(text) & set(_TAKEN):
        raise ValueError(f"expected what comment lines begin with, such as #, or none, got {text!r}")
    return "" if text == NO_QUOTES else text


def parse_skip(text: str) -> int:
    """Return how many lines to pass over.

    Raises:
        ValueError: it is no such number.
    """
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"expected a number of lines, got {text!r}")
    return int(text)
