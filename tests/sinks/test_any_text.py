"""The law of fields that nobody has described: any text in, the same text or the same number out."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sqlite3
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.avro.wire_format import ValueFormat, make_decoder
from schemas.elements.block import Block, Span
from schemas.elements.frames import RECORD, Batch
from schemas.record_type import Dialect
from sinks.files.atomic import SinkError
from sinks.kafka.producer import ProducerSettings
from sinks.kafka.write import Topic, record_messages
from sinks.lines.render import Layout, render_lines
from sinks.sql.insert import InsertRecords, _InsertFn, _Table, table_rows
from sources.kafka.client import Brokers
from transforms.untyped.fields import FieldParser, with_numbers
from transforms.untyped.infer_schema import Shape, find_shape
from transforms.untyped.json_fields import FIELD

NUMBERS = st.one_of(
    st.integers().map(str),
    st.integers(10**18, 10**21).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map("{:f}".format).map(lambda text: text[:60]),
    st.decimals(-1000, 1000, places=2).map(str),
    st.floats().map(repr),
    st.from_regex(r"[-+ ]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,5})?[ ]?", fullmatch=True),
)
ODD = ["1.10", "1.1", "007", "15E2621", "-0", "-0.0", "0.0", "1e3", "+1", " 1", "1 ", "inf", "NaN", "0x1f", "1_000",
       "12345678901234567890", "12345678901234567891", "9223372036854775807", "9223372036854775808", "0.00001", "1.",
       "9" * 5000, "0." + "1" * 50, "true", "null", "NULL", "", "a\0b", "\0", "\u202e", "\ufeff",
       '"', "a,b", "x'y"]  # fmt: skip
TEXTS = NUMBERS | st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=6)
#: What a record has in its one field: a text, a number as it is written, or nothing.
VALUES = st.lists(st.none() | TEXTS, min_size=1, max_size=8)
NAME = "x"
SCHEMA = '{"type":"record","name":"r","fields":[{"name":"x","type":["null","long","double","string"]}]}'


def parsed(lines: list[str], shape: Shape) -> Batch:
    block = Block("".join(f"{line}\n" for line in lines).encode(), (Span(0, "here", 0),))
    parsed = FieldParser(shape, (NAME,))(block)
    assert parsed.rejected == []
    return Batch(parsed.rows, block)


def shape_of(lines: list[str], seen: int) -> Shape:
    """The shape of a file that has but the first of the lines."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.jsonl")
        path.write_text("".join(f"{line}\n" for line in lines[:seen]), "utf-8", newline="")
        shape = find_shape([str(path)], "jsonl")
        return with_numbers(shape._replace(names=(NAME,)), str(path))


def as_json(text: str | None, *, bare: bool) -> str:
    """A record with the text: as a JSON number, if it is one and that is asked for, or as a JSON string."""
    is_number = bare and text and re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", text)
    return f'{{"{NAME}":{text if is_number else json.dumps(text)}}}'


def as_batches(values: list[str | None], seen: int, bare: bool) -> tuple[Batch, Batch, Shape]:
    """The records from JSON, the same as another program's fields have them, without quotes, and their shape."""
    lines = [as_json(value, bare=bare) for value in values]
    shape = shape_of(lines, seen)
    batch = parsed(lines, shape)
    return batch, Batch(batch.rows.select(RECORD, FIELD + NAME), batch.block), shape


def in_sqlite(batch: Batch, shape: Shape) -> list[tuple]:
    """What a table has: each value, and as SQLite itself makes a text of it."""
    rows = table_rows(batch, (NAME,), shape.native, declared=shape.declared)
    table = _Table("sqlite", "t", rows.columns, shape.native)
    with closing(sa.create_engine("sqlite://").connect()) as connection:
        assert table._prepare(connection) == table._prepare(connection) == ""
        table.write(connection, rows)
        found = connection.exec_driver_sql("SELECT x, CAST(x AS TEXT) FROM t ORDER BY position")
        return [tuple(row) for row in found]


@given(VALUES, st.integers(0, 8), st.booleans())
@example(["12345678901234567890", "12345678901234567891"], 2, True)
@example(["1.5", "1.10"], 1, True)
@example(["7", "007", "15E2621", "1e999"], 1, False)
@example(["15E2621"], 1, True)
def test_a_table_of_sqlite_has_each_text_or_a_number_of_the_same_digits(values, seen, bare):
    for batch in (found := as_batches(values, seen, bare))[:2]:
        for value, (kept, shown) in zip(values, in_sqlite(batch, found[2]), strict=True):
            assert value == (repr(kept) if isinstance(kept, (int, float)) else kept)
            assert "\0" in (value or "") or value == shown


