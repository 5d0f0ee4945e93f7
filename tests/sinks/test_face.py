"""The face of the sinks: addresses as people type them, in a pipeline of one's own."""

from __future__ import annotations

import contextlib
import json
import pickle
import sqlite3

import apache_beam as beam
import polars as pl
import pytest

import sinks
from schemas.elements.block import Block
from schemas.elements.frames import RECORD, Batch, Result
from sinks import WriteLines, WriteRecords, WriteResults

ROWS = pl.DataFrame({"region": ["Paris", "Oslo"], "flow": [1, 2]})
TOTALS = Result(None, None, 0, True, ROWS)


def test_the_names_of_the_face_are_there_and_sorted():
    assert [name for name in sinks.__all__ if getattr(sinks, name).__name__ != name] == []
    assert sinks.__all__ == sorted(set(sinks.__all__))
    with pytest.raises(AttributeError, match="module 'sinks' has no attribute 'WriteStones'"):
        _ = sinks.WriteStones


def test_strings_are_all_that_a_pipeline_needs(tmp_path, fn_api):
    batch = Batch(ROWS.with_row_index(RECORD), Block(b"a\nb\n", ()))
    with beam.Pipeline(options=fn_api) as pipeline:
        totals = pipeline | "Totals" >> beam.Create([TOTALS])
        totals | "Keyless" >> WriteResults(f"{tmp_path}/keyless.jsonl")
        totals | "Sorted" >> WriteResults(f"{tmp_path}/sorted.parquet", key="region")
        totals | "Stored" >> WriteResults(f"sqlite:///{tmp_path}/x.db", key=("region",), table="flows")
        totals | "Document" >> WriteResults(f"{tmp_path}/x.json", key="region", document=("flow",))
        pipeline | "Lines" >> beam.Create(["one", "zwei"]) | WriteLines(f"{tmp_path}/x.txt")
        batches = pipeline | "Batches" >> beam.Create([None]) | beam.Map(lambda _: batch).with_output_types(Batch)
        batches | WriteRecords(f"{tmp_path}/records.jsonl")
    keyless = [json.loads(line) for line in (tmp_path / "keyless.jsonl").read_text().splitlines()]
    assert [(row["region"], row["flow"]) for row in keyless] == [("Paris", 1), ("Oslo", 2)]
    assert pl.read_parquet(tmp_path / "sorted.parquet")["region"].to_list() == ["Oslo", "Paris"]
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("SELECT region, flow FROM flows ORDER BY flow").fetchall() == [
            ("Paris", 1),
            ("Oslo", 2),
        ]
    assert json.loads((tmp_path / "x.json").read_text()) == {"Oslo": [2], "Paris": [1]}
    assert sorted((tmp_path / "x.txt").read_text().splitlines()) == ["one", "zwei"]
    assert (tmp_path / "records.jsonl").read_text() == '{"region":"Paris","flow":1}\n{"region":"Oslo","flow":2}\n'


@pytest.mark.parametrize("address", ["x.parquet", "sqlite:///x.db", "postgresql://me:word@h/x", "kafka://h/t", "-"])
def test_a_transform_travels_and_shows_no_password(address):
    write = WriteResults(address, key="region")
    assert pickle.loads(pickle.dumps(write)).output == write.output
    assert "word" not in f"{write!r} {write.label}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WriteResults("x.xls"), "unknown ending in 'x.xls': expected .jsonl, .avro"),
        (lambda: WriteResults(""), "expected a path ending in .jsonl, .avro, .parquet (here or in s3:"),
        (lambda: WriteResults("x.txt"), "'x.txt' takes single records, from pipelines.relay, and no results"),
        (lambda: WriteResults("sqlite:///x.db"), "sqlite:///x.db needs to know which columns tell rows apart"),
        (lambda: WriteResults("kafka://h/t"), "kafka://h:9092/t needs to know which columns tell rows apart"),
        (lambda: WriteResults("x.json", document=("n",)), "x.json needs to know which columns tell rows apart"),
        (lambda: WriteResults("x.json", "k"), "unknown ending in 'x.json'"),
        (lambda: WriteResults("sqlite:///x.db", "k", table="a b"), "expected the name of a table"),
        (lambda: WriteRecords("x.csv"), "records are JSON: expected a path ending in .jsonl or .ndjson, got 'x.csv'"),
        (lambda: WriteRecords("x.parquet"), "'x.parquet' cannot be written record by record"),
        (lambda: WriteRecords("sqlite:///x.db"), "'sqlite:///x.db' takes no rows of JSON"),
        (lambda: WriteLines("kafka://h/t"), "'kafka://h:9092/t' takes no lines: expected a path ending in .jsonl"),
        (lambda: WriteLines("tcp://h"), "expected tcp://host:port"),
    ],
)
def test_what_cannot_be_written_to_is_refused_when_the_transform_is_made(make, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the beginning is compared)
        make()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
