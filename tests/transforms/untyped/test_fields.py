"""Fields of records that nobody has described."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.record_type import Dialect
from transforms.untyped.fields import FieldParser, read_object
from transforms.untyped.infer_schema import Shape
from transforms.untyped.sql_condition import Condition

CSV = Shape("csv", ("item", "event_time", "_record"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def block(data: bytes, dialect: Dialect | None = None) -> Block:
    return Block(data, (Span(0, "here", 100),), dialect or Dialect(",", quoted=True))


def test_columns_may_have_the_names_of_ours():
    parsed = FieldParser(CSV, ("event_time", "_record"))(block(b'a,"1, 2",x\nb,NULL,\n'))
    assert parsed.rows.columns == ["_record", ".event_time", "._record"]
    assert parsed.rows[".event_time"].to_list() == ["1, 2", None]
    assert parsed.rows["._record"].to_list() == ["x", None]


def test_a_header_row_in_another_order_is_heeded():
    dialect = Dialect(",", quoted=True, header=("event_time", "item", "_record"))
    assert FieldParser(CSV, ("item",))(block(b"a,b,c\n", dialect)).rows[".item"].to_list() == ["b"]


def test_what_cannot_be_read_is_rejected_and_what_is_not_wanted_is_not_there():
    parsed = FieldParser(CSV, ("item",), Condition("item > 'a'"))(block(b"a,1,2\nb,1\nc,1,2\n"))
    assert parsed.rows[".item"].to_list() == ["c"]
    assert [(one.position, one.reason) for one in parsed.rejected] == [(106, "expected 3 fields, got 2")]
    assert parsed.records == 3


def test_records_that_nobody_asks_about_are_not_looked_into():
    parsed = FieldParser(Shape("jsonl"))(block(b"nonsense\n\n\xff\n"))
    assert (parsed.rows.height, parsed.rejected, parsed.records) == (2, [], 2)


def test_a_faulty_record_is_rejected():
    parsed = FieldParser(CSV)(block(b"abc")._replace(fault="too long"))
    assert ([one.reason for one in parsed.rejected], parsed.rows.height) == (["too long"], 0)


@pytest.mark.parametrize("raw", [b"nonsense", b"[1]", b"3", b'{"a":NaN}', b'{"a":"\\ud800"}', b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_told_in_one_line(raw):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (any reason will do, in one line)
        read_object(raw)
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_json_that_is_written_again_is_the_same(fields):
    found = read_object(json.dumps(fields).encode())
    assert {name: None if value is None else json.loads(value[1]) for name, value in found.items()} == fields


def test_numbers_keep_every_digit():
    text = '{"a":3.10,"b":123456789012345678901234567890.10,"c":[1.50,{"d":1e400}]}'
    found = read_object(text.encode())
    assert "{" + ",".join(f'"{name}":{value[1]}' for name, value in found.items()) + "}" == text


@given(
    st.lists(st.sampled_from([b'{"a":1}', b'{"a":"x"}', b"{}", b"no", b'{"b":null,"a":[2]}']), max_size=8), st.data()
)
def test_how_records_are_cut_into_blocks_changes_nothing(records, data):
    lines = [record + b"\n" for record in records]
    cut = data.draw(st.integers(0, len(lines)))
    parser = FieldParser(Shape("jsonl"), ("a", "b"))
    whole = parser(block(b"".join(lines)))
    parts = [parser(block(b"".join(part))) for part in (lines[:cut], lines[cut:])]
    fields = [".a", ":a", ".b", ":b"]
    assert pl.concat([part.rows.select(fields) for part in parts]).equals(whole.rows.select(fields))
    assert [one.raw for part in parts for one in part.rejected] == [one.raw for one in whole.rejected]
