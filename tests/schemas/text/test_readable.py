"""Text of data as people may see it."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from schemas.text.readable import readable, readable_lines


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L"])))
def test_what_is_not_seen_is_marked_and_nothing_else_changes(text):
    shown = [("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c) for c in text]
    assert readable(text) == "".join(shown)


def test_lines_stay_lines():
    assert readable_lines("a\u202eb\nc\x1b[2J") == "a\ufffdb\nc\ufffd[2J"