@given(VALUES)
@example(["1.10", "1e3", "-0", "007", "15E2621", "0e7", "-0e1", "1e-400", "2.2250738585e-313"])
def test_a_column_that_was_declared_to_have_numbers_has_the_same_numbers_or_the_texts(values):
    shape = Shape("jsonl", (NAME,), frozenset({NAME}), native=frozenset({NAME}), declared=True)
    _, batch, _ = as_batches(values, 0, bare=False)
    for value, (kept, shown) in zip(values, in_sqlite(batch, shape), strict=True):
        if isinstance(kept, (int, float)):
            assert Decimal(value) == Decimal(repr(kept)) == Decimal(shown)
        else:
            assert value == kept
    for value, line in zip(values, render_lines(batch, Layout("jsonl", (NAME,), shape.numbers, (), True)).splitlines()):
        same_in_json(value, line, Decimal)


def same_in_json(value: str | None, line: bytes, number: type = str) -> None:
    """See that readers of JSON find the text, or the number; one that makes doubles of numbers finds no infinity."""
    found = json.loads(line, parse_int=lambda text: (text,), parse_float=lambda text: (text,))[NAME]
    if isinstance(found, tuple):
        assert number(value) == number(found[0])
        assert float(json.loads(line)[NAME]) not in (float("inf"), float("-inf"))
    else:
        assert value == found


@given(VALUES, st.integers(0, 8), st.booleans())
@example(["1", "15E2621", "9" * 5000], 1, False)
def test_json_and_messages_have_each_text_or_its_digits(values, seen, bare):
    batch, fields, shape = as_batches(values, seen, bare)
    layout = Layout("jsonl", (NAME,), shape.numbers)
    for value, line in zip(values, render_lines(fields, layout).splitlines(), strict=True):
        same_in_json(value, line)
    read = json.JSONDecoder(parse_int=str, parse_float=str).decode
    again, lines = (text.decode().split("\n")[:-1] for text in (render_lines(batch, layout), batch.block.data))
    assert list(map(read, again)) == list(map(read, lines))
    topic = Topic(ProducerSettings(Brokers("localhost:1")), "t")
    messages = record_messages(topic, fields, layout, NAME)
    assert b"".join(value + b"\n" for value in messages.values) == render_lines(fields, layout)
    assert messages.keys == [None if value is None else value.encode() for value in values]


@given(VALUES, st.integers(0, 8))
@example(["1", "12345678901234567890", "0.1", "1e3"], 4)
def test_a_message_of_avro_has_the_same_or_is_refused(values, seen):
    _, batch, shape = as_batches(values, seen, bare=True)
    form = ValueFormat("avro", (SCHEMA,))
    topic = Topic(ProducerSettings(Brokers("localhost:1")), "t", values=form)
    for row, value in enumerate(values):
        one = Batch(batch.rows.slice(row, 1), batch.block)
        with suppress(SinkError):
            (sent,) = record_messages(topic, one, Layout("jsonl", (NAME,), shape.numbers)).values
            (line,) = make_decoder(form)([sent])
            same_in_json(value, line, Decimal)


@given(VALUES)
def test_csv_has_each_text_on_one_line(values):
    _, batch, _ = as_batches(values, 0, bare=False)
    text = render_lines(batch, Layout("csv", (NAME,))).decode()
    found = list(csv.reader(io.StringIO(text, newline="\n"), strict=True)) if "\0" not in text else None
    assert found is None or found == [[re.sub(r"[\r\n]+", " ", value or "")] for value in values]
    assert b"\n\n" not in b"\n" + text.encode()  # which readers would not take for a record


def test_postgresql_has_each_text(postgres):
    url = postgres.empty()
    values = [text for text in ODD if "\0" not in text] + [None]
    _, batch, shape = as_batches(values, 3, bare=False)
    step = _InsertFn(InsertRecords(url, "t", (NAME,), shape.native))
    step.start_bundle()
    list(itertools.chain(step.process(batch), step.finish_bundle()))
    step.teardown()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT x FROM t ORDER BY position").fetchall() == [(value,) for value in values]


@pytest.mark.parametrize("of", ["NUMERIC", "INTEGER", "REAL", "DATE", "STRING"])
def test_a_table_that_would_change_texts_is_left_alone(tmp_path, of):
    step = _InsertFn(InsertRecords(f"sqlite:///{tmp_path}/x.db", "t", (NAME,)))
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute(
            f"CREATE TABLE t (relay TEXT, arrival BIGINT, origin TEXT, position BIGINT, x {of},"
            " PRIMARY KEY (relay, arrival, origin, position))"
        )
    _, batch, _ = as_batches(["1.10"], 1, bare=False)
    step.start_bundle()
    list(step.process(batch))
    with pytest.raises(OSError, match="table t is another one: expected column x TEXT, got"):
        list(step.finish_bundle())
    step.teardown()


@given(VALUES)
def test_a_quoted_field_is_read_as_it_is_or_missing(values):
    texts = [re.sub(r"[\r\n]", "", value or "") for value in values]
    data = "".join('a,"{}"\n'.format(text.replace('"', '""')) for text in texts).encode()
    block = Block(data, (Span(0, "here", 0),), Dialect(",", quoted=True))
    parsed = FieldParser(Shape("csv", ("a", NAME)), (NAME,))(block)
    kept = [None if text.strip() in ("", "NULL") else text for text in texts]
    assert (parsed.rejected, parsed.rows[FIELD + NAME].to_list()) == ([], kept)
