"""A JSON array as lines: each element on one, as programs write whole lists into a ``.json`` file."""

from __future__ import annotations

import re

_BLANKS = b" \t\r\n"
_MARK = re.compile(rb'["\[\]{},]')
_IN_TEXT = re.compile(rb'["\\]')
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


def begins_array(path: str, head: bytes) -> bool:
    """Return whether a file is one JSON array: it is called ``.json`` and begins so."""
    return path.lower().endswith(".json") and head.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS).startswith(b"[")


class ArrayElements:
    r"""Takes the bytes of an array as they come and gives its elements, a line each; used as a decompressor is.

    Line ends between the parts of an element become blanks. What is no JSON in an element is left for its parser.

    >>> ArrayElements().decompress(b'[{"a": 1},\n {"b":\n [2, "]"]}]', -1)
    b'{"a": 1}\n{"b":  [2, "]"]}\n'

    Attributes:
        eof: whether the array has ended.
        unused_data: what came after its end, without blanks.
        needs_input: whether nothing is left to give.
    """

    def __init__(self) -> None:
        self.eof = False
        self.unused_data = b""
        self._depth, self._is_text, self._is_escaped = 0, False, False
        self._element: list[bytes] = []
        self._ready = b""

    @property
    def needs_input(self) -> bool:
        """Whether nothing is left to give."""
        return not self._ready and not self.eof

    def decompress(self, data: bytes, most: int) -> bytes:
        """Take bytes, and return lines of those that came so far, ``most`` bytes of them; all with -1."""
        if data:
            self._ready += b"".join(self._lines(data))
        given = self._ready if most < 0 else self._ready[:most]
        self._ready = self._ready[len(given) :]
        return given

    def _lines(self, data: bytes) -> list[bytes]:
        found, at, begin = [], 0, 0
        while not self.eof and at < len(data):
            if self._is_escaped:
                self._is_escaped, at = False, at + 1
                continue
            match = (_IN_TEXT if self._is_text else _MARK).search(data, at)
            if match is None:
                break
            at, mark = match.end(), match.group()
            if mark == b'"':
                self._is_text = not self._is_text
            elif mark == b"\\":
                self._is_escaped = True
            elif mark in b"[{":
                self._depth += 1
                if self._depth == 1:
                    begin = at
            elif mark in b"]}":
                self._depth -= 1
            if (mark == b"," and self._depth == 1 and not self._is_text) or not self._depth:
                found += self._end_element(data[begin : at - 1])
                begin, self.eof = at, not self._depth
        if self.eof:
            self.unused_data = data[at:].strip(_BLANKS)
        elif self._depth:
            self._element.append(data[begin:])
        return found

    def _end_element(self, rest: bytes) -> list[bytes]:
        line = b"".join([*self._element, rest]).translate(_LINE_ENDS).strip()
        self._element = []
        return [line + b"\n"] if line else []
