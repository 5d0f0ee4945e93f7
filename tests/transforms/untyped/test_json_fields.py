"""Fields of many JSON objects at once: what is read so is what the slow rule reads, one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from tests.strategies import visit_data
from tests.transforms.tools import parse_both_ways
from transforms.untyped.column_counts import ColumnWatch
from transforms.untyped.fields import FieldParser
from transforms.untyped.infer_schema import Shape
from transforms.untyped.json_fields import find_pattern

KEYS = ("a", "b", "ä", "a.b", "")
#: Values as they may be written, right or nearly so.
VALUES = st.sampled_from(
    [
        *("1", "-0", "0.10", "1e400", "1E+5", "-1.50e-3", "123456789012345678901234567890.10", "01", "1.", ".5", "+1"),
        *('"x"', '""', '"null"', '"1"', '"ä\u2028\x7f"', r'"\n"', r'"\""', r'"\ud83d\ude00"', r'"\ud800"', r'"\u00e4"'),
        *(
            "null",
            "true",
            "false",
            "NaN",
            "Infinity",
            "nul",
            "",
            "[1, 2.50]",
            '{"a": 1.0}',
            '"open',
            '"tab\there"',
            "'x'",
        ),
    ]
)
BLANKS = st.sampled_from(["", "", " ", "\t", "\x0b", "\u00a0"])


@st.composite
def objects(draw) -> bytes:
    """A line that is nearly always an object, with the same keys as others."""
    keys = draw(st.sampled_from([KEYS[:3], KEYS[:3], KEYS, ("b", "a"), ("a", "a"), ()]))
    blank = draw(BLANKS)
    members = (f'"{key}"{blank}:{draw(BLANKS)}{draw(VALUES)}' for key in keys)
    line = (draw(BLANKS) + "{" + f"{blank},".join(members) + "}" + draw(BLANKS)).encode()
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(line)))
        line = (
            line[:place] + draw(st.sampled_from([b"\xff", b"\xef\xbb\xbf", b"\r", b"\x00", b'"', b"}"])) + line[place:]
        )
    return line


WATCHES = st.builds(
    ColumnWatch,
    st.none() | st.frozensets(st.sampled_from(KEYS)),
    st.lists(st.sampled_from(KEYS), unique=True).map(tuple),
)


@given(
    st.lists(objects(), max_size=8).map(b"\n".join) | visit_data(),
    st.lists(st.sampled_from([*KEYS, "ip"]), min_size=1, unique=True).map(tuple),
    WATCHES,
)
@example(b'\xef\xbb\xbf{"a":1}\n{"a":1}', ("a",), ColumnWatch())
@example(b'{"a":1,"b":"\\ud800"}\n{"a":1,"b":"\\ud83d\\ude00"}', ("a",), ColumnWatch())
@example(b'{"a":1,"b":null}\n{"a":1,"b":2}', ("a",), ColumnWatch(frozenset("a"), ("b",)))
def test_the_fast_way_equals_the_slow_way_on_arbitrary_bytes(data, columns, watch) -> None:
    parser = FieldParser(Shape("jsonl"), columns, watch=watch)
    fast, slow = parse_both_ways(parser, Block(data, (Span(0, "test", 100),)))
    assert fast.rows.equals(slow.rows, null_equal=True)
    assert fast.rows.schema == slow.rows.schema
    assert fast.rejected == slow.rejected
    assert (fast.records, fast.columns) == (slow.records, slow.columns)


@pytest.mark.parametrize("line", ["{}", '{"a":1,"a":2}', '{"a":[1]}', '{"a":{}}', "[1]", "no"])
def test_only_flat_objects_have_patterns(line) -> None:
    assert (find_pattern(line, ("a",), None) is None) == (line != "{}")


def test_lines_alike_are_read_at_once() -> None:
    lines = b"".join(b'{"a":%d.50,"b":"x"}\n' % number for number in range(200))
    read: list[int] = []
    parser = FieldParser(Shape("jsonl"), ("a",))
    parser._read_slowly = lambda *given: read.append(1)  # type: ignore[assignment,method-assign]
    rows = parser(Block(lines, (Span(0, "test", 0),))).rows
    assert not read
    assert rows[".a"].to_list() == rows[":a"].to_list() == [f"{number}.50" for number in range(200)]
