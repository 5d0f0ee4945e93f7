"""Single records into a table, on the real databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import apache_beam as beam
import polars as pl
import psycopg
import pytest

from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch
from schemas.record_type import Dialect
from sinks.files.atomic import SinkError
from sinks.sql.insert import InsertRecords, once_each, table_rows
from transforms.untyped.fields import FieldParser
from transforms.untyped.infer_schema import Shape

NAMES = ("item", "price")
LIVE = Block(
    b"a,1.50\nb,\nc,007\n", (Span(0, "h:1", 0), Span(7, "h:2", 40)), Dialect(",", quoted=True), arrival=5, scope="me"
)


def batch(block: Block = LIVE, columns: tuple[str, ...] = NAMES) -> Batch:
    return Batch(FieldParser(Shape("csv", NAMES), columns)(block).rows, block)


def insert(options, batches: list[Batch], *arguments, **more) -> None:
    with beam.Pipeline(options=options) as pipeline:
        pipeline | beam.Create(batches, reshuffle=False) | InsertRecords(*arguments, **more)


def rows_of(path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_each_record_is_a_row_with_the_place_it_came_from(tmp_path, fn_api):
    insert(fn_api, [batch()], f"sqlite:///{tmp_path}/x.db", "t", NAMES, {"price"}, declared=True)
    assert rows_of(tmp_path / "x.db", "SELECT * FROM t ORDER BY item") == [
        ("me", 5, "h:1", 0, "a", 1.5),
        ("me", 5, "h:2", 40, "b", None),
        ("me", 5, "h:2", 43, "c", "007"),
    ]


def test_live_records_of_another_run_are_others_and_those_of_a_file_are_the_same(tmp_path, fn_api):
    url = f"sqlite:///{tmp_path}/x.db"
    for scope in ("one", "two"):
        insert(fn_api, [batch(LIVE._replace(scope=scope))], url, "live", NAMES)
        insert(fn_api, [batch(LIVE._replace(scope=""))], url, "files", NAMES)
    assert rows_of(tmp_path / "x.db", "SELECT count(*) FROM live") == [(6,)]
    assert rows_of(tmp_path / "x.db", "SELECT count(*), min(relay), max(arrival) FROM files") == [(3, "", 0)]


def test_messages_are_rows_of_their_own_whatever_block_they_are_in(tmp_path, fn_api):
    data = [b"a,1\n", b"bb,2\n", b"c,3\n"]
    spans = (Span(0, "t[0]", 7, numbered=True), Span(9, "t[1]", 7, numbered=True))
    blocks = [
        Block(b"".join(data), spans, Dialect(","), arrival=5, scope="id"),
        Block(data[1], (Span(0, "t[0]", 8, numbered=True),), Dialect(","), arrival=6, scope="id"),
    ]
    for block in blocks:
        insert(fn_api, [batch(block)], f"sqlite:///{tmp_path}/x.db", "t", NAMES)
    assert rows_of(tmp_path / "x.db", "SELECT * FROM t ORDER BY origin") == [
        ("id", 0, "t[0]@7", 0, "a", "1"),
        ("id", 0, "t[0]@8", 0, "bb", "2"),
        ("id", 0, "t[1]@7", 0, "c", "3"),
    ]


def test_a_record_that_comes_twice_is_one_row_and_counted_once():
    rows = table_rows(batch(), NAMES)
    assert once_each(pl.concat([rows, rows])).equals(rows)


def test_two_records_of_one_place_end_the_run_and_neither_is_written(tmp_path, fn_api):
    other = batch(LIVE._replace(data=b"x,1.50\nb,\nc,007\n"))
    with pytest.raises(Exception, match="two records have the place h:1:0: table t could have but one of them"):
        insert(fn_api, [batch(), other], f"sqlite:///{tmp_path}/x.db", "t", NAMES)
    assert rows_of(tmp_path / "x.db", "SELECT count(*) FROM sqlite_master") == [(0,)]


def test_a_file_that_has_changed_changes_its_rows(tmp_path, fn_api):
    url = f"sqlite:///{tmp_path}/x.db"
    for data in (b"a,1\nb,2\n", b"a,1\nb,3\n"):
        block = Block(data, (Span(0, "x.csv", 0),), Dialect(",", quoted=True))
        insert(fn_api, [batch(block)], url, "t", NAMES)
    assert rows_of(tmp_path / "x.db", "SELECT item, price FROM t ORDER BY position") == [("a", "1"), ("b", "3")]


def test_records_of_which_no_field_is_known_are_lines(tmp_path, fn_api):
    insert(fn_api, [batch(LIVE._replace(data=b"a,1.50\n\xff\n"), ())], f"sqlite:///{tmp_path}/x.db", "t")
    assert rows_of(tmp_path / "x.db", "SELECT line FROM t ORDER BY position") == [("a,1.50",), ("\ufffd",)]


def test_a_table_of_something_else_is_left_alone(tmp_path, fn_api):
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (item TEXT)")
    with pytest.raises(Exception, match="table t is another one: it has no column relay") as caught:
        insert(fn_api, [batch()], f"sqlite:///{tmp_path}/x.db", "t", NAMES)
    assert SinkError.__name__ in str(caught.value) or isinstance(caught.value, SinkError)


def test_names_that_a_table_cannot_have_are_refused():
    with pytest.raises(ValueError, match="the table would have the column 'origin' twice"):
        InsertRecords("sqlite:///x.db", "t", ("Origin",))
    with pytest.raises(ValueError, match="expected the name of a table"):
        InsertRecords("sqlite:///x.db", "a b")


def test_postgresql_takes_the_same(postgres, fn_api):
    url = postgres.empty()
    nul = Block(b"a\0,1.50\n", (Span(0, "x.csv", 0),), Dialect(",", quoted=True))
    for _ in range(2):
        insert(fn_api, [batch(), batch(nul)], url, "t", NAMES, {"price"})
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT origin, position, item, price FROM t ORDER BY item").fetchall()
    assert found[:2] == [("h:1", 0, "a", "1.50"), ("x.csv", 0, "a\ufffd", "1.50")]
    assert len(found) == 4
