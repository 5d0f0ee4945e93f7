"""Records as lines."""

from __future__ import annotations

import csv
import io
import json
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch
from schemas.record_type import Dialect
from sinks.address import parse_output
from sinks.lines.render import Layout, csv_lines, header_line, parse_template, render_lines
from transforms.untyped.fields import FieldParser
from transforms.untyped.infer_schema import Shape

ODD_CELLS = ["=1+2", "+1", "-1", "-3.50", "-1e5", "@a", "\t=1", "\r=1", "-a", "'=", "--1", "-", "1"]
NAMES = ("a", "b")


def batch(data: bytes, form: str, columns: tuple[str, ...] = NAMES) -> Batch:
    block = Block(data, (Span(0, "here", 0),), Dialect(",", quoted=True))
    return Batch(FieldParser(Shape(form, NAMES), columns)(block).rows, block)


def test_records_leave_as_they_came():
    data = b'1,"x"\r\n\n2,\xff\n3,z'
    assert render_lines(batch(data, "lines", ()), Layout()) == b'1,"x"\r\n2,\xff\n3,z\n'


def test_fields_leave_in_the_order_that_was_asked_for():
    data = b'007,"x, y"\n1.50,\n'
    assert render_lines(batch(data, "csv"), Layout("csv", ("b", "a"))) == b'"x, y",007\n,1.50\n'
    lines = render_lines(batch(data, "csv"), Layout("jsonl", NAMES, frozenset({"a"})))
    assert lines == b'{"a":"007","b":"x, y"}\n{"a":1.50,"b":null}\n'
    template = parse_template("{b} {{at}} {a}!")
    assert render_lines(batch(data, "csv"), Layout("text", template=template)) == b"x, y {at} 007!\n {at} 1.50!\n"


def test_a_record_is_one_line_whatever_is_in_it():
    data = b'{"a":"x\\r\\ny","b":[1,{"c":2.50}]}\n'
    assert render_lines(batch(data, "jsonl"), Layout("jsonl", ("b", "a"))) == b'{"b":[1,{"c":2.50}],"a":"x\\r\\ny"}\n'
    assert render_lines(batch(data, "jsonl"), Layout("csv", ("a",))) == b"x y\n"
    assert render_lines(batch(data, "jsonl"), Layout("text", template=parse_template("{a}"))) == b"x y\n"


@given(st.lists(st.tuples(st.text(min_size=1), st.integers() | st.booleans()), min_size=1, max_size=5))
def test_what_is_written_can_be_read_back(values):
    records = [{"a": text, "b": value} for text, value in values]
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    lines = render_lines(batch(data, "jsonl"), Layout("jsonl", NAMES))
    assert [json.loads(line) for line in lines.decode().split("\n")[:-1]] == records
    table = (header_line(Layout("csv", NAMES)) + render_lines(batch(data, "jsonl"), Layout("csv", NAMES))).decode()
    read = list(csv.reader(io.StringIO(table, newline=""), strict=True))
    assert read[0] == list(NAMES)
    assert [row[1] for row in read[1:]] == [json.dumps(value) for _, value in values]


@pytest.mark.parametrize("text", ["{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "no field", "{", "a}", "{a}\n"])
def test_a_template_has_fields_and_nothing_else_in_braces(text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message tells which)
        parse_template(text)
    assert "\n" not in str(caught.value)


CSV, JSONL, LINES = (
    Shape("csv", NAMES, frozenset({"a"}), native=frozenset({"a"})),
    Shape("jsonl", NAMES),
    Shape("lines"),
)
ALL = Layout("csv", NAMES, frozenset({"a"}))


@pytest.mark.parametrize(
    ("output", "style", "shape", "columns", "layout"),
    [
        ("-", None, CSV, (), Layout()),
        ("x.txt", None, LINES, (), Layout()),
        ("x.csv", None, CSV, (), ALL),
        ("x.jsonl", None, CSV, (), ALL._replace(style="jsonl")),
        ("x.jsonl", None, JSONL, (), Layout()),
        ("x.jsonl", "csv", JSONL, (), Layout("csv", NAMES)),
        ("-", None, CSV, ("b",), ALL._replace(columns=("b",))),
        ("-", None, JSONL, ("b",), Layout("jsonl", ("b",))),
        ("sqlite:///x.db", None, CSV, (), ALL),
        ("sqlite:///x.db", None, LINES, (), Layout("csv")),
    ],
)
def test_a_layout_is_what_was_said_or_what_goes_with_the_output(output, style, shape, columns, layout):
    assert parse_output(output).choose_layout(style, shape, columns, ()) == layout


def test_a_layout_needs_columns_and_a_template_has_them():
    with pytest.raises(ValueError, match="nobody knows the columns of live JSON"):
        parse_output("x.csv").choose_layout(None, Shape("jsonl"), (), ())
    assert parse_output("x.csv").choose_layout(None, CSV, (), ("", "a", "")) == Layout("text", template=("", "a", ""))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=3) | st.sampled_from(ODD_CELLS), min_size=1, max_size=6))
def test_no_cell_of_safe_csv_is_a_formula_and_numbers_are_what_they_are(texts):
    rows = pl.DataFrame({"a": texts, "b": [f"={text}" for text in texts]})
    data = csv_lines(rows, safe=True).decode()
    if "\0" in data:
        return
    cells = [cell for row in csv.reader(io.StringIO(data, newline="")) for cell in row]
    for cell, text in zip(cells, [text for row in rows.rows() for text in row], strict=True):
        assert cell.removeprefix("'") == text.removeprefix("'")
        is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(e[0-9]+)?", cell)
        assert is_number or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_safe_csv_guards_the_header_row_too():
    layout = Layout("csv", ("=a", "b"), csv_safe=True)
    assert header_line(layout) == b"'=a,b\n"
