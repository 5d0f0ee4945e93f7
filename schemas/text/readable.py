"""Text of data as people may see it: nothing in it moves the cursor, colours the terminal, or turns the line around."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
#: Control and format characters (so U+202E, which makes the rest of a line run backwards), half characters, and what
#: ends lines and paragraphs.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


@cache
def _hidden() -> re.Pattern[str]:
    characters = map(chr, range(sys.maxunicode + 1))
    return re.compile(f"[{''.join(re.escape(c) for c in characters if unicodedata.category(c) in _HIDDEN)}]")


def readable(text: str) -> str:
    r"""Return a text in one line, with U+FFFD in place of each character that is not seen.

    >>> readable("fig\u202e\n")
    'fig��'
    """
    return text if text.isascii() and text.isprintable() else _hidden().sub(_UNREADABLE, text)


def readable_lines(text: str) -> str:
    """Return a text whose lines are readable."""
    return "\n".join(map(readable, text.split("\n")))
