"""The law of the sinks: wherever results go, what is read back from there says the same."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sqlite3
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import apache_beam as beam
import fastavro
import polars as pl
import psycopg
import pytest
from hypothesis import given, settings

from schemas.avro.columns import frame_schema
from schemas.avro.wire_format import ValueFormat, make_decoder
from schemas.elements.frames import Result
from schemas.times import to_datetime
from sinks import WriteResults, WriteSettings
from sinks.console.tables import best_table
from tests.sinks.frames import HOUR, SCHEMA, TIME, frames, results

KEY = "upc"
COLUMNS = {"window_start": TIME, "window_end": TIME, **SCHEMA}
WINDOWS = 60
EPOCH = to_datetime(0)
#: A sink to test: what writes there, and what reads all rows of it, each with the column names of files.
Sink = tuple[beam.PTransform, Callable[[], list[dict[str, Any]]]]


def value_of(value: Any, dtype: pl.DataType) -> Any:
    """Return the value that is meant by what a format has for it: JSON and SQLite have texts for most types."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        items = json.loads(value, parse_float=Decimal, parse_int=Decimal) if isinstance(value, str) else value
        return [value_of(item, dtype.inner) for item in items]
    if isinstance(dtype, pl.Struct):
        return {field.name: value_of(value[field.name], field.dtype) for field in dtype.fields}
    if isinstance(dtype, pl.Datetime) and isinstance(value, str):
        return datetime.fromisoformat(value.removesuffix("Z") + ("+00:00" if value.endswith("Z") else ""))
    if isinstance(dtype, pl.Date) and isinstance(value, str):
        return date.fromisoformat(value)
    return value if dtype.is_temporal() else dtype.to_python()(value)


def readable(value: Any) -> str:
    """Return a value as a person reads it: no character may end the line or move the cursor."""
    text = "" if value is None else str(value).removesuffix("+00:00")
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def expected(given: list[Result]) -> list[dict[str, Any]]:
    """Return the rows of final results, each with its window."""
    edges = [[None if micros is None else to_datetime(micros) for micros in result[:2]] for result in given]
    return [
        {"window_start": start, "window_end": end} | row
        for result, (start, end) in zip(given, edges, strict=True)
        if result.final
        for row in result.rows.to_dicts()
    ]


def files(ending: str, folder: Path) -> Sink:
    read: dict[str, Callable[[bytes], list[dict[str, Any]]]] = {
        "jsonl": lambda data: [json.loads(line, parse_float=Decimal) for line in data.split(b"\n")[:-1]],
        "avro": lambda data: list(fastavro.reader(io.BytesIO(data))),
        "parquet": lambda data: pl.read_parquet(data).to_dicts(),
    }
    write = WriteResults(f"{folder}/x.{ending}", KEY)
    return write, lambda: [row for path in folder.iterdir() for row in read[ending](path.read_bytes())]


def sqlite(folder: Path) -> Sink:
    def read() -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(folder / "x.db")) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM t WHERE final")]

    return WriteResults(f"sqlite:///{folder}/x.db", KEY, table="t"), read


def postgresql(address: str) -> Sink:
    def read() -> list[dict[str, Any]]:
        with psycopg.connect(address, row_factory=psycopg.rows.dict_row) as connection:
            return connection.execute("SELECT * FROM t WHERE final").fetchall()

    return WriteResults(address, KEY, table="t"), read


def topic(kafka: Any, form: str) -> Sink:
    name = kafka.create_topic(partitions=2)
    # The schema of this very table, as anybody who has read it in the registry would know it.
    schema = frame_schema({**COLUMNS, "pane": pl.Int64(), "final": pl.Boolean()}, name.replace("-", "_")).text
    decode = make_decoder(ValueFormat("avro", (schema,))) if form == "avro" else list

    def read() -> list[dict[str, Any]]:
        values = decode([value for *_, value in kafka.consume_all(name)])
        return [row for row in (json.loads(value, parse_float=Decimal) for value in values) if row["final"]]

    return WriteResults(kafka.address(name), KEY, settings=WriteSettings(values=ValueFormat(form))), read


def marked(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all("\0", "\ufffd", literal=True)


def sink_of(name: str, folder: Path, request: pytest.FixtureRequest) -> Sink:
    if name.startswith("kafka"):
        return topic(request.getfixturevalue("kafka"), name.partition(" ")[2])
    if name == "postgresql":
        return postgresql(request.getfixturevalue("postgres").empty())
    return sqlite(folder) if name == "sqlite" else files(name, folder)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["window_start"] or EPOCH, row["window_start"] is None, row["upc"] or "", row["upc"] is None

    return sorted(rows, key=place)


@given(frames())
def test_the_console_shows_what_was_given(rows):
    *_, table = best_table(rows, SCHEMA, "", top=rows.height or 1, plain=True).renderables
    for column, (name, dtype) in zip(table.columns, SCHEMA.items(), strict=True):
        shown = [cell.plain for cell in column.cells]
        if isinstance(dtype, pl.List):
            continue  # for a person it is one text
        if dtype.is_numeric():
            assert [dtype.to_python()(text) if text.strip() else None for text in shown] == rows[name].to_list()
        else:
            assert shown == [readable(value) for value in rows[name]]


@pytest.fixture(scope="module")
def given_results() -> list[Result]:
    """Results of many windows, one of them all time: any rows, early and final."""
    found: list[list[Result]] = []

    @settings(max_examples=WINDOWS)
    @given(results())
    def gather(drawn: list[Result]) -> None:
        start, end = (len(found) * HOUR, (len(found) + 1) * HOUR) if found else (None, None)
        found.append([one._replace(window_start=start, window_end=end) for one in drawn])

    gather()
    together = list(itertools.chain.from_iterable(found))
    assert sum(one.rows.height for one in together if one.final) > WINDOWS
    return together


@pytest.mark.parametrize("name", ["jsonl", "avro", "parquet", "sqlite", "postgresql", "kafka json", "kafka avro"])
def test_what_is_read_back_is_what_was_given(name, given_results, tmp_path, request, fn_api):
    given, means = given_results, given_results
    if name == "postgresql":  # it has no texts with one character
        means = [one._replace(rows=one.rows.with_columns(marked(pl.col("upc", "description")))) for one in given]
        twice = {one[:2] for one in means if one.rows["upc"].is_duplicated().any()}
        given, means = ([one for one in each if one[:2] not in twice] for each in (given, means))
    write, read = sink_of(name, tmp_path, request)
    with beam.Pipeline(options=fn_api) as pipeline:
        made = pipeline | beam.Create([given]) | beam.FlatMap(list).with_output_types(Result)
        _ = made | write
    found = in_order([{column: value_of(row[column], dtype) for column, dtype in COLUMNS.items()} for row in read()])
    wanted = in_order(expected(means))
    assert [pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]] == []
    assert len(found) == len(wanted)
