"""Records over several lines: lines belong together only where that gives a whole record."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.record_type import Dialect
from schemas.text.dialect import split_record
from schemas.text.lines import find_lines
from schemas.text.records import find_records, has_open_line, may_have_joined

blobs = st.lists(
    st.sampled_from([b"\n", b"\r\n", b'"', b'""', b',"', b'",', b'"\n', b"a", b"b,c", b"\\", b'\\"', b"\r", b"'"]),
    max_size=25,
).map(b"".join)
dialects = st.builds(
    lambda width, quote, escape: Dialect(",", quoted=True, quote=quote, escape=escape, width=width),
    st.integers(1, 3),
    st.sampled_from("\"'"),
    st.sampled_from(["", "\\"]),
)


def split(text: bytes, dialect: Dialect) -> list[str] | None:
    """Split as the rule has it; None where that cannot be."""
    try:
        return split_record(text.decode("latin-1"), ",", True, dialect.quote, dialect.escape)
    except ValueError:
        return None


def records_of(data: bytes, dialect: Dialect) -> list[tuple[int, int]]:
    """The slow rule: try with each line whether it makes a record with the ones behind it, the fewest of them."""
    ends = [found.start() for found in re.finditer(rb"\n", data)] + [len(data)]
    starts = [0, *(end + 1 for end in ends[:-1])]
    stop_of = {end: end - data[max(0, end - 1) : end].count(b"\r") for end in ends}
    found, number = [], 0
    while number < len(ends):
        start, last = starts[number], number
        alone = data[start : max(start, stop_of[ends[number]])]
        if split(alone, dialect) is None:
            for other in range(number + 1, len(ends)):
                text = data[start : stop_of[ends[other]]]
                fields = split(text, dialect)
                if fields is not None:
                    last = other if len(fields) == dialect.width and is_open(alone, dialect) else number
                    break
        stop = max(start, stop_of[ends[last]])
        if stop > start:
            found.append((start, stop))
        number = last + 1
    return found


def is_open(line: bytes, dialect: Dialect) -> bool:
    """Whether a quote more would close it: its end is inside a quoted field."""
    return split(line + b"a" + dialect.quote.encode(), dialect) is not None


@given(blobs, dialects)
@example(b'"a\nb",c\n', Dialect(",", quoted=True, width=2))
@example(b'"\n"\n",\n",a\n', Dialect(",", quoted=True, width=2))
@example(b'1,"a\r\nb"\r\n2,c\r\n', Dialect(",", quoted=True, width=2))
@example(b'"a\n\n\nb"\n', Dialect(",", quoted=True, width=1))
@example(b'"a\nb"', Dialect(",", quoted=True, width=1))
def test_records_are_those_of_the_slow_rule(data: bytes, dialect: Dialect) -> None:
    lines = find_records(data, dialect)
    assert list(zip(lines.starts.tolist(), lines.stops.tolist())) == records_of(data, dialect)


@given(blobs, dialects)
def test_what_is_said_quickly_of_a_block_is_never_wrong(data: bytes, dialect: Dialect) -> None:
    data += b"\n"
    lines = find_lines(data)
    if not may_have_joined(data, dialect):
        assert find_records(data, dialect).starts.tolist() == lines.starts.tolist()
        assert not has_open_line(data, dialect)
    if not has_open_line(data, dialect):
        assert find_records(data, dialect).starts.tolist() == lines.starts.tolist()
